"""What buying means: when it begins, what it costs, and what becomes of what was paid before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction

from django_tenant_billing import clock, quotas, subscriptions
from django_tenant_billing.exceptions import NotForSale
from django_tenant_billing.lifecycle import State, days_between
from django_tenant_billing.models import (
    Activation,
    Plan,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.models.purchases import buy, drop_next
from django_tenant_billing.models.quotes import Purchase, Terms, price_of, quote, terms_of
from django_tenant_billing.periods import Interval, add
from django_tenant_billing.quotas import check
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import at
from tests.sales import START, ZONE, history, on, pay, row, yearly
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


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
    assert quote(row(), terms, START).at_least(1000).due_minor == 1000
    assert quote(row(), terms, START).due_minor == 500
    # The price itself may be less than that; the gateway will say so.
    assert quote(row(), terms._replace(price_minor=99_900), START).at_least(1000).due_minor == 1000
    Subscription.objects.update(credit_minor=0)
    assert quote(row(), terms._replace(price_minor=900), START).at_least(1000).due_minor == 900


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


def test_paying_on_a_trial_for_its_plan_after_a_lower_one_makes_that_one_credit(sold: Organization) -> None:
    ends = START + timedelta(days=14)
    Subscription.objects.update(plan="PRO", anchor=START, period_start=START, period_end=ends, trial_ends_at=ends)
    pay(sold, "BASIC", START)
    converted = pay(sold, "PRO", START)
    assert (converted.value_minor, converted.spent_credit_minor) == (390_000, 100_000)
    assert (row().plan_id, row().next_plan_id, row().credit_minor) == ("PRO", None, 0)


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
    assert [(e.feature, e.label, e.used, e.limit) for e in over] == [("customers", "customers", 51, 50)]


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
