"""The simulator over HTTP: which address answers what, reading requests and writing answers.

GET  /                           what runs here
POST /api/v2/epayment/initiate/  docs.khalti.com, Web Checkout (KPG-2), initiate
POST /api/v2/epayment/lookup/    docs.khalti.com, Web Checkout (KPG-2), lookup
GET  /khalti/pay/?pidx=...       the payment page, and POST for its buttons
/control/...                     see control.py
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from . import control, pages, payer
from .control import Fault, Faults
from .khalti import Khalti
from .wire import Answer, RequestError, html_answer, is_loopback, json_answer, read_object

DEFAULT_KEYS = ("simulated_secret_key",)
LONGEST_BODY = 64 * 1024
LONGEST_DRAIN = 1024 * 1024
LONGEST_SILENCE = 60  # seconds

# No form-action: browsers hold the redirect back to the merchant against it too.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    """The simulator, bound to a loopback address but not serving yet."""

    daemon_threads = False  # server_close() wakes them and waits, so that none outlives it
    request_queue_size = 128  # tests of races connect all at once

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, keys: Iterable[str] = DEFAULT_KEYS, seed: int = 0
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The simulator listens on this machine only: use 127.0.0.1, not {host}.")
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((host, port), Handler)
        self.url = f"http://{self.socket.getsockname()[0]}:{self.server_port}/"
        self.khalti = Khalti(keys=keys, payment_page=f"{self.url}khalti/pay/", seed=seed)
        self.faults = Faults()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection for server_close()."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and hang up on whoever is still waiting for an answer or has not asked yet."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the other end was faster
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextlib.contextmanager
def running_server(*, port: int = 0, keys: Iterable[str] = DEFAULT_KEYS, seed: int = 0) -> Iterator[Server]:
    """Serve from a thread of this process for as long as the block lasts."""
    with Server(port=port, keys=keys, seed=seed) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.0: one request, one answer, no unread rest to confuse the next."""

    server: Server
    timeout = LONGEST_SILENCE
    server_version = "Simulator"
    sys_version = ""

    def handle(self) -> None:
        """Serve the connection; a client that hangs up is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer("POST")

    def log_message(self, *args: object) -> None:
        """Keep no access log."""

    def home(self) -> Answer:
        """Say what runs here."""
        return html_answer(pages.home(len(self.server.khalti.ledger())))

    def initiate(self) -> Answer | None:
        """Open a payment for the merchant whose key is sent."""
        if fault := self.server.faults.take():
            return self._fail(fault)
        key = self.server.khalti.authenticate(self.headers["Authorization"])
        return json_answer(self.server.khalti.initiate(key, read_object(self.body)))

    def lookup(self) -> Answer | None:
        """Tell the merchant whose key is sent what became of a payment."""
        if fault := self.server.faults.take():
            return self._fail(fault)
        key = self.server.khalti.authenticate(self.headers["Authorization"])
        status, body = self.server.khalti.lookup(key, read_object(self.body))
        return json_answer(body, status)

    def payment_page(self) -> Answer:
        """Ask the payer to decide."""
        query = dict(parse_qsl(self.path.partition("?")[2]))
        return payer.show(self.server.khalti, query)

    def payment_form(self) -> Answer:
        """Take the payer's decision."""
        form = dict(parse_qsl(self.body.decode(errors="replace")))
        return payer.submit(self.server.khalti, form)

    def steer(self) -> Answer:
        """Act as the payer, or tamper with lookup."""
        return control.steer(self.server.khalti, read_object(self.body))

    def order_faults(self) -> Answer:
        """Let the next requests to the API fail."""
        return self.server.faults.order(read_object(self.body))

    def ledger(self) -> Answer:
        """List what really happened."""
        return control.ledger(self.server.khalti)

    def _answer(self, method: str) -> None:
        try:
            answer = self._route(method)
        except RequestError as error:
            answer = json_answer(error.body, error.status)
        if answer is not None:
            self._send(answer)

    def _route(self, method: str) -> Answer | None:
        self.body = self._read_body()
        # A page of any site can make its own name mean 127.0.0.1; it cannot change the Host that browsers send.
        if not is_loopback((self.headers["Host"] or "").partition(":")[0]):
            raise RequestError(HTTPStatus.FORBIDDEN, {"detail": "Ask for 127.0.0.1 or localhost."})
        path = self.path.partition("?")[0]
        if path not in ROUTES:
            raise RequestError(HTTPStatus.NOT_FOUND, {"detail": "Not found."})
        if method not in ROUTES[path]:
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f'Method "{method}" not allowed.'})
        return ROUTES[path][method](self)

    def _read_body(self) -> bytes:
        length = self.headers["Content-Length"] or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise RequestError(HTTPStatus.BAD_REQUEST, {"detail": "Malformed Content-Length."})
        if int(length) > LONGEST_BODY:
            # Closing on unread bytes resets the connection, and the client would not see why.
            self.rfile.read(min(int(length), LONGEST_DRAIN))
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"detail": "The body is larger than 64 KB."})
        return self.rfile.read(int(length))

    def _fail(self, fault: Fault) -> Answer | None:
        match fault:
            case Fault.HTML:
                return html_answer("<!doctype html><title>Maintenance</title><p>We will be back soon.")
            case Fault.SERVER_ERROR:
                return json_answer({"detail": "Internal server error."}, HTTPStatus.INTERNAL_SERVER_ERROR)
            case Fault.SILENT:
                self.connection.recv(1)  # returns when the client or the server hangs up, at the latest on time-out
        return None

    def _send(self, answer: Answer) -> None:
        content = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if answer.location is not None:
            self.send_header("Location", answer.location)
        self.end_headers()
        self.wfile.write(content)


ROUTES: dict[str, dict[str, Callable[[Handler], Answer | None]]] = {
    "/": {"GET": Handler.home},
    "/api/v2/epayment/initiate/": {"POST": Handler.initiate},
    "/api/v2/epayment/lookup/": {"POST": Handler.lookup},
    "/khalti/pay/": {"GET": Handler.payment_page, "POST": Handler.payment_form},
    "/control/khalti/": {"POST": Handler.steer},
    "/control/faults/": {"POST": Handler.order_faults},
    "/control/ledger/": {"GET": Handler.ledger},
}
