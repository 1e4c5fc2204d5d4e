"""A server between a gateway and its stand-in: it passes on, says again what was said, or talks nonsense."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests

PASSED_ON = ("Authorization", "Content-Type", "Accept")


@dataclass(frozen=True)
class Reply:
    """One answer. At status 0 the server hangs up instead."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    location: str = ""


class Between:
    """Listens on a loopback port as long as its ``with`` block lasts; ``url`` ends in a slash."""

    def __init__(self, stand_in: str = "") -> None:
        self.asked = 0
        self._stand_in = stand_in
        self._reply: Reply | None = None
        self._last = Reply(0)

    def __enter__(self) -> Self:
        between = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                between._answer(self)

            def do_POST(self) -> None:
                between._answer(self)

            def log_message(self, *args: object) -> None:
                """Keep no access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def say(self, reply: Reply) -> None:
        """Answer this, whatever is asked."""
        self._reply, self.asked = reply, 0

    def say_again(self, **changes: Any) -> None:
        """Answer what was passed on last, whatever is asked."""
        self.say(replace(self._last, **changes))

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        reply = self._reply or self._pass_on(request, body)
        if reply.status == 0:
            return  # The connection is closed without a word.
        request.send_response(reply.status)
        request.send_header("Content-Type", reply.content_type)
        request.send_header("Content-Length", str(len(reply.body)))
        if reply.location:
            request.send_header("Location", reply.location)
        request.end_headers()
        request.wfile.write(reply.body)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply:
        answer = requests.request(
            request.command,
            self._stand_in.rstrip("/") + request.path,
            data=body,
            headers={name: request.headers[name] for name in PASSED_ON if name in request.headers},
            allow_redirects=False,
            timeout=10,
        )
        self._last = Reply(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))
        return self._last
