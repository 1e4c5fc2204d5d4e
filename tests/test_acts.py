"""What people do to a subscription beside paying."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from django_tenant_billing import clock, quotas, subscriptions
from django_tenant_billing.exceptions import AppendOnly, NotForSale, NotPossible, TrialUsed
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import (
    Plan,
    PlanLimit,
    Subscription,
    SubscriptionEvent,
    TrialMark,
)
from django_tenant_billing.models.quotes import stands_lower
from django_tenant_billing.quotas import check
from tests.quota_tools import at
from tests.sales import START, on, pay, row
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def test_what_was_canceled_ends_without_grace_unless_it_is_resumed_or_paid_again(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.cancel(sold, actor="user 1", reason="too dear")
        assert (row().ends_at, row().grace_ends_at) == (on(28, 2), None)
        subscriptions.resume(sold, actor="user 1")
        assert row().grace_ends_at == on(3, 3)
        subscriptions.cancel(sold, actor="user 1")
    pay(sold, "PRO", on(11, 2))
    assert (row().canceled_at, row().grace_ends_at) == (None, on(3, 4))
    with at(on(12, 2)):
        subscriptions.cancel(sold, actor="user 1")
    with at(on(31, 3)):
        assert row().state() is State.EXPIRED
        with pytest.raises(NotPossible, match="Cannot resume a subscription that is expired: it was not canceled"):
            subscriptions.resume(sold, actor="user 1")


def test_a_scheduled_change_that_nobody_pays_has_its_grace_on_the_lower_plan(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
        subscriptions.undo_change(sold, actor="user 1")
        assert row().next_plan_id is None
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
    with at(on(1, 3)):
        assert row().state() is State.GRACE
        assert check(sold, "customers").plan == row().plan_in_force(clock.now()) == "BASIC"
        call_command("run_billing")
        assert (row().plan_id, row().next_plan_id, row().state()) == ("BASIC", None, State.GRACE)
    with at(on(3, 3)):
        assert check(sold, "customers").plan == "FREE"


def test_canceling_forgets_a_change_that_is_not_paid_and_keeps_one_that_is(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
        assert subscriptions.cancel(sold, actor="user 1").next_plan_id is None
    pay(sold, "BASIC", on(11, 2))
    with at(on(12, 2)):
        assert subscriptions.cancel(sold, actor="user 1").paid_until == on(31, 3)
        with pytest.raises(NotPossible, match="BASIC is paid for; undo that first"):
            subscriptions.schedule_change(sold, "BASIC", actor="user 1")
        subscriptions.undo_change(sold, actor="user 1")
    assert (row().paid_until, row().credit_minor) == (on(28, 2), 100_000)


def test_paying_for_the_plan_in_force_again_undoes_a_scheduled_change(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
    pay(sold, "PRO", on(11, 2))
    assert (row().next_plan_id, row().period_end) == (None, on(31, 3))


def test_a_change_to_a_plan_that_is_none_is_refused(sold: Organization) -> None:
    with pytest.raises(NotForSale, match="no such plan"):
        subscriptions.schedule_change(sold, "GOLD", actor="user 1")
    with pytest.raises(NotForSale, match="no such plan"):
        stands_lower("GOLD", "PRO")


def test_staff_gives_a_plan_with_a_reason_and_an_end_to_come(sold: Organization) -> None:
    with at(START):
        quotas.consume(sold, "invoices")
        given = subscriptions.set_by_staff(sold, "PRO", on(1, 6), actor="anna", reason="a trade fair")
        assert (given.plan_id, given.period_end, given.grace_ends_at) == ("PRO", on(1, 6), on(4, 6))
        assert check(sold, "invoices").used == 0
        quotas.consume(sold, "invoices")
        subscriptions.set_by_staff(sold, "PRO", on(1, 7), actor="anna", reason="once more")
        assert check(sold, "invoices").used == 1  # the same plan goes on
        event = SubscriptionEvent.objects.latest("pk")
        assert (event.actor, event.reason, str(event)) == ("anna", "once more", "Himal Traders - comped")
        for until, actor, reason in ((None, "anna", " "), (None, " ", "why not"), (START, "anna", "why not")):
            with pytest.raises(ValueError, match=r"reason and an actor|still to come"):
                subscriptions.set_by_staff(sold, "BASIC", until, actor=actor, reason=reason)


def test_what_staff_cuts_short_becomes_credit_and_what_it_prolongs_goes_on(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(14, 2)):
        subscriptions.set_by_staff(sold, "PRO", on(1, 5), actor="anna", reason="a gift")
        assert (row().credit_minor, row().anchor) == (0, START)
        subscriptions.set_by_staff(sold, "PRO", on(20, 2), actor="anna", reason="a mistake")
        assert row().credit_minor == 390_000 * 14 // 28
    pay(sold, "PRO", on(1, 3))
    with at(on(1, 3)):
        subscriptions.set_by_staff(sold, "BASIC", None, actor="anna", reason="as agreed")
    # Nothing of the second month was had: its whole value, half of which was credit, is credit again.
    assert (row().plan_id, row().credit_minor) == ("BASIC", 390_000)


def test_who_canceled_once_can_try_a_plan_later(sold: Organization) -> None:
    Plan.objects.update(trial_days=14)
    pay(sold, "PRO", START)
    with at(on(14, 2)):
        subscriptions.cancel(sold, actor="user 1")
    with at(on(1, 3)):
        assert subscriptions.start_trial(sold, "PRO", actor="user 1").state() is State.TRIALING


def test_given_days_follow_what_was_paid_and_move_what_comes_after(sold: Organization) -> None:
    pay(sold, "PRO", START)
    later = pay(sold, "BASIC", on(10, 2))
    with at(on(11, 2)):
        subscriptions.extend(sold, 3, actor="anna", reason="an outage")
    later.refresh_from_db()
    assert (later.starts_at, later.ends_at) == (on(3, 3), on(3, 4))
    assert (row().period_end, row().next_period_end, row().anchor) == (on(3, 3), on(3, 4), on(3, 3))
    assert pay(sold, "BASIC", on(12, 2)).ends_at == on(3, 5)
    with at(on(6, 5)), pytest.raises(NotPossible, match="no end to move"):
        subscriptions.extend(sold, 1, actor="anna", reason="too late")
    for days, actor in ((0, "anna"), (True, "anna"), (1, " ")):
        with pytest.raises(ValueError, match=r"whole number|reason and an actor"):
            subscriptions.extend(sold, days, actor=actor, reason="why not")


def test_a_gift_without_an_end_that_gets_one_makes_credit_of_the_paid_days_it_cuts_off(sold: Organization) -> None:
    paid = pay(sold, "PRO", START)
    with at(on(2, 2)):
        subscriptions.set_by_staff(sold, "PRO", None, actor="anna", reason="a friend")
        assert row().credit_minor == 0
        subscriptions.set_by_staff(sold, "PRO", on(10, 2), actor="anna", reason="no friend any more")
    assert row().credit_minor == paid.value_minor * 26 // 28
    event = SubscriptionEvent.objects.latest("pk")
    assert event.data["credits"] == [
        {"plan": "PRO", "unused_days": 26, "days": 28, "amount_minor": row().credit_minor},
    ]


def test_a_canceled_trial_is_no_paid_time(sold: Organization) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    with at(START):
        subscriptions.start_trial(sold, "PRO", actor="user 1")
        subscriptions.cancel(sold, actor="user 1")
        with pytest.raises(NotPossible, match="extend the trial"):
            subscriptions.extend(sold, 1, actor="anna", reason="an outage")
        with pytest.raises(NotPossible, match="no paid time is running"):
            subscriptions.schedule_change(sold, "BASIC", actor="user 1")


def test_a_lower_plan_paid_on_a_trial_has_its_grace_and_its_calendar(sold: Organization) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=31)
    with at(START - timedelta(days=31)):
        subscriptions.start_trial(sold, "PRO", actor="user 1")
    pay(sold, "BASIC", START - timedelta(days=2))
    pay(sold, "BASIC", START - timedelta(days=1))
    ends = on(31, 3).replace(microsecond=row().paid_until.microsecond)  # type: ignore[union-attr]
    assert (row().paid_until, row().renews_at, row().grace_ends_at) == (ends, ends, ends + timedelta(days=3))


def test_a_short_gift_does_not_bring_back_what_ended_before(sold: Organization) -> None:
    pay(sold, "PRO", START)
    with at(on(2, 3)):
        before = Subscription.objects.values().get()
        with pytest.raises(NotPossible, match="it ended more than 1 days ago"):
            subscriptions.extend(sold, 1, actor="anna", reason="too little")
        assert Subscription.objects.values().get() == before
        assert subscriptions.extend(sold, 5, actor="anna", reason="an outage").state() is State.ACTIVE


def test_a_trial_is_had_once_by_all_that_an_organization_is_known_by(sold: Organization, settings: Any) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    PlanLimit.objects.filter(plan="PRO", feature="invoices").update(trial_differs=True, trial_limit_value=20)
    settings.TENANT_BILLING_TRIAL_KEYS = lambda organization: [f"owner: {organization.name[:5]}"]
    with at(START):
        with pytest.raises(NotForSale, match="it has no trial"):
            subscriptions.start_trial(sold, "BASIC", actor="user 1")
        made = subscriptions.start_trial(sold, "PRO", actor="user 1")
        assert (made.state(), made.trial_ends_at) == (State.TRIALING, made.period_start + timedelta(days=14))
        assert check(sold, "invoices").limit == 20
        subscriptions.extend_trial(sold, 7, actor="anna", reason="a holiday")
        other = Organization.objects.create(name="HIMAL Again")
        with pytest.raises(TrialUsed, match="the one trial was had"):
            subscriptions.start_trial(other, "PRO", actor="user 1")
        assert subscriptions.start_trial(Organization.objects.create(name="Other"), "PRO", actor="user 2")
    with at(START + timedelta(days=21, minutes=1)):
        assert Subscription.objects.get(organization=sold).state() is State.EXPIRED
        with pytest.raises(TrialUsed):
            subscriptions.start_trial(sold, "PRO", actor="user 1")
    assert "Himal" not in "".join(TrialMark.objects.values_list("digest", flat=True))


def test_history_is_written_once(sold: Organization) -> None:
    pay(sold, "PRO", START)
    event = SubscriptionEvent.objects.get()
    for act in (
        event.save, event.delete, SubscriptionEvent.objects.all().delete,
        lambda: SubscriptionEvent.objects.update(reason="x"),
        lambda: SubscriptionEvent.objects.bulk_update([event], ["reason"]),
    ):  # fmt: skip
        with pytest.raises(AppendOnly):
            act()
