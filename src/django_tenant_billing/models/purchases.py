"""Buying: what a price means for a subscription as it stands, what it costs with credit, and doing it.

==========  ==========================================================================================================
starts      nothing paid is in force: a period begins now, with a new anchor and fresh counters
converts    a trial of the same plan is paid: full limits and fresh counters now, the paid days follow the trial's
renews      the plan in force, early: a later end, nothing else
upgrades    a plan that stands as high or higher: it begins now, unused paid days become credit
prepays     a lower plan, or the one that comes next: it begins when what is paid ends
==========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ..catalogue import FeatureKind
from ..conf import conf
from ..exceptions import NotForSale
from ..lifecycle import Change
from ..periods import FOREVER, Interval, add, extended
from .activations import Activation
from .counters import UsageCounter
from .history import SubscriptionEvent
from .plans import Plan, PlanLimit, PlanPrice
from .subscriptions import Subscription


class Purchase(StrEnum):
    """What buying does."""

    STARTS = "starts"
    CONVERTS = "converts"
    RENEWS = "renews"
    UPGRADES = "upgrades"
    PREPAYS = "prepays"


class Terms(NamedTuple):
    """What is bought, at its full price."""

    plan: str
    price_minor: int
    currency: str
    interval: Interval
    intervals: int


@dataclass(frozen=True, slots=True)
class Credit:
    """What comes back of one span of paid time."""

    activation: Activation
    unused_days: int
    days: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Excess:
    """A feature of which more is there than the new plan allows: nothing is taken away, nothing new is granted."""

    feature: str
    plural: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a purchase would do, and cost, at one moment."""

    purchase: Purchase
    terms: Terms
    starts_at: datetime
    ends_at: datetime
    credits: tuple[Credit, ...]
    """Unused paid time that the purchase replaces."""
    balance_minor: int
    """Credit from before."""
    due_minor: int
    """What is to be paid now."""

    @property
    def spent_minor(self) -> int:
        """The part of the price that credit pays."""
        return self.terms.price_minor - self.due_minor

    @property
    def credit_minor(self) -> int:
        """All credit that is there for it."""
        return self.balance_minor + sum(credit.amount_minor for credit in self.credits)


def price_of(plan: str, price: PlanPrice | None = None) -> PlanPrice:
    """The price at which a plan is sold: the default one, or the given one if it is the plan's. Raises NotForSale."""
    # A NUL is no text to PostgreSQL, which would make a bug of a bad request.
    found = Plan.objects.filter(code=plan).first() if plan.isprintable() else None
    if found is None or found.code != plan:
        raise NotForSale(plan, "there is no such plan")
    if not found.is_active:
        raise NotForSale(plan, "it is no longer for sale")
    price = price or found.default_price()
    if price is None or price.amount_minor == 0:
        raise NotForSale(plan, "it is free")
    if price.plan_id != plan:
        raise NotForSale(plan, "that is the price of another plan")
    return price


def terms_of(price: PlanPrice) -> Terms:
    return Terms(
        price.plan_id, price.amount_minor, price.currency, Interval(price.interval), price.interval_count
    )  # fmt: skip


def quote(subscription: Subscription, terms: Terms, now: datetime, *, minimum_minor: int = 0) -> Quote:
    """What buying these terms at ``now`` would do and cost; changes nothing.

    Where anything is due, it is at least ``minimum_minor``: what credit is not needed then stays. Raises NotForSale.
    """
    row = subscription.rolled(now)
    purchase = _kind(row, terms.plan, now)
    if row.period_end is None and row.plan_id != conf.fallback_plan and purchase is not Purchase.UPGRADES:
        raise NotForSale(terms.plan, f"the organization has {row.plan_id} already, without an end")
    return _quoted(row, purchase, terms, now, minimum_minor)


def buy(
    subscription: Subscription, terms: Terms, now: datetime, *, paid_minor: int, actor: str,
    payment: Any = None, purchase_key: str | None = None,
) -> Activation:  # fmt: skip
    """Apply a purchase that was paid with ``paid_minor``, and the rest with credit. The caller holds the lock.

    Never refuses: money that was taken is applied. Where credit has shrunk since it was quoted, the rest is forgiven.
    """
    subscription.catch_up(now)
    purchase = _kind(subscription, terms.plan, now)
    quoted = _quoted(subscription, purchase, terms, now, 0)
    before = subscription.snapshot()
    spent = min(max(terms.price_minor - paid_minor, 0), quoted.credit_minor)
    for credit in quoted.credits:
        credit.activation.closed_at, credit.activation.credited_minor = now, credit.amount_minor
        credit.activation.save(update_fields=["closed_at", "credited_minor"])
    if quoted.credit_minor:
        subscription.credit_minor = quoted.credit_minor - spent
        subscription.credit_currency = terms.currency
    _put(subscription, quoted, now)
    activation = Activation.objects.create(
        payment=payment, purchase=purchase_key, subscription=subscription, plan=terms.plan, at=now,
        starts_at=quoted.starts_at, ends_at=quoted.ends_at, value_minor=paid_minor + spent, spent_credit_minor=spent,
        currency=terms.currency,
    )  # fmt: skip
    data = {
        "plan": terms.plan, "price_minor": terms.price_minor, "paid_minor": paid_minor, "credit_minor": spent,
        "currency": terms.currency, "from": quoted.starts_at.isoformat(), "until": quoted.ends_at.isoformat(),
        "credits": [
            {"plan": c.activation.plan, "unused_days": c.unused_days, "days": c.days, "amount_minor": c.amount_minor}
            for c in quoted.credits
        ],
    }  # fmt: skip
    change = {
        Purchase.RENEWS: Change.RENEWED, Purchase.UPGRADES: Change.UPGRADED, Purchase.PREPAYS: Change.PREPAID,
    }.get(purchase, Change.STARTED)  # fmt: skip
    SubscriptionEvent.objects.append(
        subscription, change, before=before, at=now, actor=actor, payment=payment, data=data
    )
    return activation


def drop_next(row: Subscription, now: datetime) -> int:
    """Take the next plan out of a locked, caught-up row; what was prepaid becomes credit, which is returned in paisa.

    Saves no row of it. Raises NotForSale where the credit would be of two currencies.
    """
    given_back = 0
    if row.next_period_end is not None:
        for later in Activation.objects.open_of(row, now).filter(starts_at__gte=row.period_end):
            if row.credit_minor and row.credit_currency != later.currency:
                raise NotForSale(later.plan, "there is credit in another currency already")
            later.closed_at, later.credited_minor = now, later.value_minor
            later.save(update_fields=["closed_at", "credited_minor"])
            given_back += later.value_minor
            row.credit_minor, row.credit_currency = row.credit_minor + later.value_minor, later.currency
    row.next_plan_id = row.next_period_end = None
    return given_back


def shift_next(row: Subscription, now: datetime, later: Callable[[datetime], datetime]) -> None:
    """What was prepaid for the next plan comes as much later as the end that it follows. Saves no row of it."""
    if row.next_period_end is None:
        return
    for activation in Activation.objects.open_of(row, now).filter(starts_at__gte=row.period_end):
        activation.starts_at, activation.ends_at = later(activation.starts_at), later(activation.ends_at)
        activation.save(update_fields=["starts_at", "ends_at"])
    row.next_period_end = later(row.next_period_end)


def stands_lower(plan: str, than: str) -> bool:
    """Does this plan come before the other in the order of plans? Raises NotForSale where there is no such plan."""
    position = dict(Plan.objects.filter(pk__in=[plan, than]).values_list("pk", "position"))
    if plan not in position:
        raise NotForSale(plan, "there is no such plan")
    return position[plan] < position[than]


def excess_under(subscription: Subscription, plan: str) -> tuple[Excess, ...]:
    """What exists already beyond the limits of another plan, in the order of the features."""
    limits = {limit.feature_id: limit.limit_value for limit in PlanLimit.objects.filter(plan=plan)}
    counters = UsageCounter.objects.filter(
        organization_id=subscription.organization_id, period_start=FOREVER.start, feature__kind=FeatureKind.EXISTS
    ).select_related("feature")
    found = []
    for counter in counters.order_by("feature__position", "feature"):
        limit = limits.get(counter.feature_id, 0)
        if limit is not None and counter.used > limit:
            found.append(Excess(counter.feature_id, counter.feature.plural, counter.used, limit))
    return tuple(found)


def _kind(row: Subscription, plan: str, now: datetime) -> Purchase:
    """What buying this plan means for a row that is caught up."""
    if row.period_end is None:
        return Purchase.STARTS if row.plan_id == conf.fallback_plan else _higher_or(row, plan, Purchase.STARTS)
    if row.period_end <= now:
        return Purchase.STARTS
    if plan == row.plan_id:
        return Purchase.CONVERTS if row.on_trial(now) else Purchase.RENEWS
    return Purchase.PREPAYS if plan == row.next_plan_id else _higher_or(row, plan, Purchase.PREPAYS)


def _higher_or(row: Subscription, plan: str, otherwise: Purchase) -> Purchase:
    return otherwise if plan == row.plan_id or stands_lower(plan, row.plan_id) else Purchase.UPGRADES


def _quoted(row: Subscription, purchase: Purchase, terms: Terms, now: datetime, minimum_minor: int) -> Quote:
    zone, credits_ = row.zone, _replaced(row, purchase, terms, now)
    start = now
    if purchase is Purchase.CONVERTS and row.trial_ends_at is not None:
        start = row.trial_ends_at
    elif purchase is Purchase.RENEWS and row.period_end is not None:
        start = row.period_end
    elif purchase is Purchase.PREPAYS and row.period_end is not None:
        same = terms.plan == row.next_plan_id and row.next_period_end is not None
        start = row.next_period_end if same and row.next_period_end is not None else row.period_end
    chained = purchase in (Purchase.RENEWS, Purchase.PREPAYS) and not row.on_trial(now)
    if chained:
        end = extended(row.anchor, start, terms.interval, terms.intervals, zone)
    else:
        end = add(start, terms.interval, terms.intervals, zone)
    balance = row.credit_minor if row.credit_currency == terms.currency else 0
    due = max(terms.price_minor - balance - sum(credit.amount_minor for credit in credits_), 0)
    if due:
        due = min(max(due, minimum_minor), terms.price_minor)
    return Quote(
        purchase=purchase, terms=terms, starts_at=start, ends_at=end, credits=credits_, balance_minor=balance,
        due_minor=due,
    )  # fmt: skip


def _replaced(row: Subscription, purchase: Purchase, terms: Terms, now: datetime) -> tuple[Credit, ...]:
    """The paid time that this purchase takes the place of. Raises NotForSale where it was paid in another currency."""
    if purchase is Purchase.UPGRADES:
        replaced = Activation.objects.open_of(row, now)
    elif purchase is Purchase.PREPAYS and row.next_period_end is not None and terms.plan != row.next_plan_id:
        replaced = Activation.objects.open_of(row, now).filter(starts_at__gte=row.period_end)
    else:
        return ()
    zone = row.zone
    found = tuple(Credit(activation, *activation.unused(now, zone)) for activation in replaced)
    held = row.credit_currency if row.credit_minor else terms.currency
    if found and {*(credit.activation.currency for credit in found), held} != {terms.currency}:
        raise NotForSale(terms.plan, f"its price is in {terms.currency}, and what is unused was paid in another money")
    return found


def _put(row: Subscription, quoted: Quote, now: datetime) -> None:
    """Write a purchase into the row, and save it."""
    purchase, terms, zone = quoted.purchase, quoted.terms, row.zone
    if purchase is Purchase.RENEWS:
        shift_next(row, now, lambda moment: extended(row.anchor, moment, terms.interval, terms.intervals, zone))
        if row.next_period_end is None:
            row.next_plan_id = None  # Who pays for this plan again wants no other.
        row.period_end = quoted.ends_at
    elif purchase is Purchase.PREPAYS:
        if row.on_trial(now):
            row.anchor = quoted.starts_at
        row.next_plan_id, row.next_period_end = terms.plan, quoted.ends_at
    else:
        UsageCounter.objects.close(row.organization_id, now)
        row.plan_id, row.anchor, row.period_start, row.period_end = terms.plan, quoted.starts_at, now, quoted.ends_at
        row.next_plan_id = row.next_period_end = row.trial_ends_at = None
    row.canceled_at = None
    row.grant_grace()
    row.save()
