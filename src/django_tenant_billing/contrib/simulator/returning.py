"""The payer's browser on its way back to the merchant: what it brings, when, and how often."""

import threading
from collections.abc import Callable

from .faults import Faults, Way
from .wire import Answer, bad_request, json_answer

WayBack = Callable[[Way | None], str]


class Returns:
    """Where browsers go, and those that are still held back; safe to share between threads."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: list[str] = []
        self._lock = threading.Lock()

    def send(self, wallet: str, reference: str, way_back: WayBack) -> tuple[Way | None, list[str]]:
        """Return what becomes of this way back, and the addresses that the browser visits now."""
        way = self._faults.way(wallet, reference)
        url = way_back(way)
        if way in (Way.LATE, Way.DOUBLED):
            with self._lock:
                self._held.append(url)
        return way, [] if way in (Way.LOST, Way.LATE) else [url]

    def held(self) -> list[str]:
        """Return the addresses that browsers will still visit."""
        with self._lock:
            return list(self._held)

    def release(self, request: dict[str, object]) -> Answer:
        """Let those go that were held back, out of order."""
        if request != {"release": True}:
            raise bad_request('Expected {"release": true}.')
        return json_answer({"returns": self.let_go()})

    def let_go(self) -> list[str]:
        """Return the addresses that browsers visit now which were held back, the last first."""
        with self._lock:
            urls, self._held = self._held[::-1], []
        return urls
