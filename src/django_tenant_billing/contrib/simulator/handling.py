"""One request over HTTP: reading it, finding who answers, writing the answer."""

import contextlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from .control import Fault
from .wire import Answer, RequestError, html_answer, is_loopback, json_answer

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

    def fail(self, fault: Fault) -> Answer | None:
        """Go wrong as ordered."""
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
