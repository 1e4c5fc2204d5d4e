"""Paid days in, equal days of access out, over any order of what people do."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tenant_billing import clock, subscriptions
from django_tenant_billing.exceptions import NotPossible
from django_tenant_billing.lifecycle import State, days_between, unused
from django_tenant_billing.models import (
    Activation,
    Plan,
    PlanPrice,
    Subscription,
    activations,
    purchases,
    quotes,
)
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import price_of, quote, terms_of
from django_tenant_billing.periods import Interval, add
from django_tenant_billing.quotas import check
from django_tenant_billing.subscriptions import acts
from django_tenant_billing.testing import seed_catalogue
from tests.quota_tools import at
from tests.sales import START, ZONE, row, yearly
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def test_days_are_those_of_the_organizations_calendar() -> None:
    # 18:20 UTC is already tomorrow in Kathmandu.
    late = datetime(2026, 2, 10, 18, 20, tzinfo=UTC)
    assert days_between(START, late, ZONE) == 11
    assert days_between(START, late, UTC) == 10


@given(days=st.integers(1, 800), passed=st.integers(-5, 805), minutes=st.integers(0, 1439))
@settings(max_examples=300, deadline=None)
def test_used_and_unused_days_are_all_days(days: int, passed: int, minutes: int) -> None:
    begins = START.replace(hour=0) + timedelta(minutes=minutes)
    ends = add(begins, Interval.DAY, days, ZONE)
    left, all_days = unused(begins, ends, add(begins, Interval.DAY, passed, ZONE), ZONE)
    assert all_days == days
    assert left == min(max(days - passed, 0), days)


DAYS = st.integers(0, 40)
STEPS = st.lists(
    st.tuples(DAYS, st.sampled_from(["BASIC", "PRO", "year", "cancel", "resume", "schedule", "undo", "run"])),
    max_size=12,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_money_in_is_days_of_access_and_credit_in_any_order(steps: list[tuple[int, str]]) -> None:
    """Every paisa that was paid is worth a day that was had, one still to come, or credit; no day is sold twice."""
    lived(steps)


def forget_next(subscription: Subscription, _now: datetime) -> tuple[()]:
    subscription.next_plan_id = subscription.next_period_end = None
    return ()


@pytest.mark.parametrize(
    ("where", "name", "bug", "steps"),
    [
        (activations, "unused", lambda start, end, _now, zone: (days_between(start, end, zone),) * 2,
         [(0, "BASIC"), (20, "PRO")]),
        (quotes, "extended", lambda _anchor, _end, interval, count, zone: add(clock.now(), interval, count, zone),
         [(0, "PRO"), (10, "PRO")]),
        (purchases, "give_back", lambda *_args: None, [(0, "BASIC"), (10, "PRO")]),
        (purchases, "shift_next", lambda *_args: None, [(0, "PRO"), (1, "BASIC"), (1, "PRO")]),
        (acts, "drop_next", forget_next,
         [(0, "PRO"), (1, "BASIC"), (1, "undo")]),
    ],
    ids=["days had are credited", "renewal from now", "no credit", "what was prepaid stays", "undo forgets the money"],
)  # fmt: skip
def test_a_planted_bug_is_seen(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, bug: Any, steps: list[tuple[int, str]]
) -> None:
    lived(steps)
    monkeypatch.setattr(where, name, bug)
    with pytest.raises((AssertionError, IntegrityError)):
        lived(steps)


def lived(steps: list[tuple[int, str]]) -> None:
    with transaction.atomic():
        try:
            _live(steps)
        finally:
            transaction.set_rollback(True)


def _live(steps: list[tuple[int, str]]) -> None:
    seed_catalogue()
    Plan.objects.exclude(pk="FREE").update(grace_days=3)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    organization = Organization.objects.create(name="Drawn")
    Subscription.objects.update(anchor=START, period_start=START)
    paid, now = 0, START
    for days, act in steps:
        now += timedelta(days=days)
        with at(now):
            before = row().plan_in_force(now)
            with suppress(NotPossible):
                paid += _do(organization, act, now)
            assert act in ("BASIC", "PRO", "year") or row().plan_in_force(now) == before
            assert check(organization, "customers").plan == row().plan_in_force(now)
        _accounts_balance(paid)
        _each_day_to_come_is_one_that_was_paid(now)


def _do(organization: Organization, act: str, now: datetime) -> int:
    """What was paid for it, in paisa."""
    if act in ("BASIC", "PRO", "year"):
        plan, price = ("PRO", yearly()) if act == "year" else (act, None)
        terms = terms_of(price_of(plan, price))
        due = quote(row(), terms, now).due_minor
        buy(Subscription.objects.lock(organization.pk, now), terms, now, paid_minor=due, actor="payer")
        return due
    if act == "run":
        list(subscriptions.run_due(now))
    elif act == "schedule":
        subscriptions.schedule_change(organization, "BASIC", actor="user")
    else:
        {"cancel": subscriptions.cancel, "resume": subscriptions.resume, "undo": subscriptions.undo_change}[act](
            organization, actor="user"
        )
    return 0


def _accounts_balance(paid: int) -> None:
    """What was paid is days and credit, and what came back is what nobody had, by local dates."""
    assert paid == sum(a.value_minor - a.credited_minor for a in Activation.objects.all()) + row().credit_minor
    for span in Activation.objects.all():
        first, last = (moment.astimezone(ZONE).date() for moment in (span.starts_at, span.ends_at))
        assert (last - first).days >= 28  # nobody sells less than a month here
        if span.closed_at is None:
            assert span.credited_minor == 0
        else:
            left = (last - max(first, span.closed_at.astimezone(ZONE).date())).days
            assert span.credited_minor == span.value_minor * left // (last - first).days


def _each_day_to_come_is_one_that_was_paid(now: datetime) -> None:
    spans = [span for span in Activation.objects.order_by("starts_at") if span.closed_at is None and span.ends_at > now]
    assert all(first.ends_at <= second.starts_at for first, second in pairwise(spans))
    subscription = row()
    for day in range(1, 100):
        moment = now + timedelta(days=day)
        held = [span.plan for span in spans if span.starts_at <= moment < span.ends_at]
        if held:
            assert [subscription.plan_in_force(moment)] == held
        else:
            assert subscription.state(moment) is not State.CANCELED
            assert subscription.plan_in_force(moment) == "FREE" or subscription.on_grace_period(moment)
