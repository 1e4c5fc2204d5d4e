"""What time does to subscriptions, noted once, and whether anybody notes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import router, transaction

from ..models import Heartbeat, Subscription, SubscriptionEvent
from ..models.heartbeats import STOPPED_AFTER
from .rows import BATCH

COMMAND = "run_billing"


def run_due(now: datetime) -> Iterator[SubscriptionEvent]:
    """Note and announce what happened by itself until ``now``, each thing once, however often and late this runs.

    What anybody may use does not wait for it. Safe to run in parallel. Leaves a heartbeat when all is done.
    """
    using = router.db_for_write(Subscription)
    due = Subscription.objects.using(using).filter(due_at__lte=now).order_by("due_at", "pk")
    while keys := list(due.values_list("pk", flat=True)[:BATCH]):
        for key in keys:
            with transaction.atomic(using=using):
                # An organization that was deleted meanwhile took it along.
                row = Subscription.objects.using(using).select_for_update().filter(pk=key).first()
                events = row.catch_up(now, remind=True) if row is not None else []
            yield from events
    Heartbeat.objects.beat(COMMAND, now)


def overdue_since(now: datetime, database: str | None = None) -> datetime | None:
    """Since when run_billing has stopped: its last run, or what became due first. None while it runs or has no work."""
    late = now - STOPPED_AFTER
    beat = Heartbeat.objects.using(database).filter(name=COMMAND).first()
    if beat is not None:
        return beat.at if beat.at < late else None
    due = Subscription.objects.using(database).filter(due_at__lt=late).order_by("due_at")
    return due.values_list("due_at", flat=True).first()
