"""One reservation, finished by many at once: the first wins, once, and no unit is lost or counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Hold, UsageCounter
from django_tenant_billing.quotas import engine
from django_tenant_billing.testing import set_used
from tests.clocks import expire_all
from tests.races.counting import Together, consume_many, held, set_limit, used, wait_for_a_waiter
from tests.races.harness import meeting, run_together
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

COMMITTED, RELEASED = 1, 100


def finish(reservation: quotas.Reservation, index: int) -> int:
    """By turns: commit, release, and what anybody does who needs room: sweep."""
    if index % 3 == 0:
        return COMMITTED * (reservation.commit(2) is not None)
    if index % 3 == 1:
        return RELEASED * reservation.release()
    engine.sweep(reservation.organization, "invoices")
    return 0


def test_commit_release_and_sweep_at_once_finish_a_reservation_once(
    contended: Organization, together: Together, runs: int
) -> None:
    set_used(contended, "invoices", 10)
    quotas.reserve(contended, "invoices", 5)
    before = 10
    for _run in range(runs):
        reservation = quotas.reserve(contended, {"invoices": 3, "api_calls": 3})
        winners = together(9, partial(finish_both, reservation))
        assert sum(winners) in {COMMITTED, RELEASED}
        before += 2 * (sum(winners) == COMMITTED)
        assert (used(contended), held(contended)) == (before, 5)
        assert (used(contended, "api_calls"), held(contended, "api_calls")) == (before - 10, 0)
        assert 0 <= used(contended) + held(contended) <= 100


def finish_both(reservation: quotas.Reservation, index: int) -> int:
    if index % 3 == 0:
        return COMMITTED * (reservation.commit({"invoices": 2, "api_calls": 2}) is not None)
    return finish(reservation, index)


def test_the_same_of_an_expired_reservation_returns_or_counts_its_units_once(
    contended: Organization, together: Together, runs: int
) -> None:
    set_used(contended, "invoices", 10)
    for _run in range(runs):
        before = used(contended)
        reservation = quotas.reserve(contended, "invoices", 3)
        expire_all()
        # Nobody releases what has expired; a late commit counts whether it was swept or not, and wins once.
        assert sum(together(9, partial(finish, reservation))) == COMMITTED
        assert (used(contended), held(contended)) == (before + 2, 0)
        assert Hold.objects.get(key=reservation.key).late


def test_many_who_need_the_room_of_expired_holds_get_it_once(
    contended: Organization, together: Together, runs: int
) -> None:
    for _run in range(runs):
        set_used(contended, "invoices", 0)
        for _number in range(10):
            quotas.reserve(contended, "invoices", 10)
        expire_all()
        granted = together(8, lambda _index: consume_all_there_is(contended, 9))
        # 8 times 9 tries of 2 units each; there is room for 50 of the 72.
        assert (sum(granted), used(contended), held(contended)) == (100, 100, 0)
        assert set(Hold.objects.values_list("state", flat=True)) == {"expired"}
        Hold.objects.all().delete()


def consume_all_there_is(organization: Organization, tries: int) -> int:
    granted = 0
    for _try in range(tries):
        try:
            granted += quotas.consume(organization, "invoices", 2).amount
        except QuotaExceeded:
            continue
    return granted


def naive_sweep(looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: find what has expired, give it back, mark it."""
    swept = 0
    expired = list(Hold.objects.filter(state="held", expires_at__lte=clock.DatabaseNow()))
    looked()
    for hold in expired:
        UsageCounter.objects.filter(feature="invoices").update(held=F("held") - hold.amount)
        Hold.objects.filter(pk=hold.pk).update(state="expired")
        swept += hold.amount
    return swept


def test_the_naive_sweep_returns_units_more_than_once(contended: Organization, together: Together, runs: int) -> None:
    for _run in range(runs):
        quotas.reserve(contended, "invoices", 1)
        expire_all()
        # Other units, for the naive version to give away: the column cannot go below 0.
        UsageCounter.objects.update(held=50)
        assert sum(together(8, partial(naive_sweep, meeting(8)))) == 8
        assert naive_sweep(meeting(1), 0) == 0  # alone it looks right
        UsageCounter.objects.update(held=0)


def test_reservations_of_many_never_take_more_than_there_is(
    contended: Organization, together: Together, runs: int
) -> None:
    def work(index: int) -> int:
        counted = 0
        for number in range(10):
            try:
                reservation = quotas.reserve(contended, "invoices", 3)
            except QuotaExceeded:
                continue
            actual = (index + number) % 4
            grant = reservation.commit(actual)
            assert grant is not None
            counted += actual
        return counted

    set_limit(60)
    for _run in range(max(runs // 2, 1)):
        set_used(contended, "invoices", 0)
        counted = together(8, work)
        assert (sum(counted), held(contended)) == (used(contended), 0)
        assert used(contended) <= 60


def test_a_commit_that_grows_takes_only_the_room_that_is_left(
    contended: Organization, together: Together, runs: int
) -> None:
    for _run in range(runs):
        set_used(contended, "invoices", 88)
        reservations = [quotas.reserve(contended, "invoices", 1) for _number in range(8)]

        def grow(index: int, reservations: list[quotas.Reservation] = reservations) -> int:
            """4 units are free: of 8 who want one more, 4 get it; the others count what they held."""
            try:
                reservations[index].commit(2)
            except QuotaExceeded:
                reservations[index].commit()
                return 0
            return 1

        assert sum(together(8, grow)) == 4
        assert (used(contended), held(contended)) == (100, 0)


def test_room_that_a_long_transaction_is_about_to_free_is_waited_for(contended: Organization) -> None:
    """An expired hold that is being finished is nobody's to sweep: neither a refusal nor an error, but a moment."""
    if connection.vendor != "postgresql":
        pytest.skip("Only there can a test see that somebody waits.")
    held_back = [quotas.reserve(contended, "invoices", 10) for _number in range(10)]
    expire_all()
    finishing, answered = threading.Event(), threading.Event()

    def work(index: int) -> int:
        if index == 0:
            with transaction.atomic():
                for reservation in held_back:
                    assert reservation.commit(9)
                finishing.set()
                assert wait_for_a_waiter(answered)
            return 0
        finishing.wait(30)
        try:
            return consume_many(contended, 11)
        finally:
            answered.set()

    assert run_together(2, work) == [0, 10]
    assert (used(contended), held(contended)) == (100, 0)
