"""The numbers of the admin's page: what they mean, exactly, and that they cost the same however much there is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, metrics, payments, subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import Activation, Heartbeat, PaymentTransaction, Plan, Subscription
from django_tenant_billing.states import PaymentState
from tests.manual import begin, came, use_bank
from tests.quota_tools import at
from tests.sales import START, ZONE, on, pay, row, yearly
from tests.test_payments import pay as pay_at
from tests.test_payments import start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _catalogue(catalogue: None) -> None:
    """Every test has one."""


@pytest.fixture
def bank(settings: Any) -> None:
    use_bank(settings)


def another(number: int = 1) -> Organization:
    return Organization.objects.create(name=f"Another {number}")


def paid(organization: Organization, plan: str = "PRO") -> PaymentTransaction:
    """A payment whose money came."""
    payment = begin(organization, plan)
    return came(payment, number=f"SLIP-{payment.pk}")


def test_sql_says_of_every_row_which_plan_holds_and_where_it_stands_as_the_row_itself_does() -> None:
    """Whatever combination of moments a row can have, one before now, now itself, and one after."""
    now = START
    moments = (None, now - timedelta(days=1), now, now + timedelta(days=1))
    shapes = 0
    for end, next_end, trial, grace, canceled in product(moments, moments, moments, moments, (None, now)):
        if next_end is not None and (end is None or next_end <= end):
            continue
        for next_plan in {"BASIC"} if next_end is not None else {None, "BASIC"} if end is not None else {None}:
            shapes += 1
            organization = another(shapes)
            Subscription.objects.filter(organization=organization).update(
                plan="PRO", period_start=now - timedelta(days=9), period_end=end, next_plan=next_plan,
                next_period_end=next_end, trial_ends_at=trial, grace_ends_at=grace, canceled_at=canceled,
            )  # fmt: skip
    rows = Subscription.objects.standing(now)
    assert len(rows) == shapes == 320
    for found in rows:
        assert (found.in_force, found.stands) == (found.plan_in_force(now), found.state(now))
    counted = metrics.subscriptions_by_plan(now)
    assert sum(sum(states.values()) for states in counted.values()) == shapes
    assert {state for states in counted.values() for state in states} == set(State)


def test_each_plan_is_counted_by_what_holds_now_and_a_plan_nobody_has_is_there_too(sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(another(), "PRO", on(1, 1))
    assert metrics.subscriptions_by_plan(on(1, 2)) == {
        "FREE": {},
        "BASIC": {},
        "PRO": {State.ACTIVE: 1, State.GRACE: 1},
    }
    assert metrics.subscriptions_by_plan(on(1, 6))["FREE"] == {State.EXPIRED: 2}


def test_a_fallback_plan_that_is_not_in_the_catalogue_is_counted_too(sold: Organization, settings: Any) -> None:
    pay(sold, "PRO", START)
    settings.TENANT_BILLING_FALLBACK_PLAN = "NOTHING"
    assert metrics.subscriptions_by_plan(on(1, 6))["NOTHING"] == {State.EXPIRED: 1}


def test_a_month_is_worth_a_month_of_a_year_and_nothing_on_a_trial_a_gift_or_for_free(sold: Organization) -> None:
    assert metrics.monthly_revenue(START) == []
    pay(sold, "PRO", START, yearly())
    pay(another(1), "BASIC", START)
    tried, given = another(2), another(3)
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    with at(START):
        subscriptions.start_trial(tried, "PRO", actor="user 1")
        subscriptions.set_by_staff(given, "PRO", None, actor="anna", reason="a friend")
    (money,) = metrics.monthly_revenue(on(1, 2))
    assert (money.currency, money.by_plan) == ("NPR", {"BASIC": 100_000, "PRO": 3_900_000 // 12})
    assert money.total_minor == 100_000 + 325_000
    assert metrics.monthly_revenue(START - timedelta(days=1)) == []
    (money,) = metrics.monthly_revenue(on(1, 4))
    assert money.by_plan == {"PRO": 325_000}


def test_time_that_credit_paid_for_counts_at_its_worth_and_what_was_replaced_does_not(sold: Organization) -> None:
    pay(sold, "BASIC", START)
    pay(sold, "PRO", on(10, 2))
    spent = Activation.objects.get(plan="PRO").spent_credit_minor
    assert 0 < spent < 100_000
    (money,) = metrics.monthly_revenue(on(11, 2))
    assert money.by_plan == {"PRO": 390_000}


@pytest.mark.parametrize(("days", "worth"), [(1, 11_870_625), (3, 3_956_875), (30, 395_687), (365, 32_522)])
def test_days_are_worth_the_part_of_a_month_of_thirty_and_seven_sixteenths_that_they_are(
    sold: Organization, days: int, worth: int
) -> None:
    pay(sold, "PRO", START)
    Activation.objects.update(interval="day", interval_count=days)
    (money,) = metrics.monthly_revenue(START + timedelta(hours=1))
    assert money.total_minor == worth == 390_000 * 487 // (16 * days)


def test_what_does_not_divide_is_rounded_once_for_each_plan_and_currencies_are_kept_apart(sold: Organization) -> None:
    for number in range(3):
        pay(another(number), "PRO", START, yearly())
    pay(sold, "BASIC", START)
    Activation.objects.filter(plan="PRO").update(value_minor=1_000_001)
    Activation.objects.filter(plan="BASIC").update(currency="USD")
    npr, usd = metrics.monthly_revenue(on(1, 2))
    assert (npr.currency, npr.total_minor) == ("NPR", 3_000_003 // 12)
    assert (usd.currency, usd.total_minor) == ("USD", 100_000)


def test_time_of_an_organization_that_is_gone_or_that_was_taken_back_is_worth_nothing(
    bank: None, sold: Organization
) -> None:
    with at(START):
        returned = paid(sold)
        paid(gone := another())
        gone.delete()
        (money,) = metrics.monthly_revenue(clock.now())
        assert money.total_minor == 390_000
        payments.refund(returned, actor="anna", reason="unhappy")
        assert metrics.monthly_revenue(clock.now()) == []


def test_trials_that_end_within_a_week_are_found_but_not_where_the_next_plan_is_paid(sold: Organization) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    canceled, going_on = another(1), another(2)
    with at(START):
        for organization in (sold, canceled, going_on):
            subscriptions.start_trial(organization, "PRO", actor="user 1")
        subscriptions.cancel(canceled, actor="user 1")
    pay(going_on, "BASIC", on(1, 2))
    end = Subscription.objects.get(organization=sold).trial_ends_at
    assert end is not None
    assert not metrics.trials_ending(end - metrics.TRIALS_WITHIN - timedelta(seconds=1))
    assert [trial.organization_id for trial in metrics.trials_ending(end - metrics.TRIALS_WITHIN)] == [sold.pk]
    assert not metrics.trials_ending(end)


def test_what_waits_for_a_person_is_counted_since_it_first_did(simulator: Server, organization: Organization) -> None:
    assert metrics.in_review() == (0, None)
    waiting = []
    for _time in range(2):
        payment = start(organization)
        pay_at(simulator, payment)
        tamper(simulator, payment, total_amount=1)
        waiting.append(payments.settle(payment))
    first, second = waiting
    assert metrics.in_review() == (2, first.events.get(to_status="review").at)
    payments.dismiss_review(first, actor="anna", reason="a test of theirs")
    assert metrics.in_review() == (1, second.events.get(to_status="review").at)


def test_attempts_are_counted_by_where_they_stand_in_the_order_of_the_states(
    bank: None, organization: Organization
) -> None:
    with at(on(1, 3)):
        paid(organization)
        begin(organization, "BASIC")
    assert list(metrics.attempts(on(20, 3), ZONE).items()) == [(PaymentState.CREATED, 1), (PaymentState.PAID, 1)]
    # The thirty days include today: on 30 March the first of them is the first.
    assert sum(metrics.attempts(on(30, 3), ZONE).values()) == 2
    assert metrics.attempts(on(31, 3), ZONE) == {}


def test_takings_are_told_by_local_days_with_the_days_of_nothing_and_what_came_counts(
    bank: None, organization: Organization
) -> None:
    now = datetime(2026, 3, 30, 6, 0, tzinfo=UTC)
    assert metrics.takings(now, ZONE) == {}
    # A quarter to midnight, and a quarter past it, in Kathmandu.
    for moment in (datetime(2026, 3, 1, 18, 0, tzinfo=UTC), datetime(2026, 3, 1, 18, 30, tzinfo=UTC)):
        with at(moment):
            paid(organization)
    days = metrics.takings(now, ZONE)["NPR"]
    assert [day.day for day in days] == [date(2026, 3, 1) + timedelta(days=number) for number in range(30)]
    assert days[0] == (date(2026, 3, 1), 1, 390_000)
    assert days[1] == (date(2026, 3, 2), 1, 390_000)
    assert {day.money_minor for day in days[2:]} == {0}
    assert sum(day.money_minor for day in metrics.takings(now, ZoneInfo("UTC"))["NPR"][:1]) == 780_000
    assert "NPR" not in metrics.takings(now + timedelta(days=31), ZONE)


def test_a_day_that_clocks_shorten_is_still_one_day(bank: None, organization: Organization) -> None:
    zone = ZoneInfo("Europe/Berlin")
    with at(datetime(2026, 3, 29, 22, 30, tzinfo=UTC)):  # half past midnight on the 30th, in summer time
        paid(organization)
    days = {day.day: day.payments for day in metrics.takings(on(31, 3), zone)["NPR"]}
    assert (days[date(2026, 3, 29)], days[date(2026, 3, 30)], len(days)) == (0, 1, 30)


def test_a_command_is_late_when_it_stopped_and_when_work_waits_for_one_that_never_ran(
    bank: None, sold: Organization
) -> None:
    assert metrics.heartbeats(START) == [("run_billing", None, False), ("reconcile_payments", None, False)]
    Heartbeat.objects.beat("run_billing", START)
    Heartbeat.objects.beat("reconcile_payments", START)
    assert [beat.late for beat in metrics.heartbeats(START + timedelta(minutes=10))] == [False, False]
    assert [beat.late for beat in metrics.heartbeats(START + timedelta(minutes=11))] == [False, True]
    assert [beat.late for beat in metrics.heartbeats(START + timedelta(hours=27))] == [True, True]
    Heartbeat.objects.all().delete()
    pay(sold, "PRO", START)
    PaymentTransaction.objects.filter(pk=begin(sold).pk).update(next_check_at=START)
    assert [beat.late for beat in metrics.heartbeats(START)] == [False, False]
    end = row().ends_at
    assert end is not None
    assert [beat.late for beat in metrics.heartbeats(end + timedelta(days=2))] == [True, True]


def test_the_numbers_cost_the_same_statements_however_many_organizations_and_payments_there_are(
    bank: None, sold: Organization
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            metrics.subscriptions_by_plan(START)
            metrics.monthly_revenue(START)
            list(metrics.trials_ending(START))
            metrics.in_review()
            metrics.attempts(START, ZONE)
            metrics.takings(START, ZONE)
            metrics.heartbeats(START)
        return len(queries)

    few = cost()
    with at(START):
        for number in range(10):
            paid(another(number), "BASIC" if number % 2 else "PRO")
            begin(another(number + 10))
    assert cost() == few == 11
