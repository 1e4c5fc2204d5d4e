"""Helpers for the tests of sites that use this package."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Model

from .. import clock, quotas
from ..catalogue_reader import read_catalogue
from ..models import Subscription
from ..seeding import seed
from .contract import BrokenContract, GatewayContract

__all__ = ["BrokenContract", "GatewayContract", "clock_moved", "seed_catalogue", "set_used", "subscribe"]

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
    quotas.set_usage(organization, feature, used)
