"""Servers on 127.0.0.1 that misbehave as they are told, and every place where a secret could come to light."""

from __future__ import annotations

import gzip
import logging
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from secrets import token_hex
from traceback import TracebackException

import pytest
from django.test import override_settings
from django.views.debug import ExceptionReporter

CANARY = f"live_secret_key_{token_hex(16)}"
"""A secret that stands in no source line: where it is found, a variable or a text was shown."""

CERTIFICATE = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIMKaEYREyZyzeH+EotWVaMygtmUg9FuGjalOPc7DM6psoAoGCCqGSM49
AwEHoUQDQgAEa8EEphjhK4DXMppnGkTgujI/RVsM6LamQ9bDIbBT0kLrWBC4ZBbv
6KRJPtV0k2rSmNtx9Uo3jtvAwo4kSHAXsA==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgICEAAwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFdGVzdHMw
IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBAxDjAMBgNVBAMMBXRl
c3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEa8EEphjhK4DXMppnGkTgujI/
RVsM6LamQ9bDIbBT0kLrWBC4ZBbv6KRJPtV0k2rSmNtx9Uo3jtvAwo4kSHAXsKNT
MFEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFECx
9WvnXXBbgQwm9VDM7olLxhmLMA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwID
SAAwRQIgM0m7JMyeeicm01fi0rlPyQetvBaBjyJfwOO11tuxvhUCIQCGvZTD7/Th
7YpOAoUVW2fsg5XDWJABWnSul6B4NuKGxw==
-----END CERTIFICATE-----
"""
"""Made for these tests alone, for 127.0.0.1, until 2120, signed by nobody but itself."""


@dataclass
class Server:
    """What came in, told by the server and not by the client."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def received(self) -> bytes:
        return b"".join(self.requests)


@dataclass
class Connection:
    """One connection, as the script that answers it sees it."""

    socket: socket.socket
    server: Server

    def read_request(self) -> bytes:
        with self.socket.makefile("rb") as reader:
            head = b"".join(takewhile(lambda line: bytes(line).strip(), iter(reader.readline, None)))
            length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
            request = head + b"\r\n" + reader.read(int(length[1]) if length else 0)
        self.server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, *, pause: float = 0.02) -> None:
        """Byte by byte, until the data or the client's patience ends."""
        for byte in data:
            hung_up, _, _ = select.select([self.socket], [], [], pause)
            if hung_up:
                break
            self.send(bytes([byte]))

    def flood(self, data: bytes) -> None:
        """Again and again as fast as the line allows, until the client hangs up."""
        # A full line that its reader leaves is noticed by the kernel only after minutes.
        self.socket.settimeout(2)
        while True:
            self.send(data)

    def wait(self) -> None:
        """Say nothing until the client hangs up."""
        with self.socket.makefile("rb") as reader:
            reader.read()

    def reset(self) -> None:
        """Hang up in the rudest way TCP has."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Connection], object]


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server on a port of its own that answers every connection, one after the other, by this script."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        over = threading.Event()

        def serve() -> None:
            while True:
                accepted, _ = listener.accept()
                with accepted, suppress(OSError):
                    if over.is_set():
                        return
                    server.connections += 1
                    script(Connection(accepted, server))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", server.port)).close()  # wakes accept()
            thread.join(30)


def after_request(then: Callable[[Connection], object]) -> Script:
    """Read the whole request first."""

    def script(connection: Connection) -> None:
        connection.read_request()
        then(connection)

    return script


def replies(raw: bytes) -> Script:
    """Read the request, send this, hang up."""
    return after_request(lambda connection: connection.send(raw))


def begins(raw: bytes, then: Callable[[Connection], object]) -> Script:
    """Read the request, send this, and go on."""

    def script(connection: Connection) -> None:
        connection.send(raw)
        then(connection)

    return after_request(script)


def over_tls(certificate: Path, script: Script) -> Script:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def encrypted(connection: Connection) -> None:
        with context.wrap_socket(connection.socket, server_side=True) as wrapped:
            script(Connection(wrapped, connection.server))

    return encrypted


def message(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole HTTP answer with its right length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@cache
def bomb(*, layers: int = 1) -> bytes:
    """Fifty megabytes of spaces and a JSON object, by so many layers of gzip."""
    packed = b" " * 50_000_000 + b"{}"
    for _ in range(layers):
        packed = gzip.compress(packed, 6)
    return packed


def shown(error: BaseException, log: pytest.LogCaptureFixture) -> dict[str, str]:
    """Everything that a log, an error page or a reporter with eyes for local variables could show of this error."""
    texts = {
        "str": str(error),
        "repr": repr(error),
        "arguments": repr(error.args),
        "attributes": repr(vars(error)),
        "log": "\n".join(repr((record.getMessage(), vars(record))) for record in log.records),
    }
    for name, link in (("error", error), ("context", error.__context__), ("cause", error.__cause__)):
        if link is not None:
            traceback = TracebackException.from_exception(link, capture_locals=True)
            texts[f"locals of {name}"] = "".join(traceback.format(chain=True))
    for debug in (False, True):
        with override_settings(DEBUG=debug):
            reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
            texts[f"html page, DEBUG={debug}"] = reporter.get_traceback_html()
            texts[f"text page, DEBUG={debug}"] = reporter.get_traceback_text()
    return texts


def places_of(secret: str, texts: dict[str, str]) -> list[str]:
    """Where it can be read."""
    return [place for place, text in texts.items() if secret in text]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every log record there is, from DEBUG up."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")
    return caplog
