"""Every state of a subscription, its scope, and every event in it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_tenant_billing import clock, subscriptions
from django_tenant_billing.exceptions import NotPossible
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import (
    Plan,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.quotas import check
from tests.quota_tools import at
from tests.sales import START, on, pay, row
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


SCOPES = {
    State.TRIALING: "trialing", State.ACTIVE: "active", State.CANCELED: "canceled", State.GRACE: "on_grace_period",
    State.EXPIRED: "expired",
}  # fmt: skip


def stands(state: State, organization: Organization) -> None:
    """Bring the organization, which is new, into a state at START."""
    if state is State.TRIALING:
        ends = START + timedelta(days=14)
        Subscription.objects.update(plan="PRO", period_start=START, period_end=ends, trial_ends_at=ends)
        row().save()
    elif state in (State.ACTIVE, State.CANCELED):
        pay(organization, "PRO", START)
        if state is State.CANCELED:
            with at(START):
                subscriptions.cancel(organization, actor="user 1")
    else:
        pay(organization, "PRO", on(29, 12, 2025) if state is State.GRACE else on(1, 12, 2025))


@pytest.mark.parametrize("state", State)
def test_the_scopes_have_the_words_and_the_meaning_of_the_row(sold: Organization, state: State) -> None:
    stands(state, sold)
    with at(START):
        assert row().state() is state
        assert [name for name in SCOPES.values() if getattr(Subscription.objects, name)().exists()] == [SCOPES[state]]
        assert row().on_trial() is (state is State.TRIALING)
        assert row().on_grace_period() is (state is State.GRACE)
        assert (row().renews_at is None) is (state in (State.TRIALING, State.CANCELED))
        assert row().ends_at is not None
        assert check(sold, "customers").plan == row().plan_in_force(clock.now())


def test_a_new_organization_is_active_on_the_fallback_plan_without_an_end(organization: Organization) -> None:
    assert (row().state(), row().ends_at, row().renews_at, row().paid_until) == (State.ACTIVE, None, None, None)


CELLS: dict[str, dict[State, str]] = {
    # What happens, or a part of why it is refused. A payment is never refused.
    "pay for PRO": {
        State.TRIALING: "started", State.ACTIVE: "renewed", State.CANCELED: "renewed", State.GRACE: "started",
        State.EXPIRED: "started",
    },
    "pay for BASIC": {
        State.TRIALING: "prepaid", State.ACTIVE: "prepaid", State.CANCELED: "prepaid", State.GRACE: "started",
        State.EXPIRED: "started",
    },
    "pay for MAX": {
        State.TRIALING: "upgraded", State.ACTIVE: "upgraded", State.CANCELED: "upgraded", State.GRACE: "started",
        State.EXPIRED: "started",
    },
    "cancel": {
        State.TRIALING: "canceled", State.ACTIVE: "canceled", State.CANCELED: "nothing of it is going to end",
        State.GRACE: "nothing of it is going to end", State.EXPIRED: "nothing of it is going to end",
    },
    "resume": {
        State.TRIALING: "was not canceled", State.ACTIVE: "was not canceled", State.CANCELED: "resumed",
        State.GRACE: "was not canceled", State.EXPIRED: "was not canceled",
    },
    "schedule BASIC": {
        State.TRIALING: "no paid time is running", State.ACTIVE: "change_scheduled",
        State.CANCELED: "change_scheduled", State.GRACE: "no paid time is running",
        State.EXPIRED: "no paid time is running",
    },
    "schedule MAX": {
        State.TRIALING: "no paid time is running", State.ACTIVE: "is no lower plan", State.CANCELED: "is no lower plan",
        State.GRACE: "no paid time is running", State.EXPIRED: "no paid time is running",
    },
    "undo": dict.fromkeys(State, "none is going to come"),
    "give": dict.fromkeys(State, "comped"),
    "try PRO": {
        State.TRIALING: "it has PRO", State.ACTIVE: "it has PRO", State.CANCELED: "it has PRO",
        State.GRACE: "it has PRO", State.EXPIRED: "trial_started",
    },
    "extend": {
        State.TRIALING: "extend the trial", State.ACTIVE: "extended", State.CANCELED: "extended",
        State.GRACE: "extended", State.EXPIRED: "there is no end to move",
    },
    "extend trial": {
        State.TRIALING: "trial_extended", State.ACTIVE: "no trial is running", State.CANCELED: "no trial is running",
        State.GRACE: "no trial is running", State.EXPIRED: "no trial is running",
    },
    "time passes": {
        State.TRIALING: "trial_ended", State.ACTIVE: "expired", State.CANCELED: "expired", State.GRACE: "expired",
        State.EXPIRED: "expired",
    },
}  # fmt: skip


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", CELLS)
def test_every_event_in_every_state_happens_or_says_why_not(sold: Organization, state: State, event: str) -> None:
    Plan.objects.create(code="MAX", name="Max", position=9)
    PlanPrice.objects.create(plan_id="MAX", amount_minor=500_000, is_default=True)
    stands(state, sold)
    what, _, plan = event.removeprefix("pay for ").rpartition(" ")
    expected = CELLS[event][state]
    with at(START):
        before = Subscription.objects.values().get()
        try:
            if event.startswith("pay for"):
                pay(sold, plan, clock.now())
            elif what == "schedule":
                subscriptions.schedule_change(sold, plan, actor="user 1")
            elif event == "cancel":
                subscriptions.cancel(sold, actor="user 1")
            elif event == "resume":
                subscriptions.resume(sold, actor="user 1")
            elif event == "undo":
                subscriptions.undo_change(sold, actor="user 1")
            elif event == "give":
                subscriptions.set_by_staff(sold, "BASIC", None, actor="staff", reason="a friend")
            elif event == "try PRO":
                Plan.objects.update(trial_days=14)
                subscriptions.start_trial(sold, "PRO", actor="user 1")
            elif event == "extend":
                subscriptions.extend(sold, 9, actor="staff", reason="an outage")
            elif event == "extend trial":
                subscriptions.extend_trial(sold, 9, actor="staff", reason="a holiday")
            else:
                assert list(subscriptions.run_due(on(1, 1, 2028)))
        except NotPossible as error:
            assert expected in str(error)
            assert Subscription.objects.values().get() == before
            return
    assert SubscriptionEvent.objects.latest("pk").change == expected
