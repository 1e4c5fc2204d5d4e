"""What the product has written down of one subscription, read for an accountant: lines of history, and the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django_tenant_billing import subscriptions
from django_tenant_billing.models import Activation, SubscriptionEvent

from orgs.models import Organization

from .accounts import Books, Bought, Given, money

HEADING = f"{'Date':12}{'What happened':26}{'By':8}{'Plan':7}{'From':12}{'Until':12}{'Days':>4}{'Paid':>14}"
INDENT = " " * 12

GIVEN = {
    "trial_started": ("trial", "trial_ends_at"),
    "comped": ("gift", "period_end"),
    "extended": ("extension", "period_end"),
    "grace_started": ("grace", "grace_ends_at"),
}
"""Changes that give days which nobody paid for: what they are, and where the row says when they end."""


def local(moment: datetime | str) -> date:
    """The organization's own date."""
    return timezone.localtime(datetime.fromisoformat(moment) if isinstance(moment, str) else moment).date()


def told(event: SubscriptionEvent) -> Iterator[str]:
    """One line of history as an accountant reads it, and under it where the amounts come from."""
    plan, first, last = _span(event)
    span = f"{_shown(first):12}{_shown(last):12}{(last - first).days if first and last else '':>4}"
    paid = money(event.data["paid_minor"]) if "paid_minor" in event.data else ""
    what = event.get_change_display()
    if event.change == "reminded":
        what += f", days left: {event.data['days']}"
    yield f"{_shown(local(event.at)):12}{what:26}{event.actor:8}{plan:7}{span}{paid:>14}".rstrip()
    for closed in Activation.objects.filter(subscription_id=event.subscription_key, closed_at=event.at):
        old = _bought(closed)
        unused = f"{old.left(local(event.at))} of {old.days} days unused of {old.plan} at {money(old.value)}"
        yield f"{INDENT}credit: {unused} = {money(old.credited)}"
    if event.data.get("credit_minor"):
        price, credit = money(event.data["price_minor"]), money(event.data["credit_minor"])
        yield f"{INDENT}price {price} - credit {credit} = {paid}"
    if event.before.get("credit_minor") != event.after["credit_minor"]:
        yield f"{INDENT}credit left: {money(event.after['credit_minor'])}"
    if event.reason:
        yield f"{INDENT}reason: {event.reason}"
    if local(event.recorded_at) != local(event.at):
        yield f"{INDENT}noted on {local(event.recorded_at)}"


def books(
    organization: Organization, start: date, today: date, taken: tuple[int, ...], gate: Mapping[date, str]
) -> Books:
    """What the records say today, beside what the wallet took and the gate let through."""
    history = list(SubscriptionEvent.objects.filter(organization_key=str(organization.pk)))
    subscription = subscriptions.subscription_of(organization)
    return Books(
        start=start,
        today=today,
        paid=tuple(event.data["paid_minor"] for event in history if event.data.get("paid_minor")),
        taken=taken,
        credit=subscription.credit_minor,
        bought=tuple(_bought(span) for span in Activation.objects.filter(subscription=subscription).order_by("pk")),
        given=tuple(_given(history)),
        gate=dict(gate),
    )


def statement(books: Books) -> Iterator[str]:
    """The books as a page."""
    yield f"Paid in total       {money(sum(books.paid)):>16}   {len(books.paid)} payments"
    yield f"= days had          {money(books.had):>16}"
    yield f"+ days to come      {money(books.to_come):>16}"
    yield f"+ credit            {money(books.credit):>16}"
    yield f"The wallet's ledger {money(sum(books.taken)):>16}   {len(books.taken)} payments"
    table, gate = books.days(), Counter(books.gate.values())
    plans = sorted({plan for row in table.values() for plan in row})
    yield ""
    yield f"{'Days':20}" + "".join(f"{plan:>10}" for plan in plans)
    rows = {**table, "= together": sum(table.values(), Counter()), "The gate gave": gate}
    for kind, row in rows.items():
        yield f"{kind:20}" + "".join(f"{row[plan]:>10}" for plan in plans)
    yield (
        f"and {gate[books.fallback]} days of {books.fallback}: {gate.total()} days "
        f"from {books.start} until {books.today}"
    )


def _span(event: SubscriptionEvent) -> tuple[str, date | None, date | None]:
    """The plan that a line is about, and from when until when; what it does not say is None."""
    after, data = event.after, event.data
    if "from" in data:
        return data["plan"], local(data["from"]), local(data["until"])
    if event.change in GIVEN:
        return after["plan"], *_given_by(event)
    if event.change == "changed":
        return after["plan"], local(after["period_start"]), _date(after["period_end"])
    if event.change == "change_scheduled":
        return after["next_plan"], local(after["period_end"]), None
    return after["plan"], None, _date(after["period_end"])


def _given(history: list[SubscriptionEvent]) -> Iterator[Given]:
    starts = [event for event in history if event.change in ("started", "upgraded")]
    for event in history:
        if event.change not in GIVEN:
            continue
        first, last = _given_by(event)
        # What is bought takes the place of what was given.
        cut = [local(start.at) for start in starts if start.pk > event.pk]
        yield Given(kind=GIVEN[event.change][0], plan=event.after["plan"], first=first, last=min([last, *cut]))


def _given_by(event: SubscriptionEvent) -> tuple[date, date]:
    first = event.before["period_end"] if event.change == "extended" else event.at
    return local(first), local(event.after[GIVEN[event.change][1]])


def _bought(span: Activation) -> Bought:
    return Bought(
        plan=span.plan,
        first=local(span.starts_at),
        last=local(span.ends_at),
        value=span.value_minor,
        closed=None if span.closed_at is None else local(span.closed_at),
        credited=span.credited_minor,
    )


def _shown(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _date(value: Any) -> date | None:
    return None if value is None else local(value)
