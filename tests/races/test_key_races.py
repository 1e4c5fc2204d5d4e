"""One idempotency key many times at once, and through SIGKILL: counted once, answered the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import KeyReused, QuotaExceeded
from django_tenant_billing.models import Hold, IdempotencyKey
from django_tenant_billing.testing import set_used
from tests.races.counting import Together, held, set_limit, size_here, used
from tests.races.harness import kill_at, meeting, points_of
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

COUNTED, REPLAYED, REFUSED, DENIED = 1, 100, 10_000, 1_000_000


def consume_with(organization: Organization, key: str, amount: int) -> int:
    try:
        grant = quotas.consume(organization, "invoices", amount, key=key)
    except KeyReused:
        return REFUSED
    except QuotaExceeded:
        return DENIED
    assert grant.amount == amount
    return REPLAYED if grant.replayed else COUNTED


def consume_three(organization: Organization, key: str, _index: int) -> int:
    return consume_with(organization, key, 3)


def consume_either(organization: Organization, key: str, index: int) -> int:
    return consume_with(organization, key, 3 + index % 2)


@pytest.mark.parametrize("size", [2, 16])
def test_the_same_key_at_once_is_counted_once(
    contended: Organization, together: Together, runs: int, size: int
) -> None:
    size = size_here(size)
    for run in range(runs):
        set_used(contended, "invoices", 0)
        answers = together(size, partial(consume_three, contended, f"{run}"))
        assert sum(answers) == COUNTED + REPLAYED * (size - 1)
        assert used(contended) == 3


def test_of_two_bodies_under_one_key_one_is_counted_and_the_other_refused(
    contended: Organization, together: Together, runs: int
) -> None:
    size = size_here(16)
    for run in range(runs):
        set_used(contended, "invoices", 0)
        answers = together(size, partial(consume_either, contended, f"{run}"))
        assert sum(answers) == COUNTED + REPLAYED * (size // 2 - 1) + REFUSED * (size // 2)
        assert used(contended) in {3, 4}


def test_a_denial_at_once_is_replayed_even_when_there_is_room_again(
    contended: Organization, together: Together, runs: int
) -> None:
    size = size_here(16)
    for run in range(runs):
        set_used(contended, "invoices", 98)
        work = partial(consume_three, contended, f"{run}")
        assert together(size, work) == [DENIED] * size
        set_used(contended, "invoices", 0)
        assert together(2, work) == [DENIED] * 2
        assert used(contended) == 0


def test_a_grant_given_back_by_all_its_replays_at_once_comes_back_once(
    contended: Organization, together: Together, runs: int
) -> None:
    for run in range(runs):
        set_used(contended, "invoices", 50)

        def give_back(_index: int, run: int = run) -> int:
            return quotas.consume(contended, "invoices", 3, key=f"{run}").release()

        assert sum(together(8, give_back)) == 1
        assert used(contended) == 50


def naive_with_key(organization: Organization, key: str, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: look whether it was answered, count, remember the answer."""
    answered = IdempotencyKey.objects.filter(organization=organization, key=key).exists()
    looked()
    if answered:
        return 0
    quotas.consume(organization, "invoices", 3)
    IdempotencyKey.objects.bulk_create(
        [IdempotencyKey(organization=organization, key=key, body={}, answer={}, created_at=clock.now())],
        ignore_conflicts=True,
    )
    return 1


def test_the_naive_version_counts_one_key_more_than_once(
    contended: Organization, together: Together, runs: int
) -> None:
    for run in range(runs):
        set_used(contended, "invoices", 0)
        together(8, partial(naive_with_key, contended, f"{run}", meeting(8)))
        assert used(contended) == 8 * 3
        assert naive_with_key(contended, f"{run}", meeting(1), 0) == 0  # alone it looks right


def test_killed_anywhere_the_same_key_again_counts_once(contended: Organization) -> None:
    def consume(key: str) -> Any:
        return quotas.consume(contended, "invoices", 3, key=key)

    set_used(contended, "invoices", 0)
    seen = set()
    points = points_of(lambda: consume("rehearsal"))
    assert len(points) > 8
    for point in points:
        set_used(contended, "invoices", 0)
        assert kill_at(point, partial(consume, f"{point}"))
        before = used(contended)
        assert before == 3 * IdempotencyKey.objects.filter(key=f"{point}").count()
        assert consume(f"{point}").replayed is (before == 3)
        assert used(contended) == 3
        seen.add(before)
    assert seen == {0, 3}


def test_killed_anywhere_the_same_key_again_is_the_same_reservation(contended: Organization) -> None:
    def reserve(key: str) -> Any:
        return quotas.reserve(contended, "invoices", 3, key=key)

    set_limit(10_000)
    reserve("first use of the period").release()
    for number, point in enumerate(points_of(lambda: reserve("rehearsal")), start=2):
        assert kill_at(point, partial(reserve, f"{point}"))
        assert Hold.objects.filter(state="held").count() in {number - 1, number}
        reserve(f"{point}")
        assert Hold.objects.filter(state="held").count() == number
        assert held(contended) == 3 * number


def test_the_naive_version_killed_between_count_and_key_counts_twice(contended: Organization) -> None:
    set_used(contended, "invoices", 0)
    doubled = 0
    for point in points_of(lambda: naive_with_key(contended, "rehearsal", meeting(1), 0)):
        set_used(contended, "invoices", 0)
        assert kill_at(point, partial(naive_with_key, contended, f"{point}", meeting(1), 0))
        naive_with_key(contended, f"{point}", meeting(1), 0)
        doubled += used(contended) == 6
    assert doubled > 0
