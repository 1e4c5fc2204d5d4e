"""What people do to a subscription beside paying.

Each act locks the row, notes first what happened by itself until now, and leaves a line of history with who and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from .. import clock
from ..conf import conf, load
from ..exceptions import NotForSale, NotPossible, TrialUsed
from ..lifecycle import Change, State
from ..models import Activation, PlanPrice, Subscription, SubscriptionEvent, TrialMark, UsageCounter
from ..models.activations import ActivationQuerySet
from ..models.append_only import reasoned
from ..models.purchases import buy, drop_next, facts_of, give_back, prepaid, shift_next
from ..models.quotes import (
    Excess,
    Quote,
    credits_for,
    excess_under,
    plan_for_sale,
    price_of,
    quote,
    stands_lower,
    terms_of,
)
from ..periods import Interval, add
from .rows import subscription_of

QUESTION = "who did this to the organization, and why?"


@contextmanager
def _change(
    organization: Model, change: Change, actor: str, reason: str, data: Mapping[str, Any] | None = None
) -> Iterator[tuple[Subscription, datetime]]:
    """The locked row, caught up, and the moment; on leaving it is saved, with its grace, and a line of history."""
    now = clock.now()
    with transaction.atomic(using=router.db_for_write(Subscription)):
        row = Subscription.objects.lock(organization.pk, now)
        row.catch_up(now)
        before = row.snapshot()
        yield row, now
        row.grant_grace()
        row.save()
        SubscriptionEvent.objects.append(row, change, before=before, at=now, actor=actor, reason=reason, data=data)


def preview(organization: Model, plan: str, price: PlanPrice | str | None = None) -> tuple[Quote, tuple[Excess, ...]]:
    """What buying a plan would do and cost now, and what exists already beyond its limits.

    ``price`` is one of its prices, or the term of one (``"year"``). Raises NotForSale.
    """
    subscription = subscription_of(organization)
    return quote(subscription, terms_of(price_of(plan, price)), clock.now()), excess_under(subscription, plan)


def buy_with_credit(organization: Model, plan: str, price: PlanPrice | str | None = None, *, actor: str) -> Activation:
    """Buy a plan that credit pays for altogether. Raises NotForSale, also where something would be left to pay."""
    terms = terms_of(price_of(plan, price))
    now = clock.now()
    with transaction.atomic(using=router.db_for_write(Subscription)):
        row = Subscription.objects.lock(organization.pk, now)
        if quote(row, terms, now).due_minor:
            raise NotForSale(plan, _("credit does not pay for all of it: start a payment"))
        return buy(row, terms, now, paid_minor=0, actor=actor)


def cancel(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """End the subscription when what was paid ends, without grace. Until then ``resume`` undoes it.

    Raises NotPossible where nothing is going to end.
    """
    with _change(organization, Change.CANCELED, actor, reason) as (row, now):
        if row.period_end is None or row.state(now) not in (State.ACTIVE, State.TRIALING):
            raise NotPossible("cancel", row.state(now), _("nothing of it is going to end"))
        if row.next_period_end is None:
            row.next_plan_id = None
        row.canceled_at = now
        return row


def resume(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """Take a cancellation back, while the paid time lasts. Raises NotPossible."""
    with _change(organization, Change.RESUMED, actor, reason) as (row, now):
        if row.state(now) is not State.CANCELED:
            raise NotPossible("resume", row.state(now), _("it was not canceled"))
        row.canceled_at = None
        return row


def schedule_change(organization: Model, plan: str, *, actor: str, reason: str = "") -> Subscription:
    """Change to a lower plan when what was paid ends; until then ``undo_change`` undoes it. Nothing is deleted.

    Raises NotPossible, NotForSale.
    """
    price_of(plan)
    with _change(organization, Change.CHANGE_SCHEDULED, actor, reason) as (row, now):
        if (problem := _unschedulable(row, plan, now)) is not None:
            raise NotPossible("change", row.state(now), problem)
        row.next_plan_id, row.canceled_at = plan, None
        return row


def may_schedule(organization: Model, plan: str) -> bool:
    """Could a change to this plan be scheduled now, and is it not yet? Reads only."""
    now = clock.now()
    row = subscription_of(organization).rolled(now)
    return row.next_plan_id != plan and _unschedulable(row, plan, now) is None


def undo_change(organization: Model, *, actor: str, reason: str = "") -> Subscription:
    """Stay on the plan in force; what was prepaid for the next one becomes credit. Raises NotPossible, NotForSale."""
    facts: dict[str, Any] = {}
    with _change(organization, Change.CHANGE_UNDONE, actor, reason, facts) as (row, now):
        if row.next_plan_id is None:
            raise NotPossible("undo_change", row.state(now), _("none is going to come"))
        facts["credits"] = facts_of(drop_next(row, now))
        return row


def set_by_staff(organization: Model, plan: str, until: datetime | None, *, actor: str, reason: str) -> Subscription:
    """Put an organization on a plan without a payment, until a moment or without an end: a gift, or a correction.

    Another plan than the one in force begins now, with fresh counters. Paid time that it takes the place of, or cuts
    short, becomes credit, and so does what was prepaid for the next plan. Raises ValueError for an end that is past, or
    without a reason; NotForSale.
    """
    reasoned(actor, reason, QUESTION)
    facts: dict[str, Any] = {}
    with _change(organization, Change.COMPED, actor, reason.strip(), facts) as (row, now):
        if until is not None and until <= now:
            raise ValueError("Name an end that is still to come; to end what was paid, cancel it.")
        same, paid = row.plan_in_force(now) == plan, Activation.objects.open_of(row, now)
        if not same or (until is not None and _cuts(row, paid, until)):
            replaced = credits_for(row, paid, now)
        else:
            replaced = prepaid(row, now)
        give_back(row, replaced, now)
        facts["credits"] = facts_of(replaced)
        row.next_plan_id = row.next_period_end = None
        if not same:
            UsageCounter.objects.close(row.organization_id, now)
            row.anchor = row.period_start = now
        row.plan_id, row.period_end = plan, until
        row.trial_ends_at = row.canceled_at = None
        return row


def _cuts(row: Subscription, paid: ActivationQuerySet, until: datetime) -> bool:
    """Would an end at ``until`` cut short what was paid, or a gift that follows it?"""
    return paid.filter(ends_at__gt=until).exists() if row.period_end is None else until < row.period_end


def extend(organization: Model, days: int, *, actor: str, reason: str) -> Subscription:
    """Give days to a paid or given plan, at its end; what was prepaid after it comes as much later.

    Months are counted from the new end from then on. Raises NotPossible, ValueError.
    """
    _reasoned(days, actor, reason)
    with _change(organization, Change.EXTENDED, actor, reason.strip(), {"days": days}) as (row, now):
        if row.on_trial(now):
            raise NotPossible("extend", row.state(now), _("it is a trial; extend the trial"))
        if row.period_end is None or row.state(now) is State.EXPIRED:
            raise NotPossible("extend", row.state(now), _("there is no end to move"))
        end = add(row.period_end, Interval.DAY, days, row.zone)
        if end <= now:
            raise NotPossible("extend", row.state(now), _("it ended more than %(days)d days ago") % {"days": days})
        row.anchor = end
        shift_next(row, now, end)
        row.period_end = end
        return row


def start_trial(organization: Model, plan: str, *, actor: str, reason: str = "") -> Subscription:
    """Let an organization try a plan for its days of trial, once: for it and for everything it is known by.

    Raises NotPossible, TrialUsed, NotForSale.
    """
    days = plan_for_sale(plan).trial_days
    if not days:
        raise NotForSale(plan, _("it has no trial"))
    with _change(organization, Change.TRIAL_STARTED, actor, reason) as (row, now):
        if not _is_free(row, now):
            raise NotPossible("start_trial", row.state(now), _("it has %(plan)s") % {"plan": row.plan_in_force(now)})
        if not TrialMark.objects.mark(_trial_keys(organization), plan, now):
            raise TrialUsed("start_trial", row.state(now), _("the one trial was had"))
        UsageCounter.objects.close(row.organization_id, now)
        row.plan_id, row.anchor, row.period_start = plan, now, now
        row.period_end = row.trial_ends_at = add(now, Interval.DAY, days, row.zone)
        row.canceled_at = None
        return row


def may_try(organization: Model) -> bool:
    """Could a trial start now? Reads only: somebody else may be first."""
    row, now = subscription_of(organization), clock.now()
    return _is_free(row, now) and not TrialMark.objects.known(_trial_keys(organization))


def extend_trial(organization: Model, days: int, *, actor: str, reason: str) -> Subscription:
    """Let a trial last longer. Raises NotPossible, ValueError."""
    _reasoned(days, actor, reason)
    with _change(organization, Change.TRIAL_EXTENDED, actor, reason.strip(), {"days": days}) as (row, now):
        if row.trial_ends_at is None or row.next_plan_id is not None:
            raise NotPossible("extend_trial", row.state(now), _("no trial is running that nothing was paid after"))
        row.trial_ends_at = row.period_end = add(row.trial_ends_at, Interval.DAY, days, row.zone)
        return row


def _reasoned(days: int, actor: str, reason: str) -> None:
    if type(days) is not int or days < 1:
        raise ValueError(f"{days!r} is not a whole number of days from 1 up.")
    reasoned(actor, reason, QUESTION)


def _unschedulable(row: Subscription, plan: str, now: datetime) -> str | None:
    """Why a change to this plan cannot be scheduled; None where it can."""
    if row.period_end is None or row.on_trial(now) or row.state(now) not in (State.ACTIVE, State.CANCELED):
        return _("no paid time is running; buy the plan")
    if row.next_period_end is not None:
        return _("%(plan)s is paid for; undo that first") % {"plan": row.next_plan_id}
    if not stands_lower(plan, row.plan_id):
        return _("%(plan)s is no lower plan; buy it, and it begins at once") % {"plan": plan}
    return None


def _is_free(row: Subscription, now: datetime) -> bool:
    """Is it on the fallback plan, with nothing else in force or in grace?"""
    return row.plan_in_force(now) == conf.fallback_plan and row.state(now) is not State.GRACE


def _trial_keys(organization: Model) -> list[str]:
    """Everything the organization is known by."""
    return [f"organization:{organization.pk}", *load(conf.trial_keys, _nothing_else)(organization)]


def _nothing_else(_organization: Model) -> list[str]:
    return []
