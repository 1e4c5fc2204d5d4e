"""Several features in one call: all or nothing, in one order of locks; and the naive ways, which lock and leak."""

from __future__ import annotations

import threading
from functools import partial
from random import Random

import pytest
from django.db import OperationalError, connection, transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Feature, PlanLimit, UsageCounter
from tests.races.counting import Together, held, used
from tests.races.harness import run_together
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

# As a site may name them: the order of these differs between Python and the collations of databases.
FEATURES = ("api_calls", "apis", "invoices", "notes", "note_books")
CALLS = 2000
SIZE = 8
LIMIT = 700


@pytest.fixture
def five(contended: Organization) -> Organization:
    """Five features that happen, each with the same limit."""
    for slug in FEATURES:
        Feature.objects.get_or_create(slug=slug, defaults={"singular": slug, "plural": slug, "kind": "happens"})
        PlanLimit.objects.update_or_create(plan_id="FREE", feature_id=slug, defaults={"limit_value": LIMIT})
    return contended


def subset(random: Random) -> dict[str, int]:
    """1 to 5 features in a random order, 1 to 3 units of each."""
    return {slug: random.randint(1, 3) for slug in random.sample(FEATURES, random.randint(1, len(FEATURES)))}


def packed(counts: dict[str, int]) -> int:
    """One number for the sums of all features, since that is what a process hands back."""
    return sum(counts.get(slug, 0) * 10_000**place for place, slug in enumerate(FEATURES))


def consume_subsets(organization: Organization, index: int) -> int:
    """Random subsets, by a quarter each: counted, counted and given back, held and committed, held and let go."""
    random, sums = Random(index), dict.fromkeys(FEATURES, 0)
    for number in range(CALLS // SIZE):
        wanted = subset(random)
        try:
            if number % 4 < 2:
                grant = quotas.consume(organization, wanted)
                kept = not (number % 4 and grant.release())
            else:
                reservation = quotas.reserve(organization, wanted)
                kept = reservation.commit() is not None if number % 4 == 2 else not reservation.release()
        except QuotaExceeded:
            continue
        for slug, amount in wanted.items():
            sums[slug] += amount * kept
    return packed(sums)


def test_2000_calls_for_random_subsets_are_all_or_nothing_and_never_deadlock(
    five: Organization, together: Together
) -> None:
    granted = together(SIZE, partial(consume_subsets, five))
    counted = {slug: used(five, slug) for slug in FEATURES}
    assert packed(counted) == sum(granted)
    assert max(counted.values()) <= LIMIT
    assert all(held(five, slug) == 0 for slug in FEATURES)
    # More was asked for than there is: calls were refused for want of one feature, and counted nothing of the others.
    assert min(counted.values()) > LIMIT // 2


def naive_one_by_one(organization: Organization, index: int) -> int:
    """What a hurried developer writes: a call for each feature, and an error in the middle."""
    random, sums = Random(index), dict.fromkeys(FEATURES, 0)
    for _call in range(CALLS // SIZE):
        wanted = subset(random)
        try:
            for slug, amount in wanted.items():
                quotas.consume(organization, slug, amount)
        except QuotaExceeded:
            continue
        for slug, amount in wanted.items():
            sums[slug] += amount
    return packed(sums)


def test_consuming_one_by_one_leaves_a_part_of_what_was_refused(five: Organization, together: Together) -> None:
    granted = together(SIZE, partial(naive_one_by_one, five))
    assert packed({slug: used(five, slug) for slug in FEATURES}) > sum(granted)


def test_locking_in_the_callers_order_deadlocks(five: Organization) -> None:
    """The negative control: two callers, two features, each in his own order, and neither can go on."""
    if connection.vendor == "sqlite":
        pytest.skip("One writer at a time: the second waits before its first statement.")
    quotas.consume(five, dict.fromkeys(FEATURES, 1))
    both_hold_one = threading.Barrier(2)

    def naive(index: int) -> int:
        order = FEATURES[:2] if index else FEATURES[1::-1]
        try:
            with transaction.atomic():
                for slug in order:
                    assert UsageCounter.objects.consume(five.pk, slug, 1, clock.now())
                    both_hold_one.wait(30) if slug == order[0] else None
        except OperationalError as error:
            assert "deadlock" in str(error).lower()
            return 1
        return 0

    assert sum(run_together(2, naive)) == 1
    assert used(five, FEATURES[0]) == used(five, FEATURES[1]) == 2
