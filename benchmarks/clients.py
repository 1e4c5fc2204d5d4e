"""Client processes: forked, each with one connection that lasts, timed together behind a barrier."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from django.db import connections

from benchmarks.databases import Settings, use
from benchmarks.ratios import Round
from tests.testapp.models import Organization

Operation = Callable[[Organization], bool]
"""One call; was it granted?"""

WARM_UP, AGAIN = 15, 3
"""Calls of each client before its first window, where a statement is prepared at the fifth, and before the others."""

DRAWN = 5_000
"""Organizations that a client chose beforehand, to call for in turn."""

_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Variant:
    """One way of doing it. ``make`` is called in the client, once."""

    name: str
    make: Callable[[], Operation]
    database: Settings
    keys: Sequence[int]
    """Organizations, each as likely as any other."""


class Task(NamedTuple):
    """A window: it ends with its time or with its calls."""

    seconds: float
    calls: int
    warm_up: int


class Tally(NamedTuple):
    """What happened in a window. ``granted`` has the grants of the warm-up too."""

    calls: int
    rate: float
    granted: int


class Crew:
    """The clients of one variant."""

    def __init__(self, variant: Variant, number: int) -> None:
        self._pipes: list[Connection] = []
        self._processes = []
        # A connection must not be in two processes.
        connections.close_all()
        for seed in range(number):
            here, there = _fork.Pipe()
            process = _fork.Process(target=_serve, args=(variant, seed, here, there), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def run(self, *, seconds: float = math.inf, calls: int = sys.maxsize, warm_up: int) -> Tally:
        """One window of all clients at once."""
        for pipe in self._pipes:
            pipe.send(Task(seconds, calls, warm_up))
        for pipe in self._pipes:
            pipe.recv()
        for pipe in self._pipes:
            pipe.send(None)
        tallies = [pipe.recv() for pipe in self._pipes]
        return Tally(*map(sum, zip(*tallies, strict=True)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()


def _serve(variant: Variant, seed: int, theirs: Connection, pipe: Connection) -> None:
    theirs.close()
    use(variant.database)
    operation = variant.make()
    drawn = random.Random(seed).choices(variant.keys, k=DRAWN)
    organizations = itertools.cycle([Organization(pk=key) for key in drawn])
    try:
        while True:
            task: Task = pipe.recv()
            granted = sum(operation(next(organizations)) for _call in range(task.warm_up))
            pipe.send(None)
            pipe.recv()
            calls, started = 0, perf_counter()
            end = started + task.seconds
            while calls < task.calls and perf_counter() < end:
                granted += operation(next(organizations))
                calls += 1
            pipe.send(Tally(calls, calls / (perf_counter() - started), granted))
    except EOFError:
        connections.close_all()


@dataclass
class Cell:
    """The windows of several variants, side by side."""

    rounds: list[Round] = field(default_factory=list)
    granted: Counter[str] = field(default_factory=Counter)


def measure(variants: Sequence[Variant], *, clients: int, rounds: int, seconds: float) -> Cell:
    """Every variant in every round, in reversed order each second time."""
    cell = Cell()
    with ExitStack() as stack:
        crews = {variant.name: stack.enter_context(Crew(variant, clients)) for variant in variants}
        for number in range(rounds):
            rates = {}
            for name in list(crews)[:: -1 if number % 2 else 1]:
                tally = crews[name].run(seconds=seconds, warm_up=AGAIN if number else WARM_UP)
                rates[name] = tally.rate
                cell.granted[name] += tally.granted
            cell.rounds.append({name: rates[name] for name in crews})
    return cell
