"""What staff does to subscriptions in the admin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import localtime

from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import Activation, Plan, Subscription, SubscriptionEvent
from tests.quota_tools import at
from tests.sales import START, on, pay, row
from tests.testapp.models import Organization


@pytest.fixture
def act(admin_client: Client, sold: Organization) -> Any:
    """Send the form of the organization's subscription as its page would, with one act."""

    def sent(name: str, day: datetime, plan: str = "", **values: str) -> Any:
        subscription = row()
        end = subscription.period_end
        shown = localtime(end) if end else None
        form = {
            "act": name,
            "plan": plan or subscription.plan_id,
            "period_end_0": f"{shown:%Y-%m-%d}" if shown else "",
            "period_end_1": f"{shown:%H:%M:%S}" if shown else "",
            "days": "",
            "reason": "as agreed",
            **values,
        }
        with at(day):
            return admin_client.post(f"/admin/tenant_billing/subscription/{subscription.pk}/change/", form, follow=True)

    return sent


def last() -> tuple[str, str, str]:
    event = SubscriptionEvent.objects.order_by("-pk")[0]
    return event.change, event.actor, event.reason


def test_staff_does_every_act_with_a_reason(act: Any, sold: Organization) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    act("start_trial", START, plan="PRO")
    assert last() == ("trial_started", "admin", "as agreed")
    act("extend_trial", on(1, 2), days="3")
    assert row().trial_ends_at == row().period_end
    assert last()[0] == "trial_extended"
    pay(sold, "PRO", on(2, 2))
    end = row().period_end
    assert end is not None
    day = on(20, 2)
    for name, values, change in (
        ("extend", {"days": "2"}, "extended"),
        ("schedule_change", {"plan": "BASIC"}, "change_scheduled"),
        ("undo_change", {}, "change_undone"),
        ("cancel", {}, "canceled"),
        ("resume", {}, "resumed"),
    ):
        assert "was changed successfully" in act(name, day, **values).content.decode()
        assert last() == (change, "admin", "as agreed")
    assert row().period_end == end + timedelta(days=2)
    act("set_by_staff", day, plan="BASIC", period_end_0="2026-12-31", period_end_1="10:00:00")
    assert (row().plan_id, last()[0]) == ("BASIC", "comped")
    assert row().credit_minor == sum(Activation.objects.values_list("credited_minor", flat=True)) > 0


def test_what_is_not_possible_is_told_above_the_form_and_changes_nothing(act: Any, sold: Organization) -> None:
    pay(sold, "PRO", START)
    before = row().snapshot()
    page = act("resume", on(1, 2)).content.decode()
    assert "Cannot resume a subscription that is active: it was not canceled." in page
    assert "was changed successfully" not in page
    page = act("start_trial", on(1, 2)).content.decode()
    assert "cannot be bought: it has no trial." in page
    # Credit of two currencies is one thing that nobody can add up.
    Subscription.objects.update(credit_minor=1, credit_currency="USD")
    assert "there is credit in another currency already" in act("set_by_staff", on(1, 2), plan="BASIC").content.decode()
    Subscription.objects.update(credit_minor=0, credit_currency="")
    assert row().snapshot() == before


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("cancel", {"plan": "BASIC"}, "This act takes no plan."),
        ("cancel", {"period_end_0": "2026-12-31"}, "This act does not set an end."),
        ("cancel", {"days": "3"}, "This act takes no days."),
        ("extend", {}, "How many?"),
        ("extend", {"days": "-1"}, "Ensure this value is greater than or equal to 1."),
        ("extend", {"days": "3", "reason": ""}, "This field is required."),
        ("set_by_staff", {"period_end_0": "2026-01-01"}, "Name a moment that is still to come."),
        ("delete", {}, "Select a valid choice."),
    ],
)
def test_what_an_act_does_not_take_is_refused(
    act: Any, sold: Organization, name: str, values: dict[str, str], said: str
) -> None:
    pay(sold, "PRO", START)
    before = row().snapshot()
    assert said in act(name, on(1, 2), **values).content.decode()
    assert row().snapshot() == before


def test_an_act_on_a_plan_that_ended_does_not_stumble_over_its_end(act: Any, sold: Organization) -> None:
    pay(sold, "PRO", START)
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    act("start_trial", on(1, 6))
    with at(on(1, 6)):
        assert row().state() is State.TRIALING


def test_the_latest_history_is_listed_first(admin_client: Client, sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(1, 2))
    page = admin_client.get("/admin/tenant_billing/subscriptionevent/").content.decode()
    assert page.index("paid for the next plan</td>") < page.index("started</td>")
