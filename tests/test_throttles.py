"""Counting tries: a window and a limit for each name, exact, and forgotten when nobody counts any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_tenant_billing.models import Throttle

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def take(at: datetime = NOON, *, name: str = "a", limit: int = 3) -> datetime | None:
    return Throttle.objects.take(name, limit, MINUTE, at)


def test_so_many_tries_may_go_on_and_the_next_is_told_when() -> None:
    assert [take() for _try in range(3)] == [None, None, None]
    assert take(NOON + timedelta(seconds=59)) == NOON + MINUTE
    assert take(name="b") is None


def test_what_is_refused_does_not_count() -> None:
    for _try in range(9):
        take()
    assert Throttle.objects.get().count == 3


def test_a_new_window_begins_with_the_first_try_after_the_last_one_ended() -> None:
    for _try in range(4):
        take()
    assert take(NOON + MINUTE) is None
    assert (Throttle.objects.get().count, Throttle.objects.get().started_at) == (1, NOON + MINUTE)


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    for _try in range(4):
        take()
    assert take(NOON - timedelta(days=1)) is None


def test_whoever_looked_at_the_clock_a_moment_before_the_rival_that_began_the_window_begins_none() -> None:
    for _try in range(3):
        take(NOON + timedelta(milliseconds=1))
    assert take(NOON) == NOON + timedelta(milliseconds=1) + MINUTE
    assert Throttle.objects.get().count == 3


def test_counters_are_forgotten_after_a_day() -> None:
    take()
    Throttle.objects.forget(NOON + timedelta(hours=23))
    assert str(Throttle.objects.get()) == "a - 1"
    Throttle.objects.forget(NOON + timedelta(hours=25))
    assert not Throttle.objects.exists()


def test_a_rival_who_was_faster_by_a_moment_opens_no_second_window() -> None:
    take(limit=1)
    assert take(NOON - timedelta(milliseconds=5), limit=1) == NOON + MINUTE
