"""Subscriptions: the rows a new organization gets, what people do to them beside paying, and what time does.

Each act locks the row, notes first what happened by itself until now, and leaves a line of history with who and why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import Exists, Model, OuterRef

from . import clock
from .conf import conf
from .exceptions import CatalogueMissing, NotForSale, NotPossible
from .lifecycle import Change, State
from .models import Activation, PlanPrice, Subscription, SubscriptionEvent, Usage, UsageCounter
from .models.purchases import (
    Excess,
    Quote,
    buy,
    drop_next,
    excess_under,
    price_of,
    quote,
    stands_lower,
    terms_of,
)
from .models.rows import insert_missing
from .organizations import organization_model

logger = logging.getLogger("tenant_billing")

BATCH = 500


def subscription_of(organization: Model) -> Subscription:
    """The organization's subscription; created on the fallback plan at first touch. Raises CatalogueMissing."""
    return Subscription.objects.ensure(organization.pk, clock.now())


def usage_of(organization: Model) -> Usage:
    """The organization's usage row; created at first touch."""
    return Usage.objects.ensure(organization.pk)


def preview(organization: Model, plan: str, price: PlanPrice | None = None) -> tuple[Quote, tuple[Excess, ...]]:
    """What buying a plan would do and cost now, and what exists already beyond its limits. Raises NotForSale."""
    subscription = subscription_of(organization)
    return quote(subscription, terms_of(price_of(plan, price)), clock.now()), excess_under(subscription, plan)


def buy_with_credit(organization: Model, plan: str, price: PlanPrice | None = None, *, actor: str) -> Activation:
    """Buy a plan that credit pays for altogether. Raises NotForSale, also where something would be left to pay."""
    terms = terms_of(price_of(plan, price))
    now = clock.now()
    with transaction.atomic(using=router.db_for_write(Subscription)):
        row = Subscription.objects.lock(organization.pk, now)
        if quote(row, terms, now).due_minor:
            raise NotForSale(plan, "credit does not pay for all of it: start a payment")
        return buy(row, terms, now, paid_minor=0, actor=actor)


def cancel(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """End the subscription when what was paid ends, without grace. Until then ``resume`` undoes it.

    Raises NotPossible where nothing is going to end.
    """
    with _change(organization, Change.CANCELED, actor, reason) as (row, now):
        if row.period_end is None or row.state(now) not in (State.ACTIVE, State.TRIALING):
            raise NotPossible("cancel", row.state(now), "nothing of it is going to end")
        if row.next_period_end is None:
            row.next_plan_id = None
        row.canceled_at = now
        return row


def resume(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """Take a cancellation back, while the paid time lasts. Raises NotPossible."""
    with _change(organization, Change.RESUMED, actor, reason) as (row, now):
        if row.state(now) is not State.CANCELED:
            raise NotPossible("resume", row.state(now), "it was not canceled")
        row.canceled_at = None
        return row


def schedule_change(organization: Model, plan: str, *, actor: str, reason: str = "") -> Subscription:
    """Change to a lower plan when what was paid ends; until then ``undo_change`` undoes it. Nothing is deleted.

    Raises NotPossible, NotForSale.
    """
    price_of(plan)
    with _change(organization, Change.CHANGE_SCHEDULED, actor, reason) as (row, now):
        if row.period_end is None or row.state(now) not in (State.ACTIVE, State.CANCELED):
            raise NotPossible("change", row.state(now), "no paid time is running; buy the plan")
        if row.next_period_end is not None:
            raise NotPossible("change", row.state(now), f"{row.next_plan_id} is paid for; undo that first")
        if not stands_lower(plan, row.plan_id):
            raise NotPossible("change", row.state(now), f"{plan} is no lower plan; buy it, and it begins at once")
        row.next_plan_id, row.canceled_at = plan, None
        return row


def undo_change(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """Stay on the plan in force; what was prepaid for the next one becomes credit. Raises NotPossible, NotForSale."""
    with _change(organization, Change.CHANGE_UNDONE, actor, reason) as (row, now):
        if row.next_plan_id is None:
            raise NotPossible("undo the change of", row.state(now), "none is going to come")
        drop_next(row, now)
        return row


def set_by_staff(organization: Model, plan: str, until: datetime | None, *, actor: str, reason: str) -> Subscription:
    """Put an organization on a plan without a payment, until a moment or without an end: a gift, or a correction.

    Another plan than the one in force begins now, with fresh counters. What was prepaid for the next plan becomes
    credit. Raises ValueError for an end that is past, or without a reason; NotForSale.
    """
    if not reason.strip() or not actor.strip():
        raise ValueError("This needs a reason and an actor: who did this to the organization, and why?")
    with _change(organization, Change.COMPED, actor, reason.strip()) as (row, now):
        if until is not None and until <= now:
            raise ValueError("Name an end that is still to come; to end what was paid, cancel it.")
        drop_next(row, now)
        if row.plan_in_force(now) != plan:
            UsageCounter.objects.close(row.organization_id, now)
            row.anchor = row.period_start = now
        row.plan_id, row.period_end = plan, until
        row.trial_ends_at = row.canceled_at = None
        return row


def run_due(now: datetime) -> Iterator[SubscriptionEvent]:
    """Note and announce what happened by itself until ``now``, each thing once, however often and late this runs.

    What anybody may use does not wait for it. Safe to run in parallel.
    """
    using = router.db_for_write(Subscription)
    due = Subscription.objects.using(using).filter(due_at__lte=now).order_by("due_at", "pk")
    while keys := list(due.values_list("organization_id", flat=True)[:BATCH]):
        for key in keys:
            with transaction.atomic(using=using):
                events = Subscription.objects.lock(key, now).catch_up(now)
            yield from events


@contextmanager
def _change(organization: Model, change: Change, actor: str, reason: str) -> Iterator[tuple[Subscription, datetime]]:
    """The locked row, caught up, and the moment; on leaving it is saved, with its grace, and a line of history."""
    now = clock.now()
    with transaction.atomic(using=router.db_for_write(Subscription)):
        row = Subscription.objects.lock(organization.pk, now)
        row.catch_up(now)
        before = row.snapshot()
        yield row, now
        row.grant_grace()
        row.save()
        SubscriptionEvent.objects.append(row, change, before=before, at=now, actor=actor, reason=reason)


def welcome(organization: Model) -> bool:
    """Give a new organization its subscription and usage. False, and nothing raised, where that cannot be yet:
    a sign-up never fails because of billing, and first touch makes the rows up later.
    """
    try:
        with transaction.atomic(using=router.db_for_write(Subscription)):
            subscription_of(organization)
            usage_of(organization)
    except CatalogueMissing:
        return False
    except DatabaseError as error:
        logger.warning("No billing rows yet for new organization %s: %s", organization.pk, type(error).__name__)
        return False
    return True


def organizations_without_rows() -> list[Any]:
    """Keys of organizations that lack a subscription or a usage row."""
    return list(
        organization_model()
        ._default_manager.exclude(
            Exists(Subscription.objects.filter(organization_id=OuterRef("pk")))
            & Exists(Usage.objects.filter(organization_id=OuterRef("pk")))
        )
        .values_list("pk", flat=True)
    )


def backfill(keys: list[Any], now: datetime) -> None:
    """Create the subscription and usage rows that these organizations lack, in batches."""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        insert_missing(
            Subscription,
            [
                Subscription(organization_id=key, plan_id=conf.fallback_plan, anchor=now, period_start=now)
                for key in batch
            ],
            ["organization"],
        )
        insert_missing(Usage, [Usage(organization_id=key) for key in batch], ["organization"])
