"""What the tests of the quota engine share: limits to set, moments to go to, and what must add up after every verb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import DEFAULT
from django_tenant_billing.decisions import Decision
from django_tenant_billing.models import Hold, HoldState, PlanLimit, Subscription, UsageCounter
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import Terms
from django_tenant_billing.periods import Interval
from tests.testapp.models import Organization

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of the block, when it has ended, without those that only begin and end transactions."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries if not query["sql"].startswith(TRANSACTIONS)]


def change_limit(feature: str = "invoices", plan: str = "FREE", **values: Any) -> None:
    """Edit a limit as the admin does: ``limit_value``, ``trial_differs``, ``trial_limit_value``, ``grace_days``."""
    assert PlanLimit.objects.filter(plan=plan, feature=feature).update(**values) == 1


def at(moment: datetime) -> AbstractContextManager[None]:
    """The block runs at this moment, but for the milliseconds that it takes."""
    return clock.moved(moment - clock.now())


def look(organization: Organization, feature: str = "invoices") -> Decision:
    """What the page shows, whose numbers must add up and be those of the counter."""
    decision = quotas.check(organization, feature)
    if decision.limit is not None:
        assert decision.remaining is not None
        assert decision.used + decision.held + decision.remaining - decision.over == decision.limit
    now = clock.now()
    row = UsageCounter.objects.filter(
        organization=organization, feature=feature, period_start__lte=now, period_end__gt=now
    ).first()
    alive = Hold.objects.filter(organization=organization, feature=feature, state=HoldState.HELD)
    alive = alive.exclude(expires_at=LONG_AGO)
    if row is not None:
        alive = alive.filter(at__gte=row.period_start, at__lt=row.period_end)
        assert decision.used == row.used
        assert decision.held == sum(alive.values_list("amount", flat=True))
    return decision


def numbers(organization: Organization, feature: str = "invoices") -> tuple[int, int]:
    """Used and held."""
    decision = look(organization, feature)
    return decision.used, decision.held


def let_expire(reservation: quotas.Reservation) -> None:
    """The time of a reservation passes, by the clock of the database, which nobody can move."""
    assert Hold.objects.filter(key=reservation.key, state=HoldState.HELD).update(expires_at=LONG_AGO)


def with_ledger(*features: str) -> dict[str, Any]:
    """The package's own catalogue, with a ledger of these features."""
    raw = deepcopy(dict(DEFAULT))
    for feature in features:
        raw["features"][feature]["ledger"] = True
    return raw


def put_on(subscription: Subscription, plan: str, interval: Interval, count: int, now: datetime) -> None:
    """Buy a plan that begins now, unless it is the one in force: as if nothing else had been paid."""
    if subscription.plan_in_force(now) != plan:
        subscription.plan_id, subscription.period_end, subscription.next_plan_id = "FREE", None, None
    subscription.trial_ends_at = None
    buy(subscription, Terms(plan, 0, "NPR", interval, count), now, paid_minor=0, actor="test")
