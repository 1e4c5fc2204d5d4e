"""What was asked of the simulator: the last requests, with the faults that they met."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime

KEPT = 10_000


class Journal:
    """The last requests to the wallets, control excepted; safe to share between threads. No key is kept."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: deque[dict[str, object]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def begin(self, method: str, path: str) -> dict[str, object]:
        """Note a request; what becomes of it is written into what is returned."""
        entry: dict[str, object] = {
            "at": self._now().isoformat(),
            "method": method,
            "path": path,
            "wallet": None,
            "call": None,
            "reference": None,
            "fault": None,
            "status": None,
        }
        with self._lock:
            self._entries.append(entry)
        return entry

    def entries(self) -> list[dict[str, object]]:
        """Return them all, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._entries]
