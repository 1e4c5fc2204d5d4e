"""How requests to the wallets' API go wrong: ordered one after the other, or drawn from a seed."""

import random
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .wire import Answer, bad_request, json_answer

LONGEST = 3600  # seconds


class Fault(StrEnum):
    """One way to go wrong."""

    DOWN = "down"
    SILENT = "silent"
    HTML = "html"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    TOO_MANY = "429"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    RESET = "reset"
    EMPTY = "empty"
    LARGE = "large"
    BOMB = "bomb"
    REDIRECT = "redirect"
    SERVICE = "service"
    DELAY = "delay"
    DRIP = "drip"
    LOST = "lost"
    TRUNCATED = "truncated"
    TWICE = "twice"
    NAN = "nan"
    AMOUNT = "amount"
    REFERENCE = "reference"
    MERCHANT = "merchant"
    FLIP = "flip"


LIES = (Fault.AMOUNT, Fault.REFERENCE, Fault.MERCHANT, Fault.FLIP)
"""Whole answers that say something else than what is so. Only questions are answered like this."""

AFTERWARDS = (*LIES, Fault.DELAY, Fault.DRIP, Fault.LOST, Fault.TRUNCATED, Fault.TWICE, Fault.NAN)
"""The wallet has done what it was asked before these happen; before the others it has not seen the request."""

QUESTIONS = ("lookup", "status")

PAUSES = {Fault.DELAY: 5.0, Fault.DRIP: 0.5, Fault.TOO_MANY: 60.0}
"""Seconds: until the answer, between two bytes, in Retry-After."""


class Way(StrEnum):
    """What can become of a payer's way back to the merchant."""

    LOST = "lost"
    DOUBLED = "doubled"
    LATE = "late"
    FORGED = "forged"
    TAMPERED = "tampered"
    NAIVE = "naive"
    DATA = "data"


def fitting(faults: Iterable[Fault], wallet: str, call: str) -> list[Fault]:
    """Return those that can happen to this call."""
    return [
        fault
        for fault in faults
        if (fault not in LIES or call in QUESTIONS) and (fault != Fault.SERVICE or wallet == "esewa")
    ]


def ways_of(ways: Iterable[Way], wallet: str) -> list[Way]:
    """Return those that lead back from this wallet."""
    elsewhere = Way.DATA if wallet == "khalti" else Way.NAIVE
    return [way for way in ways if way != elsewhere]


@dataclass(frozen=True)
class Plan:
    """What goes wrong by itself: a share of the requests and one of the ways back, from a seed.

    A decision depends on the seed, the wallet, the reference and how often it was asked, and on nothing else: threads
    that ask in another order meet the same faults.
    """

    seed: int = 0
    faults: float = 0.0
    returns: float = 0.0
    modes: tuple[Fault, ...] = tuple(Fault)
    ways: tuple[Way, ...] = tuple(Way)

    def draw(self, *names: object) -> random.Random:
        """Return the chance that these names have."""
        return random.Random("/".join(map(str, (self.seed, *names))))  # noqa: S311 - repeatable on purpose

    def __str__(self) -> str:
        parts = ((self.faults, self.modes, tuple(Fault), "faults"), (self.returns, self.ways, tuple(Way), "returns"))
        return ";".join(
            f"{name}:{share:g}" + ("" if chosen == all_ else "=" + ",".join(chosen))
            for share, chosen, all_, name in parts
        )


@dataclass(frozen=True)
class Failure:
    """One fault that is about to happen."""

    mode: Fault
    seconds: float
    draw: random.Random


class Faults:
    """The faults and ways back that are still to happen; safe to share between threads."""

    def __init__(self, plan: Plan | None = None) -> None:
        self._lock = threading.Lock()
        self._mode, self._seconds, self._times = Fault.DOWN, 0.0, 0
        self._way, self._ways = Way.LOST, 0
        self.follow(plan or Plan())

    def follow(self, plan: Plan) -> None:
        """Begin this plan anew."""
        with self._lock:
            self.plan = plan
            self._asked: Counter[tuple[str, ...]] = Counter()

    def order(self, request: dict[str, object]) -> Answer:
        """Let the next requests fail; a new order replaces what is left of the last one."""
        match request.get("fault"):
            case {"mode": str(mode), "times": int(times), **more} if mode in list(Fault) and times >= 0:
                seconds = more.pop("seconds", PAUSES.get(Fault(mode), 0))
                if not more and isinstance(seconds, int | float) and 0 <= seconds <= LONGEST:
                    with self._lock:
                        self._mode, self._seconds, self._times = Fault(mode), float(seconds), times
                    return json_answer({"fault": {"mode": mode, "times": times}})
        match request.get("return"):
            case {"mode": str(mode), "times": int(times), **more} if mode in list(Way) and times >= 0 and not more:
                with self._lock:
                    self._way, self._ways = Way(mode), times
                return json_answer({"return": {"mode": mode, "times": times}})
        if "return" in request:
            raise bad_request(f"Expected a return: mode (one of {', '.join(Way)}) and times (0 or more).")
        raise bad_request(f"Expected a fault: mode (one of {', '.join(Fault)}) and times (0 or more).")

    def plan_anew(self, request: dict[str, object]) -> Answer:
        """Change the plan that faults are drawn from."""
        new = _plan(request)
        self.follow(new)
        return json_answer({"seed": new.seed, "plan": str(new)})

    def take(self, wallet: str, call: str, reference: str) -> Failure | None:
        """Return what this request meets, if anything."""
        with self._lock:
            draw = self._draw(wallet, call, reference)
            if self._times:
                self._times -= 1
                return Failure(self._mode, self._seconds, draw)
            modes = fitting(self.plan.modes, wallet, call)
            if draw.random() >= self.plan.faults or not modes:
                return None
            mode = draw.choice(modes)
            return Failure(mode, PAUSES.get(mode, 0), draw)

    def way(self, wallet: str, reference: str) -> Way | None:
        """Return what becomes of this way back, where it is not the usual one."""
        with self._lock:
            draw = self._draw(wallet, "return", reference)
            if self._ways:
                self._ways -= 1
                return self._way
            ways = ways_of(self.plan.ways, wallet)
            return draw.choice(ways) if draw.random() < self.plan.returns and ways else None

    def _draw(self, *names: str) -> random.Random:
        self._asked[names] += 1
        return self.plan.draw(*names, self._asked[names])


def _plan(request: dict[str, object]) -> Plan:
    try:
        plan = Plan(
            **{
                **request,
                "modes": tuple(map(Fault, _texts(request.get("modes", list(Fault))))),
                "ways": tuple(map(Way, _texts(request.get("ways", list(Way))))),
            }  # type: ignore[arg-type]
        )
    except (TypeError, ValueError) as error:
        raise bad_request(f"Expected seed, faults, returns, modes, ways: {error}") from error
    shares = (plan.faults, plan.returns)
    if type(plan.seed) is not int or not all(type(share) in (int, float) and 0 <= share <= 1 for share in shares):
        raise bad_request("Expected seed, faults, returns, modes, ways: a whole number and shares from 0 to 1.")
    return plan


def _texts(value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    raise TypeError("modes and ways are lists of names")
