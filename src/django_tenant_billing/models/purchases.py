"""Buying, as quotes.py says, and what becomes of paid time that something else takes the place of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ..exceptions import NotForSale
from ..lifecycle import Change
from ..periods import Interval, extended
from .activations import Activation
from .counters import UsageCounter
from .history import SubscriptionEvent
from .quotes import Credit, Purchase, Quote, Terms, credits_for, quoted
from .subscriptions import Subscription

CHANGES = {
    Purchase.STARTS: Change.STARTED, Purchase.CONVERTS: Change.STARTED, Purchase.RENEWS: Change.RENEWED,
    Purchase.UPGRADES: Change.UPGRADED, Purchase.PREPAYS: Change.PREPAID,
}  # fmt: skip


def buy(
    subscription: Subscription, terms: Terms, now: datetime, *, paid_minor: int, actor: str,
    payment: Any = None, purchase_key: str | None = None,
) -> Activation:  # fmt: skip
    """Apply a purchase that was paid with ``paid_minor``, and the rest with credit. The caller holds the lock.

    Money that was taken is applied, also where ``quote`` would refuse to sell. Where credit has shrunk since it was
    quoted, the rest is forgiven. Raises NotForSale where unused time was paid in another currency, which verdicts.py
    sends to review before.
    """
    subscription.catch_up(now)
    before, offer = subscription.snapshot(), quoted(subscription, terms, now)
    spent = min(max(terms.price_minor - paid_minor, 0), offer.credit_minor)
    give_back(subscription, offer.credits, now)
    subscription.credit_minor -= spent
    put(subscription, offer, now)
    activation = Activation.objects.create(
        payment=payment, purchase=purchase_key, subscription=subscription, plan=terms.plan, at=now,
        starts_at=offer.starts_at, ends_at=offer.ends_at, value_minor=paid_minor + spent, spent_credit_minor=spent,
        currency=terms.currency, price_minor=terms.price_minor, interval=terms.interval, interval_count=terms.intervals,
        before=before,
    )  # fmt: skip
    replace_by(activation, offer.credits)
    data = {
        "plan": terms.plan, "price_minor": terms.price_minor, "paid_minor": paid_minor, "credit_minor": spent,
        "currency": terms.currency, "from": offer.starts_at.isoformat(), "until": offer.ends_at.isoformat(),
        "credits": facts_of(offer.credits),
    }  # fmt: skip
    SubscriptionEvent.objects.append(
        subscription, CHANGES[offer.purchase], before=before, at=now, actor=actor, payment=payment, data=data
    )
    return activation


def replace_by(activation: Activation, credits_: Iterable[Credit]) -> None:
    """Note which purchase took the place of these spans."""
    Activation.objects.filter(pk__in=[credit.activation.pk for credit in credits_]).update(replaced_by=activation)


def facts_of(credits_: Iterable[Credit]) -> list[dict[str, Any]]:
    """What came back of paid time, for history."""
    return [
        {"plan": c.activation.plan, "unused_days": c.unused_days, "days": c.days, "amount_minor": c.amount_minor}
        for c in credits_
    ]


def give_back(row: Subscription, credits_: Iterable[Credit], now: datetime) -> None:
    """Close spans of paid time; what they are worth becomes credit of the locked row, which is not saved.

    Raises NotForSale where that would be credit of two currencies.
    """
    for credit in credits_:
        span = credit.activation
        if row.credit_minor and row.credit_currency != span.currency:
            raise NotForSale(span.plan, _("there is credit in another currency already"))
        row.credit_minor, row.credit_currency = row.credit_minor + credit.amount_minor, span.currency
        span.closed_at, span.credited_minor = now, credit.amount_minor
        span.save(update_fields=["closed_at", "credited_minor"])


def drop_next(row: Subscription, now: datetime) -> tuple[Credit, ...]:
    """Take the next plan out of a locked, caught-up row, as give_back; what was prepaid becomes credit."""
    credits_ = prepaid(row, now)
    give_back(row, credits_, now)
    row.next_plan_id = row.next_period_end = None
    return credits_


def prepaid(row: Subscription, now: datetime) -> tuple[Credit, ...]:
    """What would come back of what was paid for the next plan."""
    if row.next_period_end is None:
        return ()
    return credits_for(row, Activation.objects.open_of(row, now).filter(starts_at__gte=row.period_end), now)


def shift_next(row: Subscription, now: datetime, begins: datetime) -> None:
    """What was prepaid for the next plan begins at another moment, with all of its months. Does not save the row."""
    if row.next_period_end is None:
        return
    for span in Activation.objects.open_of(row, now).filter(starts_at__gte=row.period_end):
        length = Interval(span.interval), span.interval_count
        span.starts_at, span.ends_at = begins, extended(row.anchor, begins, *length, row.zone)
        span.save(update_fields=["starts_at", "ends_at"])
        begins = span.ends_at
    row.next_period_end = begins


def put(row: Subscription, offer: Quote, now: datetime) -> None:
    """Write a purchase into the row, and save it."""
    terms = offer.terms
    if offer.purchase is Purchase.RENEWS:
        shift_next(row, now, offer.ends_at)
        if row.next_period_end is None:
            row.next_plan_id = None  # Who pays for this plan again wants no other.
        row.period_end = offer.ends_at
    elif offer.purchase is Purchase.PREPAYS:
        if row.follows_trial(now):
            row.anchor = offer.starts_at
        row.next_plan_id, row.next_period_end = terms.plan, offer.ends_at
    else:
        UsageCounter.objects.close(row.organization_id, now)
        row.plan_id, row.anchor, row.period_start, row.period_end = terms.plan, offer.starts_at, now, offer.ends_at
        row.next_plan_id = row.next_period_end = row.trial_ends_at = None
    row.canceled_at = None
    row.grant_grace()
    row.save()
