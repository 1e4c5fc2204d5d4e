"""The sweep: batches, a gateway's pace, one that is down is spared, one that refuses our key waits for a person."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Breaker, Heartbeat, PaymentTransaction, Throttle
from django_tenant_billing.models.breakers import OPENS_AFTER
from django_tenant_billing.payments import Sweep
from tests.test_payments import fault, kinds, pay, start
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

FAST = 1000
"""Questions in a second: as if there were no pace."""


def several(number: int) -> list[PaymentTransaction]:
    return [start(Organization.objects.create(name=f"Organization {n}")) for n in range(number)]


def sweep(minutes: int = 2, **options: Any) -> Sweep:
    with clock.moved(timedelta(minutes=minutes)):
        return payments.reconcile(**{"per_second": FAST, **options})


def asked() -> int:
    return sum(kind.startswith("asked") for payment in PaymentTransaction.objects.all() for kind in kinds(payment))


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batches_follow_each_other_until_the_limit_or_nothing_is_due(simulator: Server, catalogue: None) -> None:
    started = several(5)
    told: list[int] = []
    assert sweep(limit=2, progress=lambda s: told.append(s.asked)).asked == 2
    assert sweep(progress=lambda s: told.append(s.asked)).asked == 3
    assert told == [2, 3]
    assert [kinds(payment).count("asked:") for payment in started] == [1] * 5
    assert sweep().asked == 0


@pytest.mark.breaks_the_log
def test_all_that_was_started_since_then_is_asked_about_due_or_not(simulator: Server, catalogue: None) -> None:
    old, fresh, canceled = several(3)
    PaymentTransaction.objects.filter(pk=old.pk).update(created_at=clock.now() - timedelta(days=40))
    PaymentTransaction.objects.filter(pk=canceled.pk).update(status="canceled", next_check_at=None)
    pay(simulator, fresh, Act.CLOSE_TAB)
    pay(simulator, canceled, Act.CLOSE_TAB)
    since = clock.now() - timedelta(days=1)
    found = payments.reconcile(since=since, per_second=FAST)
    assert (found.asked, found.paid) == (2, 2)
    assert payments.reconcile(since=since, per_second=FAST, limit=1).asked == 1
    old.refresh_from_db()
    assert kinds(old) == ["started:created", "moved:initiated"]


def test_counters_of_tries_that_nobody_needs_any_more_are_forgotten(simulator: Server, catalogue: None) -> None:
    Throttle.objects.take("old", 1, timedelta(minutes=1), clock.now() - timedelta(days=2))
    Throttle.objects.take("new", 1, timedelta(minutes=1), clock.now())
    payments.reconcile()
    assert [throttle.name for throttle in Throttle.objects.all()] == ["new"]


# --- pace ------------------------------------------------------------------------------------------------------------


def test_a_gateway_is_asked_so_often_in_a_second_and_no_more(simulator: Server, catalogue: None) -> None:
    several(5)
    began = time.monotonic()
    assert sweep(per_second=20).asked == 5
    assert time.monotonic() - began >= 4 / 20


# --- a gateway that is down ------------------------------------------------------------------------------------------


def test_a_gateway_that_is_down_is_asked_five_times_and_then_by_a_probe_each_minute(
    simulator: Server, catalogue: None
) -> None:
    several(9)
    fault(simulator, "500", times=100)
    # Of those after the fifth nobody asks: they are still open, and nothing of them is used up.
    found = sweep(minutes=2)
    assert (found.asked, found.still_open) == (9, 9)
    assert asked() == OPENS_AFTER
    sweep(minutes=6)
    assert asked() == OPENS_AFTER + 1
    fault(simulator, "500", times=0)
    sweep(minutes=9)
    # The first that got an answer closed it.
    assert asked() == OPENS_AFTER + 1 + 9
    assert (Breaker.objects.get().failures, Breaker.objects.get().opened_at) == (0, None)


def test_while_a_gateway_is_down_the_sweep_does_not_wait_for_its_pace(simulator: Server, catalogue: None) -> None:
    several(12)
    Breaker.objects.halt("khalti", "refused our key")
    began = time.monotonic()
    assert sweep(per_second=1).still_open == 12
    assert time.monotonic() - began < 5
    assert asked() == 0


def test_a_gateway_that_refuses_our_key_is_asked_no_more_until_a_person_says_so(
    simulator: Server, catalogue: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    payment, _other = several(2)
    pay(simulator, payment, Act.CLOSE_TAB)
    gateways = settings.TENANT_BILLING_GATEWAYS
    right = gateways["khalti"]["OPTIONS"]["secret_key"]
    gateways["khalti"]["OPTIONS"]["secret_key"] = "revoked"
    assert sweep(minutes=2).still_open == 2
    assert asked() == 1
    assert "reconcile_payments --resume khalti" in caplog.text
    gateways["khalti"]["OPTIONS"]["secret_key"] = right
    sweep(minutes=60)
    assert asked() == 1
    out, err = StringIO(), StringIO()
    with clock.moved(timedelta(minutes=60)):
        call_command("reconcile_payments", stdout=out, stderr=err)
    assert err.getvalue().startswith("khalti is not asked but by a probe each minute, or not at all: Khalti refused")
    with clock.moved(timedelta(minutes=70)):
        call_command("reconcile_payments", "--resume", "khalti", "--per-second", "100", stdout=out)
    assert "✓ khalti is asked again" in out.getvalue()
    payment.refresh_from_db()
    assert payment.status == "paid"


def test_a_gateway_that_is_not_configured_is_not_one_that_is_down(
    simulator: Server, catalogue: None, settings: Any
) -> None:
    several(7)
    settings.TENANT_BILLING_GATEWAYS = {}
    assert sweep().still_open == 7
    assert not Breaker.objects.exists()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_beats_and_tells_its_progress_on_long_runs(simulator: Server, catalogue: None) -> None:
    several(2)
    out = StringIO()
    call_command("reconcile_payments", "--since", "2026-01-01", "--per-second", "100", stdout=out)
    assert out.getvalue().splitlines() == [
        "… asked 2",
        "✓ asked 2: 0 paid, 0 in review, 0 closed, 2 still open, 0 refunded",
    ]
    assert Heartbeat.objects.get().name == "reconcile_payments"


@pytest.mark.parametrize(
    ("text", "moment"),
    [("2999-10-01", 0), ("2999-10-01T12:00", 0), ("2999-10-01 12:00+05:45", 0), ("2020-10-01T00:00:00Z", 1)],
)
def test_the_command_takes_a_day_or_a_moment(
    simulator: Server, organization: Organization, text: str, moment: int
) -> None:
    start(organization)
    out = StringIO()
    call_command("reconcile_payments", "--since", text, stdout=out)
    assert f"✓ asked {moment}:" in out.getvalue()


@pytest.mark.parametrize("text", ["yesterday", "2026-02-31", "2026-01-01T25:00", ""])
def test_what_is_no_moment_is_refused(catalogue: None, text: str) -> None:
    with pytest.raises(CommandError, match="write it as 2026-10-01"):
        call_command("reconcile_payments", "--since", text)


@pytest.mark.parametrize("option", ["--limit", "--per-second"])
def test_numbers_below_one_are_refused(catalogue: None, option: str) -> None:
    with pytest.raises(CommandError, match="numbers from 1 up"):
        call_command("reconcile_payments", option, "0")


def test_resuming_what_nothing_held_says_so(catalogue: None) -> None:
    out = StringIO()
    call_command("reconcile_payments", "--resume", "khalti", stdout=out)
    assert out.getvalue().startswith("khalti was not held back by anything")


def test_the_heartbeat_is_of_now(catalogue: None) -> None:
    before = clock.now()
    call_command("reconcile_payments", stdout=StringIO())
    at = Heartbeat.objects.get(name="reconcile_payments").at
    assert isinstance(at, datetime)
    assert before <= at <= clock.now()
