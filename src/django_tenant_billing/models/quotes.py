"""What buying means for a subscription as it stands, and what it costs with credit. Reads only; purchases.py does it.

==========  ==========================================================================================================
starts      nothing paid is in force: a period begins now, with a new anchor and fresh counters
converts    a trial of the same plan is paid: full limits and fresh counters now, the paid days follow the trial's
renews      the plan in force, early: a later end, nothing else
upgrades    a plan that stands as high or higher: it begins now, unused paid days become credit
prepays     a lower plan, or the one that comes next: it begins when what is paid ends
==========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from django.db import router
from django.utils.translation import gettext as _

from ..catalogue import FeatureKind
from ..conf import conf
from ..exceptions import NotForSale
from ..periods import FOREVER, Interval, add, extended
from .activations import Activation, ActivationQuerySet
from .counters import UsageCounter
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
    label: str
    """For many, in the reader's language."""
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

    def at_least(self, minimum_minor: int) -> Quote:
        """The same where anything that is due is at least that much: credit that is not needed then stays."""
        due = self.due_minor and min(max(self.due_minor, minimum_minor), self.terms.price_minor)
        return replace(self, due_minor=due)


def plan_for_sale(plan: str) -> Plan:
    """The plan of this code, to the letter. Raises NotForSale where there is none, or it is retired."""
    # A NUL is no text to PostgreSQL, which would make a bug of a bad request; MariaDB finds "pro" where PRO is meant.
    found = Plan.objects.filter(code=plan).first() if plan.isprintable() else None
    if found is None or found.code != plan:
        raise NotForSale(plan, _("there is no such plan"))
    if not found.is_active:
        raise NotForSale(plan, _("it is no longer for sale"))
    return found


def price_of(plan: str, price: PlanPrice | str | None = None) -> PlanPrice:
    """The price at which a plan is sold: the default one, or one of its own, given or named by its term: ``year``.

    Raises NotForSale.
    """
    found = plan_for_sale(plan)
    if isinstance(price, str):
        # Where it is sold in two currencies: in that of the default price.
        named = [one for one in found.prices.order_by("pk") if one.term == price]
        default = found.default_price()
        price = max(named, key=lambda one: default is not None and one.currency == default.currency, default=None)
        if price is None:
            raise NotForSale(plan, _("it has no such price"))
    price = price or found.default_price()
    if price is None or price.amount_minor == 0:
        raise NotForSale(plan, _("it is free"))
    if price.plan_id != plan:
        raise NotForSale(plan, _("that is the price of another plan"))
    return price


def is_sold(terms: Terms) -> bool:
    """Could anybody buy this now, for as much or for less?"""
    prices = PlanPrice.objects.using(router.db_for_write(PlanPrice)).filter(
        plan=terms.plan, plan__is_active=True, currency=terms.currency
    )
    same = prices.filter(interval=terms.interval.value, interval_count=terms.intervals)
    return any(terms_of(price).price_minor <= terms.price_minor for price in same)


def terms_of(price: PlanPrice) -> Terms:
    """What this price comes to. The only place where tax is added to a price: behind it all money is what is paid."""
    return Terms(
        price.plan_id, price.to_pay_minor, price.currency, Interval(price.interval), price.interval_count
    )  # fmt: skip


def quote(subscription: Subscription, terms: Terms, now: datetime) -> Quote:
    """What buying these terms at ``now`` would do and cost; changes nothing. Raises NotForSale."""
    row = subscription.rolled(now)
    found = quoted(row, terms, now)
    if row.period_end is None and row.plan_id != conf.fallback_plan and found.purchase is not Purchase.UPGRADES:
        raise NotForSale(terms.plan, _("the organization has %(plan)s already, without an end") % {"plan": row.plan_id})
    return found


def stands_lower(plan: str, than: str) -> bool:
    """Does this plan come before the other in the order of plans? Raises NotForSale where there is no such plan."""
    position = dict(Plan.objects.filter(pk__in=[plan, than]).values_list("pk", "position"))
    if plan not in position:
        raise NotForSale(plan, _("there is no such plan"))
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
            found.append(Excess(counter.feature_id, counter.feature.label, counter.used, limit))
    return tuple(found)


def quoted(row: Subscription, terms: Terms, now: datetime) -> Quote:
    """The same for a row that is caught up, whatever it has: money that was taken is applied."""
    purchase = _kind(row, terms.plan, now)
    prepaid = row.next_period_end if terms.plan == row.next_plan_id else None
    after = {
        Purchase.CONVERTS: row.period_end, Purchase.RENEWS: row.period_end, Purchase.PREPAYS: prepaid or row.period_end,
    }  # fmt: skip
    start = after.get(purchase) or now
    if purchase in (Purchase.RENEWS, Purchase.PREPAYS) and not row.follows_trial(now):
        end = extended(row.anchor, start, terms.interval, terms.intervals, row.zone)
    else:
        end = add(start, terms.interval, terms.intervals, row.zone)
    credits_ = credits_for(row, _replaced(row, purchase, terms, now), now)
    held = row.credit_currency if row.credit_minor else terms.currency
    if credits_ and {*(credit.activation.currency for credit in credits_), held} != {terms.currency}:
        raise NotForSale(
            terms.plan,
            _("its price is in %(currency)s, and what is unused was paid in another money")
            % {"currency": terms.currency},
        )
    balance = row.credit_minor if held == terms.currency else 0
    due = max(terms.price_minor - balance - sum(credit.amount_minor for credit in credits_), 0)
    return Quote(
        purchase=purchase, terms=terms, starts_at=start, ends_at=end, credits=credits_, balance_minor=balance,
        due_minor=due,
    )  # fmt: skip


def credits_for(row: Subscription, spans: Iterable[Activation], now: datetime) -> tuple[Credit, ...]:
    """What would come back of these spans of paid time."""
    zone = row.zone
    return tuple(Credit(span, *span.unused(now, zone)) for span in spans)


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


def _replaced(row: Subscription, purchase: Purchase, terms: Terms, now: datetime) -> ActivationQuerySet:
    """The paid time that this purchase takes the place of."""
    paid = Activation.objects.open_of(row, now)
    if purchase is Purchase.RENEWS:
        return paid.none()
    if purchase is Purchase.PREPAYS:
        return paid.none() if terms.plan == row.next_plan_id else paid.filter(starts_at__gte=row.period_end)
    return paid
