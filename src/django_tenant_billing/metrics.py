"""The numbers of a billing site at a moment. Each function reads once, in SQL, whatever the number of organizations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from fractions import Fraction
from typing import Any, NamedTuple

from django.db.models import Case, Count, Min, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from .lifecycle import State
from .models import Activation, Heartbeat, PaymentEvent, PaymentTransaction, Plan, Subscription
from .models.heartbeats import SILENT_AFTER
from .models.standing import SubscriptionQuerySet
from .periods import Interval
from .states import SETTLED, PaymentState
from .subscriptions import overdue_since

DAYS = 30
"""How many days, today included, the page of numbers looks back on."""

TRIALS_WITHIN = timedelta(days=7)
"""A trial that ends within this time is about to end."""

MONTHS = {Interval.MONTH: Fraction(1), Interval.YEAR: Fraction(12), Interval.DAY: Fraction(16, 487)}
"""Months in one interval. A month has 30.4375 days, the twelfth part of 365.25: a day is 16/487 of it."""


class Month(NamedTuple):
    """What a month brings, of one currency, in paisa."""

    currency: str
    by_plan: dict[str, int]

    @property
    def total_minor(self) -> int:
        return sum(self.by_plan.values())


class Day(NamedTuple):
    """What came on one local day, before refunds, in paisa."""

    day: date
    payments: int
    money_minor: int


class Review(NamedTuple):
    """How many payments wait for a person, and since when the first of them does."""

    number: int
    oldest: datetime | None


class Beat(NamedTuple):
    """When a command last did all its work, and whether that is too long ago."""

    command: str
    at: datetime | None
    late: bool


def subscriptions_by_plan(now: datetime) -> dict[str, dict[State, int]]:
    """How many subscriptions have each plan in force, by their state; every plan is there, in its order."""
    table: dict[str, dict[State, int]] = {plan: {} for plan in Plan.objects.values_list("pk", flat=True)}
    rows = Subscription.objects.standing(now).order_by().values_list("in_force", "stands").annotate(Count("pk"))
    for plan, state, number in rows:
        table.setdefault(plan, {})[State(state)] = number
    return table


def monthly_revenue(now: datetime) -> list[Month]:
    """What the paid time in force is worth a month, for each currency.

    Of each span of paid time that holds at ``now`` what was given for it, in money and in credit, divided by its
    months (MONTHS); added up exactly, rounded down to a paisa for each plan. Trials, gifts and plans without a price
    count nothing, and so does what was taken back; of a part that went back, what is known of it is taken off.
    """
    spans = Activation.objects.filter(subscription__isnull=False, closed_at=None, starts_at__lte=now, ends_at__gt=now)
    terms = spans.order_by("currency", "plan").values_list("currency", "plan", "interval", "interval_count")
    exact: dict[str, dict[str, Fraction]] = {}
    for currency, plan, interval, count, value_minor in terms.annotate(Sum("value_minor")):
        plans = exact.setdefault(currency, {})
        plans[plan] = plans.get(plan, Fraction(0)) + value_minor / (MONTHS[Interval(interval)] * count)
    return [Month(money, {plan: int(worth) for plan, worth in plans.items()}) for money, plans in exact.items()]


def trials_ending(now: datetime) -> SubscriptionQuerySet[Subscription]:
    """Trials that end soon and that nothing was paid after, the next one first."""
    soon = Subscription.objects.trialing(now).filter(next_period_end=None, trial_ends_at__lte=now + TRIALS_WITHIN)
    return soon.order_by("trial_ends_at", "pk")


def waiting() -> QuerySet[Any]:
    """Payments in review, the oldest first, with ``since``: when the first of their reviews began."""
    began = PaymentEvent.objects.filter(payment=OuterRef("pk"), to_status=PaymentState.REVIEW).order_by("pk")
    rows = PaymentTransaction.objects.filter(status=PaymentState.REVIEW)
    return rows.annotate(since=Subquery(began.values("at")[:1])).order_by("since", "pk")


def in_review() -> Review:
    """How much waits for a person to decide, and since when."""
    return Review(**waiting().aggregate(number=Count("pk"), oldest=Min("since")))


def attempts(now: datetime, zone: tzinfo) -> dict[PaymentState, int]:
    """How many payments were begun in the last DAYS, by where they stand now."""
    begun = PaymentTransaction.objects.filter(created_at__gte=_midnights(now, zone)[0]).order_by()
    found = dict(begun.values_list("status").annotate(Count("pk")))
    return {state: found[state] for state in PaymentState if state in found}


def takings(now: datetime, zone: tzinfo) -> dict[str, list[Day]]:
    """What came on each of the last DAYS, by the local calendar, for each currency; a day of nothing is there too.

    The days are told apart by moments that Python knows: MariaDB without its table of time zones can not.
    """
    midnights = _midnights(now, zone)
    paid = PaymentTransaction.objects.filter(
        status__in=SETTLED, paid_at__gte=midnights[0], paid_at__lt=midnights[-1]
    ).order_by("currency")
    number = Case(*(When(paid_at__lt=end, then=Value(number)) for number, end in enumerate(midnights[1:])))
    money = Sum(Coalesce("received_minor", "amount_minor"))
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for row in paid.annotate(number=number).values("currency", "number").annotate(count=Count("pk"), money=money):
        found.setdefault(row["currency"], {})[row["number"]] = row["count"], row["money"]
    days = [midnight.date() for midnight in midnights[:-1]]
    return {
        currency: [Day(day, *by_day.get(number, (0, 0))) for number, day in enumerate(days)]
        for currency, by_day in found.items()
    }


def heartbeats(now: datetime) -> list[Beat]:
    """The commands that are to run regularly. One that never ran is late once there was work for it."""
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    run, reconcile = beats.get("run_billing"), beats.get("reconcile_payments")
    return [
        Beat("run_billing", run, late=overdue_since(now) is not None),
        Beat("reconcile_payments", reconcile, late=_silent(reconcile, now)),
    ]


def _silent(beat: datetime | None, now: datetime) -> bool:
    """Should reconcile_payments have run since?"""
    if beat is not None:
        return beat < now - SILENT_AFTER
    return PaymentTransaction.objects.filter(next_check_at__lt=now - SILENT_AFTER).exists()


def _midnights(now: datetime, zone: tzinfo) -> list[datetime]:
    """Where the last DAYS begin, and where today ends."""
    today = now.astimezone(zone).date()
    days: Iterable[date] = (today - timedelta(days=DAYS - 1 - number) for number in range(DAYS + 1))
    return [datetime.combine(day, time.min, tzinfo=zone) for day in days]
