"""Real concurrency and real death: threads and processes behind one barrier, and children that kill themselves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.db import connection, connections

T = TypeVar("T")


class ErrorInProcess(Exception):
    """What a process of ``run_processes`` raised."""


def run_together(number: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(0..number-1)`` in threads, each with a connection of its own, all released by one barrier.

    On SQLite, whose writers share one file between processes, use ``run_processes``.
    """
    barrier = threading.Barrier(number)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            results[index] = work(index)
        except BaseException as error:  # handed to the test, below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(number)]


def run_processes(number: int, work: Callable[[int], int]) -> list[int]:
    """The same with forked processes; ``work`` returns a number, and an error comes back as its text."""
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(number), context.SimpleQueue()
    connections.close_all()

    def run(index: int) -> None:
        connection.ensure_connection()
        barrier.wait(30)
        try:
            queue.put((index, work(index)))
        except BaseException:  # handed to the test, below
            queue.put((index, traceback.format_exc()))
        finally:
            connections.close_all()

    processes = [context.Process(target=run, args=(index,)) for index in range(number)]
    with warnings.catch_warnings():
        # Python warns of forking beside threads; the only ones here are idle, and the child touches nothing of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in processes:
            process.start()
    results = dict(queue.get() for _process in processes)
    for process in processes:
        process.join()
    if errors := [result for result in results.values() if isinstance(result, str)]:
        raise ErrorInProcess(errors[0])
    return [results[index] for index in range(number)]


def meeting(number: int) -> Callable[[], object]:
    """Where so many wait for each other, in threads and in forked processes: what a negative control calls between its
    read and its write, so that it fails every time and not when the machine is in the mood.
    """
    return partial(multiprocessing.get_context("fork").Barrier(number).wait, 30)


@dataclass(frozen=True)
class KillPoint:
    """The n-th statement or commit of a connection, and the side of it on which the process dies."""

    number: int
    after: bool


def points_of(work: Callable[[], Any]) -> list[KillPoint]:
    """Run ``work`` here, unharmed, and list every point at which a child could be killed."""
    count = 0

    def counting(run: Callable[[], Any]) -> Any:
        nonlocal count
        count += 1
        return run()

    with _around_statements(counting):
        work()
    return [KillPoint(number, after) for number in range(count) for after in (False, True)]


def kill_at(point: KillPoint, work: Callable[[], Any]) -> bool:
    """Run ``work`` in a forked child that kills itself (SIGKILL) at this point. Did it die there?"""
    connections.close_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover - it dies, and its coverage with it
        try:
            die_at(point, work)
        finally:
            os._exit(0)  # whatever happened: there is one pytest, and this is not it
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def die_at(point: KillPoint, work: Callable[[], Any], die: Callable[[], None] | None = None) -> None:
    """Run ``work`` and die at the point."""
    kill = die or (lambda: os.kill(os.getpid(), signal.SIGKILL))
    seen = 0

    def dying(run: Callable[[], Any]) -> Any:
        nonlocal seen
        here, seen = seen == point.number, seen + 1
        if here and not point.after:
            kill()
        result = run()
        if here and point.after:
            kill()
        return result

    with _around_statements(dying):
        work()


@contextmanager
def _around_statements(around: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Call ``around`` for each statement and each commit of the default connection."""
    connection.ensure_connection()
    commit = connection.commit

    def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        return around(lambda: execute(sql, params, many, context))

    connection.commit = lambda: around(commit)  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(wrapper):
            yield
    finally:
        del connection.commit


@contextmanager
def simulator_process() -> Iterator[str]:
    """The simulator in its own process; yields its address, ending in a slash."""
    command = [sys.executable, "-m", "django_tenant_billing.contrib.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.split()[-1]
        finally:
            process.terminate()
            process.wait()
