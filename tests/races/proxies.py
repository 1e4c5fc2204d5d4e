"""A wire between the site and its PostgreSQL cut at the worst moment: the COMMIT is done, its answer lost."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

COMMIT = re.compile(rb"Q....COMMIT\x00", re.DOTALL)
"""A simple query of the frontend that says nothing but COMMIT."""


class Wire:
    """Passes everything on, and hangs up on the client once the server has done the commit that it was armed for."""

    def __init__(self, server: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.cuts = 0
        self._server = server
        self._commits_left = 0
        self._over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def cut_at(self, commit: int) -> None:
        """Cut the n-th commit from now on, counted from 1."""
        self._commits_left = commit

    def serve(self) -> None:
        while True:
            client, _address = self.listener.accept()
            with client, suppress(OSError):
                if self._over.is_set():
                    return
                self._pass_on(client)

    def stop(self) -> None:
        self._over.set()
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes accept()

    def _pass_on(self, client: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server:
                        client.sendall(data)
                        continue
                    server.sendall(data)
                    if COMMIT.search(data) and self._is_the_one():
                        # Its answer has come, so it is as durable as it will ever be. Nobody hears of it.
                        assert b"COMMIT" in server.recv(65536)
                        self.cuts += 1
                        return

    def _is_the_one(self) -> bool:
        self._commits_left -= 1
        return self._commits_left == 0


@contextmanager
def wire_to(server: str) -> Iterator[Wire]:
    """Serve from a thread, one connection after the other."""
    wire = Wire(server)
    thread = threading.Thread(target=wire.serve, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.stop()
        thread.join(30)
        wire.listener.close()
