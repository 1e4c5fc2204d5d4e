"""What the tests of subscriptions share: prices, moments, and somebody who pays what is due."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from django_tenant_billing.models import (
    Activation,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import price_of, quote, terms_of
from tests.testapp.models import Organization

ZONE = timezone.get_default_timezone()
START = datetime(2026, 1, 31, 6, 0, tzinfo=UTC)
"""The 31st, at a quarter to noon in Kathmandu."""


def on(day: int, month: int, year: int = 2026) -> datetime:
    """That day at the hour of START."""
    return START.replace(year=year, month=month, day=day)


def yearly() -> PlanPrice:
    return PlanPrice.objects.get(plan="PRO", interval="year")


def pay(organization: Organization, plan: str, now: datetime, price: PlanPrice | None = None) -> Activation:
    """Buy and pay what is due."""
    terms = terms_of(price_of(plan, price))
    with transaction.atomic():
        row = Subscription.objects.lock(organization.pk, now)
        return buy(row, terms, now, paid_minor=quote(row, terms, now).due_minor, actor="payer")


def row() -> Subscription:
    return Subscription.objects.get()


def history() -> list[str]:
    return [event.change for event in SubscriptionEvent.objects.all()]
