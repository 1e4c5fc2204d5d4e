"""What the races of the quota engine share: how many, how much, and what was counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from django.db import connection
from django.db.models import F, Sum

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import PlanLimit, UsageCounter
from tests.testapp.models import Organization

Together: TypeAlias = Callable[[int, Callable[[int], int]], list[int]]

TRIES = 640

SQLITE_WRITERS = 8
"""SQLite has one writer at a time: more processes would queue, not contend."""


def size_here(size: int) -> int:
    return min(size, SQLITE_WRITERS) if connection.vendor == "sqlite" else size


def set_limit(limit: int, feature: str = "invoices", plan: str = "FREE") -> None:
    PlanLimit.objects.filter(plan=plan, feature=feature).update(limit_value=limit)


def used(organization: Organization, feature: str = "invoices") -> int:
    """Over all periods."""
    return total(organization, feature, "used")


def held(organization: Organization, feature: str = "invoices") -> int:
    return total(organization, feature, "held")


def total(organization: Organization, feature: str, column: str) -> int:
    rows = UsageCounter.objects.filter(organization=organization, feature=feature)
    return rows.aggregate(total=Sum(column, default=0))["total"]  # type: ignore[no-any-return]


def consume_many(
    organization: Organization, tries: int, feature: str = "invoices", most: int = 1, first: int = 0
) -> int:
    """Units granted to ``tries`` tries of 1, 2, ... ``most``, 1, 2, ... units, starting somewhere in that cycle."""
    granted = 0
    for number in range(tries):
        amount = 1 + (first + number) % most
        try:
            quotas.consume(organization, feature, amount)
        except QuotaExceeded:
            continue
        granted += amount
    return granted


def naive_consume(organization: Organization, limit: int, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: read, compare, then count."""
    counter = UsageCounter.objects.get(organization=organization, feature="invoices")
    looked()
    if counter.used + 1 > limit:
        return 0
    UsageCounter.objects.filter(pk=counter.pk).update(used=F("used") + 1)
    return 1


def wait_for_a_waiter(answered: threading.Event) -> bool:
    """PostgreSQL: does another connection wait for a lock, before somebody was answered without waiting?"""
    waiting = False
    with connection.cursor() as cursor:
        while not waiting and not answered.is_set():
            cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
            waiting = cursor.fetchone()[0]
    return waiting
