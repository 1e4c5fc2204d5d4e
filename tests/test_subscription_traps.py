"""Traps that other subscription systems fell into, or their users report, each with the naive version beside ours.

Traps of counting are in test_quota_traps.py; what needs two connections at once is in ``races/``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, payments, quotas, signals, subscriptions
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import QuotaExceeded, TrialUsed
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import Plan, PlanLimit, Subscription, SubscriptionEvent
from django_tenant_billing.quotas import check
from tests.quota_tools import at
from tests.sales import START, history, on, pay, row, yearly
from tests.test_migrations import INTEGER, NO_CHANGES, Site
from tests.testapp.models import Customer, Organization

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


# --- renewing --------------------------------------------------------------------------------------------------------


def test_renew_from_now(sold: Organization) -> None:
    """laravelcm: whoever pays early loses the days that were left."""
    pay(sold, "BASIC", START)
    naive = on(10, 3)
    assert pay(sold, "BASIC", on(10, 2)).ends_at == row().period_end == on(31, 3) > naive


def test_doubling(sold: Organization) -> None:
    """soulbscription before 4.2.1: what was left is added to an end that has it already."""
    pay(sold, "BASIC", START, None)
    left = on(28, 2) - on(1, 2)
    naive = on(31, 3) + left
    pay(sold, "BASIC", on(1, 2))
    assert row().period_end == on(31, 3) < naive


@pytest.mark.parametrize("length", [30, 30.4368])
def test_months_of_30_days(sold: Organization, length: float) -> None:
    """django-plans and the seed project; 30.4368 days in flexible-subscriptions: a year of months is no year."""
    ends = [pay(sold, "BASIC", START).ends_at for _month in range(12)]
    naive = [START + month * timedelta(days=length) for month in range(1, 13)]
    assert [end.day for end in ends] == [28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31]
    assert ends[-1] == on(31, 1, 2027) != naive[-1]


@pytest.mark.parametrize("day", [0, 1, 14, 26, 27, 31])
def test_renewal_only_on_the_last_day(sold: Organization, day: int) -> None:
    """djaodjin: a job that extends what ends within a day. Here any day will do, and no job is needed."""
    pay(sold, "BASIC", START)
    now = START + day * DAY
    naive = timedelta(0) <= on(28, 2) - now < DAY
    assert not naive
    renewed = pay(sold, "BASIC", now)
    assert (renewed.starts_at, renewed.ends_at) == ((on(28, 2), on(31, 3)) if day < 28 else (now, on(3, 4)))


def test_a_month_that_was_paid_begins_though_no_command_runs(sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(1, 2))
    with at(on(28, 2) + DAY):
        assert check(sold, "customers").plan == "BASIC"
        assert history() == ["started", "prepaid"]


def test_one_period_per_run_after_days_off(sold: Organization) -> None:
    """flexible-subscriptions: each run moves on by one period, so that days off are caught up over days."""
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(1, 2))
    told = [event.change for event in subscriptions.run_due(on(1, 12))]
    naive = told[:1]
    assert told == ["changed", "grace_started", "expired"] != naive
    assert list(subscriptions.run_due(on(1, 12))) == []


# --- trials ----------------------------------------------------------------------------------------------------------


def test_a_trial_restarts_on_every_save(sold: Organization) -> None:
    """The seed project: a row on trial without an end gets a fresh one in save()."""
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    with at(START):
        ends = subscriptions.start_trial(sold, "PRO", actor="user 1").trial_ends_at
    assert ends is not None
    for day in (1, 13, 20):
        with at(START + day * DAY):
            row().save()
            call_command("run_billing")
            assert row().trial_ends_at == (None if day == 20 else ends)
            assert row().plan_in_force(clock.now()) == ("FREE" if day == 20 else "PRO")


def test_a_trial_restarts_on_every_plan_assignment(sold: Organization) -> None:
    """mroudai: assign_plan() grants one each time. Here buying and giving never do, and a second is refused."""
    Plan.objects.update(trial_days=14)
    with at(START):
        subscriptions.start_trial(sold, "PRO", actor="user 1")
        subscriptions.set_by_staff(sold, "PRO", on(7, 2), actor="anna", reason="a gift")
        assert (row().trial_ends_at, row().period_end) == (None, on(7, 2))
    pay(sold, "PRO", on(8, 2))
    assert row().trial_ends_at is None
    with at(on(1, 5)):
        assert row().state() is State.EXPIRED
        with pytest.raises(TrialUsed):
            subscriptions.start_trial(sold, "BASIC", actor="user 1")


def test_a_trial_for_each_organization_of_one_owner(sold: Organization, settings: Any) -> None:
    """All but Autumn: whoever signs up again tries again."""
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    settings.TENANT_BILLING_TRIAL_KEYS = lambda _organization: ["owner: samir@example.com"]
    subscriptions.start_trial(sold, "PRO", actor="user 1")
    again = Organization.objects.create(name="Another name")
    with pytest.raises(TrialUsed):
        subscriptions.start_trial(again, "PRO", actor="user 1")
    with clock.moved(3650 * DAY), pytest.raises(TrialUsed):
        subscriptions.start_trial(again, "PRO", actor="user 1")


def test_who_is_on_trial_is_locked_out(sold: Organization) -> None:
    """dj-stripe 1209: a gate that asks for a payment. Here one asks for the plan in force, with limits of a trial."""
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    PlanLimit.objects.filter(plan="PRO", feature="invoices").update(trial_differs=True, trial_limit_value=20)
    subscriptions.start_trial(sold, "PRO", actor="user 1")
    naive = row().activations.exists()
    assert naive is False
    assert check(sold, "reports")
    assert check(sold, "invoices").limit == 20


def test_used_trial_quota_eats_the_paid_quota(sold: Organization) -> None:
    """soulbscription 72: consumption of the trial counts against what was paid for."""
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    with at(START):
        subscriptions.start_trial(sold, "PRO", actor="user 1")
        quotas.consume(sold, "invoices", 3000)
        assert not check(sold, "invoices")
    with at(START + DAY):
        pay(sold, "PRO", clock.now())
        naive = 3000 - 3000
        assert quotas.consume(sold, "invoices", 3000).amount > naive


# --- periods of use --------------------------------------------------------------------------------------------------


def test_a_feature_that_was_never_used_is_refused(sold: Organization) -> None:
    """laravelcm 30: no row of usage, no use. So it is on day one, after a renewal, and after a change of plan."""
    pay(sold, "BASIC", START)
    for plan, day in (("BASIC", 1), ("BASIC", 2), ("PRO", 3), ("PRO", 33)):
        with at(START + day * DAY):
            pay(sold, plan, clock.now())
            found = check(sold, "api_calls")
            assert (found.used, bool(found)) == (0, True)
    with at(START + 40 * DAY):
        assert quotas.consume(sold, "api_calls")


def test_a_calendar_reset_gives_two_allowances_for_one_payment(sold: Organization) -> None:
    """relaticle 437: paid on 20 January, used up, and all there again on 1 February."""
    paid = on(20, 1)
    pay(sold, "BASIC", paid)
    with at(paid + DAY):
        quotas.consume(sold, "invoices", 1000)
    with at(on(1, 2)):
        naive = paid.month != clock.now().month
        assert naive
        with pytest.raises(QuotaExceeded):
            quotas.consume(sold, "invoices")
    pay(sold, "BASIC", on(19, 2))
    with at(on(19, 2) + timedelta(hours=1)), pytest.raises(QuotaExceeded):
        quotas.consume(sold, "invoices")
    with at(on(20, 2)):
        assert quotas.consume(sold, "invoices", 1000)


def test_a_year_that_was_paid_has_an_allowance_each_month(sold: Organization) -> None:
    pay(sold, "PRO", START, yearly())
    for moment in (on(1, 2), on(28, 2), on(31, 3), on(30, 12)):
        with at(moment):
            assert quotas.consume(sold, "invoices", 3000)
            with pytest.raises(QuotaExceeded):
                quotas.consume(sold, "invoices")


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_downgrade_deletes(sold: Organization) -> None:
    """baronunread: what is beyond the lower limit goes. Here it stays and works; only more of it is refused."""
    pay(sold, "PRO", START)
    with at(START + DAY):
        for number in range(52):
            with quotas.consuming(sold, "customers"):
                Customer.objects.create(organization=sold, name=str(number))
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
        assert [over.used for over in subscriptions.preview(sold, "BASIC")[1]] == [52]
    pay(sold, "BASIC", on(2, 2))
    with at(on(1, 3)):
        call_command("run_billing")
        naive = Customer.objects.count() - 2
        assert Customer.objects.count() == check(sold, "customers").used == 52 > naive
        with pytest.raises(QuotaExceeded):
            quotas.consume(sold, "customers")
        quotas.release(sold, "customers", 3)
        assert quotas.consume(sold, "customers")


def test_the_free_plan_expires(sold: Organization) -> None:
    """django-plans 24: everybody has an end, and whoever does not pay is locked out."""
    pay(sold, "BASIC", START)
    for moment in (on(1, 6), on(1, 6, 2036)):
        with at(moment):
            call_command("run_billing")
            assert check(sold, "customers").plan == "FREE"
            assert check(sold, "customers")
            assert row().due_at is None
    other = Organization.objects.create(name="Never paid")
    with clock.moved(3650 * DAY):
        assert list(subscriptions.run_due(clock.now())) == []
        assert (other.subscription.state(), other.subscription.ends_at) == (State.ACTIVE, None)
        assert quotas.consume(other, "invoices", 10)


def test_cancel_at_period_end_ends_it_now(sold: Organization) -> None:
    """mroudai: ends_at becomes now, also where the end of the period was asked for."""
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.cancel(sold, actor="user 1")
        naive = clock.now()
        ends = row().ends_at
        assert ends == on(28, 2) > naive
        assert check(sold, "customers").plan == "PRO"
    with at(on(27, 2)):
        assert check(sold, "customers").plan == "PRO"
        subscriptions.resume(sold, actor="user 1")
        assert row().renews_at == on(28, 2)


def test_days_of_grace_that_no_code_reads(sold: Organization) -> None:
    """flexible-subscriptions and laravelcm have the columns. Here the gate reads them, of each plan its own."""
    for days in (0, 3, 10):
        Plan.objects.filter(pk="PRO").update(grace_days=days)
        organization = Organization.objects.create(name=f"{days}")
        Subscription.objects.filter(organization=organization).update(anchor=START, period_start=START)
        pay(organization, "PRO", START)
        plans = []
        for day in range(28, 40):
            with at(START + day * DAY):
                plans.append(check(organization, "customers").plan)
                assert bool(quotas.check(organization, "customers", 6)) is (plans[-1] == "PRO")
        naive = 0
        assert plans.count("PRO") == days >= naive


@pytest.mark.parametrize("days_left", [6.5, 5, 2, 0.1])
def test_reminders_on_an_exact_day_are_missed(sold: Organization, days_left: float) -> None:
    """django-plans looks for ends in exactly 7 days, so that a day off says nothing."""
    pay(sold, "PRO", START)
    now = on(28, 2) - days_left * DAY
    told = [event.data["days"] for event in subscriptions.run_due(now)]
    naive = [days for days in (7, 1) if days == days_left]
    assert told == [7 if days_left > 1 else 1] != naive
    assert list(subscriptions.run_due(now)) == []


# --- the calendar of the organization --------------------------------------------------------------------------------


def test_a_day_is_off_at_night(sold: Organization) -> None:
    """django-plans 2.1.6 and 236: date.today(), then the date in UTC. At 18:15 UTC it is tomorrow in Kathmandu."""
    pay(sold, "BASIC", START)
    counted = []
    for minute in (14, 15):
        now = datetime(2026, 2, 13, 18, minute, tzinfo=UTC)
        naive = (on(28, 2).date() - now.date()).days
        with at(now + timedelta(seconds=1)):
            (credit,) = subscriptions.preview(sold, "PRO")[0].credits
        counted.append((naive, credit.unused_days))
    assert counted == [(15, 15), (15, 14)]
    night = datetime(2026, 6, 30, 19, 0, tzinfo=UTC)  # 1 July in Kathmandu
    assert pay(sold, "BASIC", night).ends_at == datetime(2026, 7, 31, 19, 0, tzinfo=UTC)
    naive_end = datetime(2026, 7, 30, 19, 0, tzinfo=UTC)
    assert row().period_end != naive_end


# --- rows and signals ------------------------------------------------------------------------------------------------

ACTS: dict[str, Callable[[Organization], Any]] = {
    "cancel": lambda who: subscriptions.cancel(who, actor="user"),
    "schedule": lambda who: subscriptions.schedule_change(who, "BASIC", actor="user"),
    "give": lambda who: subscriptions.set_by_staff(who, "PRO", on(1, 9), actor="anna", reason="a gift"),
    "extend": lambda who: subscriptions.extend(who, 1, actor="anna", reason="an outage"),
    "pay": lambda who: pay(who, "PRO", clock.now()),
    "run_billing": lambda _who: list(subscriptions.run_due(clock.now())),
}


def test_a_stale_instance_writes_old_values_back(sold: Organization) -> None:
    """django-plans 2.5.1: a row that was read before the lock is saved after it, and a paid month is gone."""
    pay(sold, "PRO", START)
    stale = Subscription.objects.get(organization=sold)
    pay(sold, "PRO", on(1, 2))
    stale.canceled_at = on(2, 2)
    stale.save()
    assert row().period_end == on(28, 2)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_an_organization_holds_in_memory_is_never_saved(
    sold: Organization, act: Callable[[Organization], Any]
) -> None:
    pay(sold, "PRO", START)
    stale = Organization.objects.select_related("subscription").get()
    pay(sold, "PRO", on(1, 2))
    Subscription.objects.update(credit_minor=700, credit_currency="NPR")
    assert (stale.subscription.period_end, stale.subscription.credit_minor) == (on(28, 2), 0)
    with at(on(25, 3)), CaptureQueriesContext(connection) as queries:
        act(stale)
    statements = [query["sql"] for query in queries]
    written = next(
        number for number, sql in enumerate(statements) if sql.startswith("UPDATE") and "credit_minor" in sql
    )
    # A queryset that nobody evaluates locks nothing (silver); SQLite has one writer anyway.
    locked = any("FOR UPDATE" in sql for sql in statements[:written])
    assert locked is connection.features.has_select_for_update
    found = row()
    assert found.period_end is not None
    assert found.period_end >= on(31, 3)
    assert found.credit_minor == (0 if found.activations.count() == 3 else 700)


@pytest.mark.django_db(transaction=True)
def test_a_signal_is_sent_inside_the_transaction(sold: Organization) -> None:
    """Most: a receiver that asks, or starts a job that asks, sees nothing yet; and hears of what is rolled back."""
    heard: list[tuple[object, ...]] = []

    def elsewhere(event: SubscriptionEvent, found: list[int]) -> None:
        found.append(SubscriptionEvent.objects.filter(pk=event.pk).count())
        connection.close()

    def hears(event: SubscriptionEvent, **_kwargs: Any) -> None:
        found: list[int] = []
        other = Thread(target=elsewhere, args=[event, found])
        other.start()
        other.join()
        heard.append((event.change, connection.in_atomic_block, *found))

    signals.subscription_changed.connect(hears)
    try:
        with suppress(LookupError), transaction.atomic():
            pay(sold, "PRO", START)
            raise LookupError
        assert (heard, history()) == ([], [])
        pay(sold, "PRO", START)
        with at(on(1, 2)):
            subscriptions.cancel(sold, actor="user 1")
        list(subscriptions.run_due(on(1, 3)))
    finally:
        signals.subscription_changed.disconnect(hears)
    assert heard == [("started", False, 1), ("canceled", False, 1), ("expired", False, 1)]


DRIFT = {
    "plain": "",
    "every setting": """
TENANT_BILLING_RELATED_PREFIX = "billing_"
TENANT_BILLING_FALLBACK_PLAN = "GRATIS"
TENANT_BILLING_REMINDER_DAYS = (30,)
TENANT_BILLING_TRIAL_KEYS = "somewhere.keys"
TENANT_BILLING_ORGANIZATION_TIME_ZONE = "somewhere.zone"
TENANT_BILLING_CATALOGUE = {"features": {}, "plans": {"GRATIS": {"name": "Gratis", "price": 0, "limits": {}}}}
TENANT_BILLING_MODE = "live"
TIME_ZONE = "Asia/Kathmandu"
LANGUAGE_CODE = "de"
""",
}


@pytest.mark.parametrize("more", DRIFT.values(), ids=DRIFT)
def test_fields_that_depend_on_settings_drift(tmp_path: Any, more: str) -> None:
    """mroudai: another setting, another migration. See test_migrations.py for tenants and keys of any kind."""
    site = Site(tmp_path)
    site.create(INTEGER, settings=more)
    printed = site.works('call_command("makemigrations", "orgs", verbosity=0)\n' + NO_CHANGES)
    assert printed == "No changes detected\n"


# --- payments that were begun ----------------------------------------------------------------------------------------


def test_one_payment_per_order_blocks_who_abandons_a_wallet_page(simulator: Server, organization: Organization) -> None:
    """getpaid: an order has one payment that has not failed, and an abandoned one has not. Here each try is a try."""

    def start(plan: str) -> Any:
        return payments.start(organization, plan, "khalti", base_url="http://testserver", actor="user 1")[0]

    abandoned, other_plan, again = start("PRO"), start("BASIC"), start("PRO")
    assert [payment.status for payment in (abandoned, other_plan, again)] == ["initiated"] * 3
    simulator.khalti.decide(again.gateway_reference, Act.PAY)
    assert payments.settle(again).status == "paid"
    assert row().plan_in_force(clock.now()) == "PRO"
    assert payments.settle(abandoned).status in ("initiated", "pending")
    assert row().activations.count() == 1
