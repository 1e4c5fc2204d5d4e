"""What time it is. Tests and the tour move it; everything else passes it on as a parameter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.utils import timezone

_offset = timedelta(0)


def now() -> datetime:
    """The current time, aware, UTC."""
    return timezone.now() + _offset


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
