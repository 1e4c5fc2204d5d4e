"""What time it is. Tests and the tour move it; everything else passes it on as a parameter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

_offset = timedelta(0)


def now() -> datetime:
    """The current time, aware, UTC."""
    return timezone.now() + _offset


class DatabaseNow(Now):
    """The database's own clock, in UTC: what leases are measured by, since it is one for all workers."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # CURRENT_TIMESTAMP is local time there, and an hour of a changing clock would be an hour of a lease.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Move the clock of this whole process, threads included, while the block runs."""
    global _offset
    before = _offset
    _offset = before + by
    try:
        yield
    finally:
        _offset = before
