"""Buying, changing, canceling, and what time does: paid days in, equal days of access out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoCaptureOnCommitCallbacks

from django_tenant_billing import clock, quotas, signals, subscriptions
from django_tenant_billing.exceptions import AppendOnly, NotForSale, NotPossible, QuotaExceeded, TrialUsed
from django_tenant_billing.explain import explain
from django_tenant_billing.lifecycle import State, days_between, unused
from django_tenant_billing.models import (
    Activation,
    Feature,
    Plan,
    PlanLimit,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
    TrialMark,
)
from django_tenant_billing.models.purchases import (
    Purchase,
    Terms,
    buy,
    drop_next,
    price_of,
    quote,
    stands_lower,
    terms_of,
)
from django_tenant_billing.periods import Interval, add
from django_tenant_billing.quotas import check
from django_tenant_billing.testing import seed_catalogue, set_used, subscribe
from tests.quota_tools import at
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

ZONE = timezone.get_default_timezone()
START = datetime(2026, 1, 31, 6, 0, tzinfo=UTC)
"""The 31st, at a quarter to noon in Kathmandu."""


def on(day: int, month: int, year: int = 2026) -> datetime:
    """That day at the hour of START."""
    return START.replace(year=year, month=month, day=day)


@pytest.fixture
def sold(organization: Organization) -> Organization:
    """Nepali prices: BASIC 1,000 and PRO 3,900 a month, PRO 39,000 a year; three days of grace."""
    Plan.objects.exclude(pk="FREE").update(grace_days=3)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    Subscription.objects.update(anchor=START - timedelta(days=90), period_start=START - timedelta(days=90))
    return organization


def yearly() -> PlanPrice:
    return PlanPrice.objects.get(plan="PRO", interval="year")


def pay(organization: Organization, plan: str, now: datetime, price: PlanPrice | None = None) -> Activation:
    """Buy and pay what is due."""
    terms = terms_of(price_of(plan, price))
    with transaction.atomic():
        row = Subscription.objects.lock(organization.pk, now)
        return buy(row, terms, now, paid_minor=quote(row, terms, now).due_minor, actor="payer")


def row() -> Subscription:
    return Subscription.objects.get()


def history() -> list[str]:
    return [event.change for event in SubscriptionEvent.objects.all()]


# What buying means


def test_what_is_bought_first_starts_now_and_is_renewed_from_its_end(sold: Organization) -> None:
    first = pay(sold, "BASIC", START)
    assert (first.starts_at, first.ends_at, first.value_minor) == (START, on(28, 2), 100_000)
    second = pay(sold, "BASIC", on(10, 2))
    third = pay(sold, "BASIC", on(10, 2))
    # From the anchor: no day of a month that has 31 is lost.
    assert [(a.starts_at, a.ends_at) for a in (second, third)] == [
        (on(28, 2), on(31, 3)),
        (on(31, 3), on(30, 4)),
    ]
    assert (row().period_start, row().period_end, row().anchor) == (START, on(30, 4), START)
    assert row().grace_ends_at == on(3, 5)
    assert history() == ["started", "renewed", "renewed"]


def test_late_renewal_starts_now(sold: Organization) -> None:
    pay(sold, "BASIC", START)
    late = pay(sold, "BASIC", on(2, 3))
    assert (late.starts_at, late.ends_at, row().anchor) == (on(2, 3), on(2, 4), on(2, 3))
    assert history() == ["started", "grace_started", "started"]


def test_an_upgrade_begins_now_with_credit_for_unused_days(sold: Organization) -> None:
    pay(sold, "BASIC", START)
    quotas.set_usage(sold, "customers", 51)
    now = on(14, 2)
    with at(now):
        offered, over = subscriptions.preview(sold, "PRO")
    # 14 of 28 days of 1,000 rupees.
    assert [(c.unused_days, c.days, c.amount_minor) for c in offered.credits] == [(14, 28, 50_000)]
    assert (offered.purchase, offered.due_minor, offered.spent_minor) == (Purchase.UPGRADES, 340_000, 50_000)
    assert over == ()
    bought = pay(sold, "PRO", now)
    assert (bought.starts_at, bought.ends_at) == (now, on(14, 3))
    assert (bought.value_minor, bought.spent_credit_minor) == (390_000, 50_000)
    closed = Activation.objects.exclude(pk=bought.pk).get()
    assert (closed.closed_at, closed.credited_minor) == (now, 50_000)
    assert (row().plan_id, row().anchor, row().credit_minor) == ("PRO", now, 0)
    event = SubscriptionEvent.objects.last()
    assert event is not None
    assert event.data["credits"] == [{"plan": "BASIC", "unused_days": 14, "days": 28, "amount_minor": 50_000}]
    assert (event.before["plan"], event.after["plan"], event.actor) == ("BASIC", "PRO", "payer")


def test_credit_beyond_the_price_stays_and_pays_for_the_next(sold: Organization) -> None:
    Plan.objects.create(code="MAX", name="Max", position=9)
    PlanPrice.objects.create(plan_id="MAX", amount_minor=500_000, is_default=True)
    pay(sold, "PRO", START, yearly())
    now = on(31, 3)
    unused_days = days_between(now, on(31, 1, 2027), ZONE)
    back = 3_900_000 * unused_days // 365
    with at(now):
        made = subscriptions.buy_with_credit(sold, "MAX", actor="user 1")
    assert (made.value_minor, made.payment, made.purchase) == (500_000, None, None)
    assert row().credit_minor == back - 500_000
    assert quote(row(), terms_of(price_of("MAX")), now).due_minor == 0
    with at(now), pytest.raises(NotForSale, match="start a payment"):
        PlanPrice.objects.filter(plan="MAX").update(amount_minor=back)
        subscriptions.buy_with_credit(sold, "MAX", actor="user 1")


def test_what_is_due_is_no_less_than_a_gateway_takes(sold: Organization) -> None:
    Subscription.objects.update(credit_minor=99_500, credit_currency="NPR")
    terms = terms_of(price_of("BASIC"))
    assert quote(row(), terms, START, minimum_minor=1000).due_minor == 1000
    assert quote(row(), terms, START).due_minor == 500
    # The price itself may be less than that; the gateway will say so.
    assert quote(row(), terms._replace(price_minor=99_900), START, minimum_minor=1000).due_minor == 1000
    Subscription.objects.update(credit_minor=0)
    assert quote(row(), terms._replace(price_minor=900), START, minimum_minor=1000).due_minor == 900


def test_credit_in_another_money_waits(sold: Organization) -> None:
    Subscription.objects.update(credit_minor=99_500, credit_currency="USD")
    assert quote(row(), terms_of(price_of("BASIC")), START).due_minor == 100_000
    pay(sold, "BASIC", START)
    assert (row().credit_minor, row().credit_currency) == (99_500, "USD")
    with pytest.raises(NotForSale, match="paid in another money"):
        quote(row(), terms_of(price_of("PRO")), START)
    pay(sold, "PRO", on(28, 2))
    PlanPrice.objects.filter(plan="BASIC").update(currency="EUR")
    pay(sold, "BASIC", on(1, 3))
    with pytest.raises(NotForSale, match="credit in another currency"):
        drop_next(row(), on(2, 3))


def test_a_lower_plan_is_paid_for_now_and_begins_when_the_paid_one_ends(sold: Organization) -> None:
    pay(sold, "PRO", START)
    bought = pay(sold, "BASIC", on(10, 2))
    assert (bought.starts_at, bought.ends_at) == (on(28, 2), on(31, 3))
    more = pay(sold, "BASIC", on(11, 2))
    assert (more.starts_at, more.ends_at) == (on(31, 3), on(30, 4))
    with at(on(27, 2)):
        assert check(sold, "customers").plan == row().plan_in_force(clock.now()) == "PRO"
    with at(on(28, 2)):
        # Nobody ran anything: the row and the clock decide.
        assert check(sold, "customers").plan == row().plan_in_force(clock.now()) == "BASIC"
        assert (row().plan_id, row().state()) == ("PRO", State.ACTIVE)
        call_command("run_billing")
        assert (row().plan_id, row().period_start, row().period_end) == ("BASIC", on(28, 2), on(30, 4))
    assert history() == ["started", "prepaid", "prepaid", "changed"]


def test_renewing_the_plan_in_force_moves_what_was_prepaid_after_it(sold: Organization) -> None:
    pay(sold, "PRO", START)
    later = pay(sold, "BASIC", on(10, 2))
    pay(sold, "PRO", on(11, 2))
    later.refresh_from_db()
    assert (later.starts_at, later.ends_at) == (on(31, 3), on(30, 4))
    assert (row().period_end, row().next_period_end) == (on(31, 3), on(30, 4))


def test_another_next_plan_turns_what_was_prepaid_into_credit(sold: Organization) -> None:
    Plan.objects.create(code="SOLO", name="Solo", position=0)
    PlanPrice.objects.create(plan_id="SOLO", amount_minor=40_000, is_default=True)
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(10, 2))
    offered = quote(row(), terms_of(price_of("SOLO")), on(11, 2))
    assert (offered.purchase, offered.credit_minor, offered.due_minor) == (Purchase.PREPAYS, 100_000, 0)
    with at(on(11, 2)):
        subscriptions.buy_with_credit(sold, "SOLO", actor="user 1")
    assert (row().next_plan_id, row().credit_minor) == ("SOLO", 60_000)


def test_paying_on_a_trial_keeps_its_days_and_starts_fresh_counters(sold: Organization) -> None:
    ends = START + timedelta(days=14)
    Subscription.objects.update(plan="PRO", anchor=START, period_start=START, period_end=ends, trial_ends_at=ends)
    with at(START + timedelta(days=3)):
        quotas.consume(sold, "invoices", 40)
        assert row().state() is State.TRIALING
        bought = pay(sold, "PRO", clock.now())
        assert (bought.starts_at, bought.ends_at) == (ends, add(ends, Interval.MONTH, 1, ZONE))
        assert (row().anchor, row().trial_ends_at, row().state()) == (ends, None, State.ACTIVE)
        # What was used on trial is no part of what was paid for.
        assert check(sold, "invoices").used == 0


def test_a_lower_plan_paid_on_a_trial_follows_it_and_a_higher_one_begins(sold: Organization) -> None:
    ends = START + timedelta(days=14)
    Subscription.objects.update(plan="PRO", anchor=START, period_start=START, period_end=ends, trial_ends_at=ends)
    bought = pay(sold, "BASIC", START)
    assert (bought.starts_at, row().anchor, row().next_plan_id) == (ends, ends, "BASIC")
    with at(ends):
        call_command("run_billing")
        assert (row().plan_id, row().trial_ends_at, row().period_start) == ("BASIC", None, ends)
    assert history() == ["prepaid", "trial_ended", "changed"]


def test_a_plan_without_an_end_is_left_only_for_a_higher_one(sold: Organization) -> None:
    subscribe(sold, "BASIC")
    with pytest.raises(NotForSale, match="has BASIC already, without an end"):
        quote(row(), terms_of(price_of("BASIC")), START)
    assert quote(row(), terms_of(price_of("PRO")), START).purchase is Purchase.UPGRADES
    subscribe(sold, "PRO")
    with pytest.raises(NotForSale, match="has PRO already, without an end"):
        quote(row(), terms_of(price_of("BASIC")), START)
    # What was paid all the same is applied: money is never dropped.
    pay_anyway = Terms("BASIC", 100_000, "NPR", Interval.MONTH, 1)
    with transaction.atomic():
        buy(Subscription.objects.lock(sold.pk, START), pay_anyway, START, paid_minor=100_000, actor="payer")
    assert (row().plan_id, row().period_end) == ("BASIC", on(28, 2))


def test_a_preview_tells_what_exists_beyond_the_lower_limits(sold: Organization) -> None:
    pay(sold, "PRO", START)
    set_used(sold, "customers", 51)
    set_used(sold, "team_members", 3)
    with at(START):
        offered, over = subscriptions.preview(sold, "BASIC")
    assert offered.purchase is Purchase.PREPAYS
    assert [(e.feature, e.plural, e.used, e.limit) for e in over] == [("customers", "customers", 51, 50)]


@pytest.mark.parametrize(
    ("plan", "reason"),
    [("GOLD", "no such plan"), ("pro", "no such plan"), ("P\x00RO", "no such plan"), ("FREE", "it is free"),
     ("BASIC", "the price of another plan")],
)  # fmt: skip
def test_what_is_not_for_sale_says_why(sold: Organization, plan: str, reason: str) -> None:
    price = yearly() if plan == "BASIC" else None
    with pytest.raises(NotForSale, match=reason):
        price_of(plan, price)
    Plan.objects.update(is_active=False)
    with pytest.raises(NotForSale, match="no longer for sale"):
        price_of("PRO")


# States and scopes


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
        State.TRIALING: "there is no end to move", State.ACTIVE: "extended", State.CANCELED: "extended",
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


# Acts


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


def test_given_days_follow_what_was_paid_and_move_what_comes_after(sold: Organization) -> None:
    pay(sold, "PRO", START)
    later = pay(sold, "BASIC", on(10, 2))
    with at(on(11, 2)):
        subscriptions.extend(sold, 3, actor="anna", reason="an outage")
    later.refresh_from_db()
    assert (later.starts_at, later.ends_at) == (on(3, 3), on(3, 4))
    assert (row().period_end, row().next_period_end, row().anchor) == (on(3, 3), on(3, 4), on(3, 4))
    assert pay(sold, "BASIC", on(12, 2)).ends_at == on(3, 5)
    with at(on(6, 5)), pytest.raises(NotPossible, match="no end to move"):
        subscriptions.extend(sold, 1, actor="anna", reason="too late")
    for days, actor in ((0, "anna"), (True, "anna"), (1, " ")):
        with pytest.raises(ValueError, match=r"whole number|reason and an actor"):
            subscriptions.extend(sold, days, actor=actor, reason="why not")


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


# What time does


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


# Days


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
            try:
                if act in ("BASIC", "PRO", "year"):
                    plan, price = ("PRO", yearly()) if act == "year" else (act, None)
                    terms = terms_of(price_of(plan, price))
                    due = quote(row(), terms, now).due_minor
                    buy(Subscription.objects.lock(organization.pk, now), terms, now, paid_minor=due, actor="payer")
                    paid += due
                elif act == "schedule":
                    subscriptions.schedule_change(organization, "BASIC", actor="user")
                elif act == "run":
                    list(subscriptions.run_due(now))
                else:
                    {"cancel": subscriptions.cancel, "resume": subscriptions.resume,
                     "undo": subscriptions.undo_change}[act](organization, actor="user")  # fmt: skip
            except NotPossible:
                pass
            assert act not in ("cancel", "resume", "schedule", "undo", "run") or row().plan_in_force(now) == before
            assert check(organization, "customers").plan == row().plan_in_force(now)
        spans = sorted(
            (a.starts_at, a.closed_at or a.ends_at) for a in Activation.objects.all()
            if a.closed_at is None or a.closed_at > a.starts_at
        )  # fmt: skip
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        worth = sum(a.value_minor - a.credited_minor for a in Activation.objects.all())
        assert paid == worth + row().credit_minor
        running = [a for a in Activation.objects.all() if a.closed_at is None and a.ends_at > now]
        assert max((a.ends_at for a in running), default=None) == (row().paid_until if running else None)
