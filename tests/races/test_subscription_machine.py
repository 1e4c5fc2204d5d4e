"""Paid days in, equal days of access out, whatever people and time do, in any order; and bugs that this must find."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, connection

from django_tenant_billing import clock, lifecycle
from django_tenant_billing.lifecycle import Change
from django_tenant_billing.models import Activation, Plan, PlanPrice, Subscription, activations, purchases, quotes
from django_tenant_billing.models.trials import TrialMarkManager
from django_tenant_billing.periods import Interval, add
from django_tenant_billing.subscriptions import acts
from django_tenant_billing.testing import seed_catalogue
from tests.races.subscription_machine import ZONES, SubscriptionMachine, run
from tests.races.subscription_model import GRACE, PLANS, PRICES, TRIAL_DAYS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: organization.name
    monkeypatch.setattr(clock, "timezone", SimpleNamespace(now=lambda: SubscriptionMachine.now))
    seed_catalogue()
    Plan.objects.create(code="SOLO", name="Solo", position=0)
    PlanPrice.objects.create(plan_id="SOLO", amount_minor=PRICES["SOLO", 1], is_default=True)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=PRICES["PRO", 12], interval="year")
    for plan, grace_days in GRACE.items():
        Plan.objects.filter(pk=plan).update(grace_days=grace_days, position=PLANS.index(plan))
    Plan.objects.filter(pk="PRO").update(trial_days=TRIAL_DAYS)


def test_paid_days_in_are_equal_days_of_access_out(runs: int) -> None:
    run(40 * runs if connection.vendor == "sqlite" else 5 * runs, shrink=True)  # 200 or 100, of 30 steps


# --- planted bugs ----------------------------------------------------------------------------------------------------


def forget_next(row: Subscription, _now: datetime) -> tuple[()]:
    row.next_plan_id = row.next_period_end = None
    return ()


def only_what_was_noted(row: Subscription, now: datetime) -> str:
    """Access waits for a command that nobody runs."""
    ended = row.period_end is not None and row.period_end <= (row.caught_up_at or row.period_start)
    return "FREE" if ended else row.plan_id


def grace_for_all(row: Subscription) -> None:
    end = row.paid_until
    days = Plan.objects.get(pk=row.plan_id).grace_days
    row.grace_ends_at = add(end, Interval.DAY, days, row.zone) if end and days else None


roll = Subscription._roll


def loses_what_was_prepaid(row: Subscription, now: datetime) -> list[tuple[datetime, Change]]:
    passed = roll(row, now)
    if any(change is Change.CHANGED for _moment, change in passed):
        row.period_start, row.period_end = row.anchor, now
    return passed


moments = Subscription._moments


def all_but_expiry(row: Subscription) -> list[tuple[datetime, Change]]:
    return [(moment, change) for moment, change in moments(row) if change is not Change.EXPIRED]


def all_but_changes(row: Subscription) -> list[tuple[datetime, Change]]:
    return [(moment, change) for moment, change in moments(row) if change is not Change.CHANGED]


def of_utc(start: datetime, end: datetime, _zone: Any) -> int:
    return (end.astimezone(UTC).date() - start.astimezone(UTC).date()).days


def had_too(start: datetime, end: datetime, _now: datetime, zone: Any) -> tuple[int, int]:
    return (lifecycle.days_between(start, end, zone),) * 2


def gifts_are_sold(row: Subscription, now: datetime, begins: datetime) -> None:
    """Days that staff gave become days that were paid."""
    shift_next(row, now, begins)
    for span in Activation.objects.filter(subscription=row, plan=row.plan_id).order_by("-ends_at")[:1]:
        Activation.objects.filter(pk=span.pk).update(ends_at=begins)


shift_next = purchases.shift_next


def renews_once_tried(row: Subscription) -> datetime | None:
    return None if row.canceled_at or row.trial_ends_at else row.paid_until


def by_the_row_alone(row: Subscription, _paid: Any, until: datetime) -> bool:
    return row.period_end is not None and until < row.period_end


BUGS: dict[str, tuple[Any, str, Any]] = {
    "days had are credited": (activations, "unused", had_too),
    "days are those of UTC": (lifecycle, "days_between", of_utc),
    "renewal from now": (quotes, "extended", lambda _a, _e, interval, count, z: add(clock.now(), interval, count, z)),
    "chained additions drift": (quotes, "extended", lambda _anchor, end, *what: add(end, *what)),
    "no credit": (purchases, "give_back", lambda *_args: None),
    "what staff replaces is lost": (acts, "give_back", lambda *_args: None),
    "what was prepaid stays": (purchases, "shift_next", lambda *_args: None),
    "given days are worth money": (acts, "shift_next", gifts_are_sold),
    "undo forgets the money": (acts, "drop_next", forget_next),
    "a trial is had twice": (TrialMarkManager, "mark", lambda *_args: True),
    "grace for who canceled": (Subscription, "grant_grace", grace_for_all),
    "access waits for the command": (Subscription, "plan_in_force", only_what_was_noted),
    "what was prepaid is lost when it begins": (Subscription, "_roll", loses_what_was_prepaid),
    "nobody is told of expiry": (Subscription, "_moments", all_but_expiry),
    "what was scheduled never comes": (Subscription, "_moments", all_but_changes),
    "credit is spent where it does not suffice": (acts, "quote", lambda *_args: SimpleNamespace(due_minor=0)),
    "no grace after a trial": (Subscription, "renews_at", property(renews_once_tried)),
    "months after a trial drift": (Subscription, "follows_trial", Subscription.on_trial),
    "a gift that is cut short swallows what was paid": (acts, "_cuts", by_the_row_alone),
}


Step = tuple[Any, ...]
SOLO, BASIC, PRO = (("pay", (plan, 1)) for plan in ("SOLO", "BASIC", "PRO"))
STEPS: dict[str, list[Step]] = {
    "days had are credited": [BASIC, ("let_days_pass", 10), PRO],
    "days are those of UTC": [BASIC, ("let_hours_pass", 7), PRO],
    "renewal from now": [PRO, ("let_days_pass", 5), PRO],
    "chained additions drift": [BASIC, BASIC],
    "no credit": [BASIC, PRO],
    "what staff replaces is lost": [BASIC, ("set_by_staff", "PRO", None)],
    "what was prepaid stays": [PRO, BASIC, PRO],
    "given days are worth money": [BASIC, ("extend", 3)],
    "undo forgets the money": [PRO, BASIC, ("undo_change",)],
    "a trial is had twice": [("start_trial",), ("let_days_pass", 20), ("start_trial",)],
    "grace for who canceled": [PRO, ("cancel",)],
    "access waits for the command": [PRO, ("let_days_pass", 40)],
    "what was prepaid is lost when it begins": [PRO, BASIC, ("let_an_end_come", "own_end", 0), ("run_billing",)],
    "what was scheduled never comes": [PRO, ("schedule", "BASIC"), ("let_days_pass", 40), ("run_billing",)],
    "nobody is told of expiry": [SOLO, ("let_days_pass", 40), ("run_billing",)],
    "credit is spent where it does not suffice": [("buy_with_credit", ("PRO", 1))],
    "no grace after a trial": [("start_trial",), BASIC],
    "months after a trial drift": [("start_trial",), ("extend_trial", 40), ("extend_trial", 5), BASIC, BASIC],
    "a gift that is cut short swallows what was paid": [
        PRO,
        ("set_by_staff", "PRO", None),
        ("set_by_staff", "PRO", 10),
    ],
}


def replay(steps: list[Step]) -> None:
    """These steps of the machine, and its invariant after each."""
    machine = SubscriptionMachine()
    machine.begin(ZONES[0])
    try:
        for name, *arguments in steps:
            getattr(machine, name)(*arguments)
            machine.all_is_as_it_must_be()
    finally:
        machine.teardown()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_seen_in_few_steps(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    replay(STEPS[name])
    where, attribute, bug = BUGS[name]
    monkeypatch.setattr(where, attribute, bug)
    with pytest.raises((AssertionError, IntegrityError, pytest.fail.Exception)):
        replay(STEPS[name])
