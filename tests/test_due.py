"""What time does to subscriptions, and the command that notes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from django_tenant_billing import clock, quotas, signals, subscriptions
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.explain import explain
from django_tenant_billing.models import (
    Feature,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.quotas import check
from tests.quota_tools import at
from tests.sales import START, on, pay, row
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def test_the_end_is_reminded_of_once_and_only_while_there_is_time(sold: Organization) -> None:
    pay(sold, "PRO", START)
    told = []
    for day in (20, 21, 22, 26, 27, 28, 40):
        moment = START + timedelta(days=day)
        told.append([(event.change, event.data.get("days")) for event in subscriptions.run_due(moment)])
    assert told == [[], [("reminded", 7)], [], [], [("reminded", 1)], [("grace_started", None)], [("expired", None)]]
    pay(sold, "PRO", on(1, 5))
    # Days off: only what still matters is said.
    assert [event.data for event in subscriptions.run_due(on(31, 5))] == [{"days": 1}]
    pay(sold, "PRO", on(31, 5))
    with at(on(31, 5)):
        subscriptions.cancel(sold, actor="user 1")
    assert [event.change for event in subscriptions.run_due(on(2, 7))] == ["expired"]


def test_a_command_that_stopped_is_told_by_a_check_and_in_the_admin(sold: Organization, admin_client: Client) -> None:
    def warned() -> list[str]:
        found = [message.msg for message in run_checks(databases=["default"]) if message.id == "tenant_billing.W005"]
        page = admin_client.get("/admin/tenant_billing/subscription/").content.decode()
        assert ("The command run_billing has stopped (since Feb." in page) is bool(found)
        return found

    assert warned() == []
    pay(sold, "PRO", START)
    with at(START + timedelta(days=22)):
        assert warned() == []  # due for a day
    with at(START + timedelta(days=23)):
        assert "has not run since 2026-02-21 06:00 UTC" in warned()[0]
        call_command("run_billing")
        assert warned() == []
    with at(START + timedelta(days=25)):
        assert "has not run since 2026-02-23" in warned()[0]


def test_a_command_that_did_not_run_for_forty_days_changes_no_day_of_access_and_catches_up_once(
    sold: Organization,
    capsys: pytest.CaptureFixture[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(10, 2))
    plans = []
    for day in range(70):
        with at(START + timedelta(days=day)):
            decided = check(sold, "customers").plan
            assert decided == row().plan_in_force(clock.now())
            plans.append(decided)
    # 28 days of PRO and 31 of BASIC were paid; then come three of grace.
    assert [plans.count(plan) for plan in ("PRO", "BASIC", "FREE")] == [28, 31 + 3, 8]
    told: list[str] = []

    def hears(event: SubscriptionEvent, **_kwargs: Any) -> None:
        told.append(event.change)

    signals.subscription_changed.connect(hears)
    with at(START + timedelta(days=70)):
        for _time in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                call_command("run_billing")
    signals.subscription_changed.disconnect(hears)
    assert told == ["changed", "grace_started", "expired"]
    assert [event.at for event in SubscriptionEvent.objects.all()][-3:] == [on(28, 2), on(31, 3), on(3, 4)]
    assert capsys.readouterr().out.splitlines() == [
        "✓ 2026-02-28 06:00 UTC Himal Traders: changed to the next plan",
        "✓ 2026-03-31 06:00 UTC Himal Traders: grace started",
        "✓ 2026-04-03 06:00 UTC Himal Traders: expired",
        "✓ 3 due",
        "✓ 0 due",
    ]
    assert row().due_at is None


def test_an_organization_that_is_deleted_meanwhile_is_no_obstacle(sold: Organization) -> None:
    pay(sold, "PRO", START)
    other = Organization.objects.create(name="Gone")
    Subscription.objects.filter(organization=other).update(due_at=START)
    events = subscriptions.run_due(on(28, 2))
    assert next(events).organization_name == "Himal Traders"
    other.delete()
    assert list(events) == []


def test_in_grace_a_feature_that_is_not_kept_falls_back(sold: Organization) -> None:
    Feature.objects.filter(pk="invoices").update(kept_in_grace=False)
    pay(sold, "PRO", START)
    with at(on(1, 3)):
        assert {d.feature: d.plan for d in quotas.check_all(sold)} == {
            "invoices": "FREE", "customers": "PRO", "team_members": "PRO", "api_calls": "PRO", "reports": "PRO",
        }  # fmt: skip
        assert quotas.consume(sold, "customers", 40)
        assert not check(sold, "invoices", 11)
        with pytest.raises(QuotaExceeded, match="Reached invoice limit"):
            quotas.consume(sold, "invoices", 11)


def test_support_is_told_what_comes_after_the_plan_in_force(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
        assert "  then: BASIC, to be paid then." in explain(sold, "invoices")
        pay(sold, "BASIC", clock.now())
        assert "  then: BASIC, paid until 2026-03-31 11:45 +0545." in explain(sold, "invoices")
        subscriptions.cancel(sold, actor="user 1")
        assert "  canceled: then FREE holds." in explain(sold, "invoices")
        subscriptions.resume(sold, actor="user 1")
    with at(on(1, 4)):
        grace = "In grace until 2026-04-03 11:45 +0545, so BASIC holds here."
        assert f"Plan: BASIC was paid until 2026-03-31 11:45 +0545. {grace}" in explain(sold, "invoices")
