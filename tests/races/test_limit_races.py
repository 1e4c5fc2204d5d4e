"""Limits that change while many consume: each grant respects the limit in force when its statement began."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import LimitOverride, Subscription, UsageCounter
from django_tenant_billing.testing import set_used
from tests.races.counting import Together, set_limit, used
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, CONSUMERS = 2, 8
OPEN, CLOSED = 10**6, 5
VIOLATION = 10**9
Consume = Callable[[Organization], bool]


def edit_limit(_organization: Organization, limit: int) -> None:
    set_limit(limit)


def change_plan(organization: Organization, limit: int) -> None:
    plan = "PRO" if limit == OPEN else "FREE"
    Subscription.objects.filter(organization=organization).update(plan=plan)


def expire(organization: Organization, limit: int) -> None:
    now = clock.now()
    end = now + timedelta(days=1) if limit == OPEN else now
    Subscription.objects.filter(organization=organization).update(
        plan="PRO", period_start=now - timedelta(days=1), period_end=end
    )


def override(organization: Organization, limit: int) -> None:
    if limit == OPEN:
        quotas.override(organization, "invoices", OPEN, reason="a race", actor="test")
    else:
        assert quotas.end_override(LimitOverride.objects.filter(organization=organization)[0])


class Gate:
    """What writers and consumers tell each other, across threads as across processes."""

    def __init__(self, write: Callable[[Organization, int], None], organization: Organization, cycles: int) -> None:
        context = multiprocessing.get_context("fork")
        self.write, self.organization, self.cycles = write, organization, cycles
        self.lock = context.Lock()
        self.opening, self.closed, self.finished = (context.Value("i", 0) for _number in range(3))

    def open_and_close(self) -> int:
        for _cycle in range(self.cycles):
            with self.lock:
                self.opening.value += 1
                self.write(self.organization, OPEN)
                before = used(self.organization)
                assert any(used(self.organization) > before for _poll in count())  # somebody is granted a unit
                self.write(self.organization, CLOSED)
                self.closed.value += 1
        with self.finished.get_lock():
            self.finished.value += 1
        return 0

    def consume_until_closed(self, consume: Consume) -> int:
        """Units granted, and a violation for each that was granted from beginning to end of a closed gate."""
        granted = 0
        while True:
            over = self.finished.value == WRITERS
            closed = self.closed.value
            opening = self.opening.value
            got = consume(self.organization)
            granted += got + VIOLATION * (got and closed == opening == self.opening.value)
            if over:
                return granted


def act(gate: Gate, consume: Consume, index: int) -> int:
    return gate.open_and_close() if index < WRITERS else gate.consume_until_closed(consume)


def consume_one(organization: Organization) -> bool:
    try:
        quotas.consume(organization, "invoices")
    except QuotaExceeded:
        return False
    return True


@pytest.fixture
def downgraded(contended: Organization) -> Organization:
    """10 invoices were made, and now there is room for 5."""
    set_limit(OPEN, plan="PRO")
    set_limit(CLOSED)
    set_used(contended, "invoices", 10)
    return contended


@pytest.mark.parametrize("write", [edit_limit, change_plan, expire, override])
def test_nothing_is_granted_after_a_downgrade_and_something_after_each_upgrade(
    downgraded: Organization, together: Together, runs: int, write: Callable[[Organization, int], None]
) -> None:
    gate = Gate(write, downgraded, cycles=max(runs // WRITERS, 1))
    granted = sum(together(WRITERS + CONSUMERS, partial(act, gate, consume_one)))
    assert granted < VIOLATION
    assert granted == used(downgraded) - 10 >= gate.cycles * WRITERS
    assert not quotas.check(downgraded, "invoices")


def test_a_limit_that_is_remembered_is_granted_from_after_the_downgrade(
    downgraded: Organization, together: Together
) -> None:
    """The negative control: the same machinery sees the naive version, which asks for the limit once an hour."""
    edit_limit(downgraded, OPEN)
    remembered: Any = quotas.check(downgraded, "invoices").limit
    edit_limit(downgraded, CLOSED)

    def naive(organization: Organization) -> bool:
        return UsageCounter.objects.convert(organization.pk, "invoices", 0, 1, clock.now()) and remembered == OPEN

    gate = Gate(edit_limit, downgraded, cycles=1)
    assert sum(together(WRITERS + CONSUMERS, partial(act, gate, naive))) > VIOLATION
