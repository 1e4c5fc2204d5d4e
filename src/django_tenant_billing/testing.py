"""Helpers for the tests of sites that use this package."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Model

from . import clock
from .catalogue import read_catalogue
from .models import Subscription, UsageCounter
from .periods import FOREVER, Period
from .seeding import seed

__all__ = ["clock_moved", "seed_catalogue", "set_used", "subscribe"]

clock_moved = clock.moved
"""``with clock_moved(timedelta(days=31)): ...`` moves the time that billing sees, in all threads."""


def seed_catalogue() -> None:
    """What ``init_plan_limits`` does, silently."""
    seed(read_catalogue())


def subscribe(organization: Model, plan: str, *, until: datetime | None = None) -> Subscription:
    """Put an organization on a plan without a payment; ``until`` None never ends, and may lie in the past."""
    subscription = Subscription.objects.ensure(organization.pk, clock.now())
    subscription.plan_id, subscription.period_end = plan, until
    if until is not None and until <= subscription.period_start:
        subscription.period_start = until - timedelta(days=1)
    subscription.save(update_fields=["plan", "period_start", "period_end", "updated_at"])
    return subscription


def set_used(organization: Model, feature: str, used: int) -> None:
    """Make the current period's count of a feature what a test needs."""
    now = clock.now()
    decision = UsageCounter.objects.look(organization.pk, now, feature)[0].decision
    period = FOREVER
    if decision.period_start is not None and decision.period_end is not None:
        period = Period(decision.period_start, decision.period_end)
    UsageCounter.objects.open_period(organization.pk, feature, period, used)
    UsageCounter.objects.filter(
        organization_id=organization.pk, feature_id=feature, period_start__lte=now, period_end__gt=now
    ).update(used=used)
