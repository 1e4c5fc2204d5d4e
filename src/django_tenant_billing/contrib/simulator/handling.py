"""One request over HTTP: reading it, finding who answers, writing the answer."""

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from .faults import AFTERWARDS, Failure, Fault
from .spoiling import refusal, spoiled
from .wire import Answer, RequestError, is_loopback, json_answer

LONGEST_BODY = 64 * 1024
LONGEST_DRAIN = 1024 * 1024
LONGEST_SILENCE = 60  # seconds

# No form-action: browsers hold the redirect back to the merchant against it too.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"

Routes = Mapping[str, Mapping[str, Callable[[Any], Answer | None]]]


class RequestHandler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.0: one request, one answer, no unread rest to confuse the next."""

    routes: Routes
    """Which address answers what, by method."""
    server: Any
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

    def query(self) -> dict[str, str]:
        """Return what the address asks."""
        return dict(parse_qsl(self.path.partition("?")[2]))

    def form(self) -> dict[str, str]:
        """Return the form in the body."""
        return dict(parse_qsl(self.body.decode(errors="replace")))

    def _answer(self, method: str) -> None:
        path = self.path.partition("?")[0]
        asked = path != "/" and not path.startswith("/control/")
        self.entry = self.server.journal.begin(method, path) if asked else {}
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
        path = self._address()
        if path not in self.routes:
            raise RequestError(HTTPStatus.NOT_FOUND, {"detail": "Not found."})
        if method not in self.routes[path]:
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f'Method "{method}" not allowed.'})
        return self.routes[path][method](self)

    def _address(self) -> str:
        """Return the route that was asked for, and keep what stands for its star, if it has one."""
        path = self.path.partition("?")[0]
        for route in self.routes:
            head, star, tail = route.partition("*")
            if star and path.startswith(head) and path.endswith(tail) and "/" not in path[len(head) : -len(tail)]:
                self.named = path[len(head) : -len(tail)]
                return route
        return path

    def _read_body(self) -> bytes:
        length = self.headers["Content-Length"] or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise RequestError(HTTPStatus.BAD_REQUEST, {"detail": "Malformed Content-Length."})
        if int(length) > LONGEST_BODY:
            # Closing on unread bytes resets the connection, and the client would not see why.
            self.rfile.read(min(int(length), LONGEST_DRAIN))
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"detail": "The body is larger than 64 KB."})
        return self.rfile.read(int(length))

    def meet(self, failure: Failure, work: Callable[[], Answer]) -> Answer | None:
        """Go wrong, and answer with what is left of the answer; None where nothing is."""
        match failure.mode:
            case Fault.DOWN:
                return None
            case Fault.SILENT:
                self._wait(LONGEST_SILENCE)
                return None
            case Fault.RESET:
                self._reset()
                return None
        if failure.mode not in AFTERWARDS:
            return refusal(failure)
        try:
            answer = work()
        except RequestError as error:
            answer = json_answer(error.body, error.status)
        match failure.mode:
            case Fault.LOST:
                return None
            case Fault.DELAY if self._wait(failure.seconds):
                return None
            case Fault.DRIP:
                self._send(answer, pause=failure.seconds)
                return None
        return spoiled(failure, answer)

    def _wait(self, seconds: float) -> bool:
        """Say nothing for so long; tell whether the client or the server hung up meanwhile."""
        return bool(select.select([self.connection], [], [], seconds)[0])

    def _reset(self) -> None:
        """Hang up in the rudest way TCP has: closing without a farewell."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def _send(self, answer: Answer, *, pause: float = 0) -> None:
        content = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        self.entry["status"] = int(answer.status)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if answer.location is not None:
            self.send_header("Location", answer.location)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if not pause:
            self.wfile.write(content)
            return
        for byte in content:
            if self._wait(pause):
                return
            self.wfile.write(bytes([byte]))
