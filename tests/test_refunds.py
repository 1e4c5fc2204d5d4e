"""What becomes of a subscription when a payment goes back to the payer (T6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations, permutations, product

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from django_tenant_billing import subscriptions
from django_tenant_billing.models import Activation, Plan, PlanPrice, Subscription
from django_tenant_billing.models.refunds import take_back
from tests.quota_tools import at
from tests.sales import START, history, on, pay, row, yearly
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

KINDS = ("BASIC", "PRO", "year")


def bought(organization: Organization, kind: str, now: datetime) -> Activation:
    return pay(organization, "PRO", now, yearly()) if kind == "year" else pay(organization, kind, now)


def taken_back(organization: Organization, span: Activation, now: datetime) -> None:
    with transaction.atomic():
        locked = Subscription.objects.lock(organization.pk, now)
        take_back(locked, Activation.objects.get(pk=span.pk), now, actor="anna")


def stands() -> dict[str, object]:
    kept = row().snapshot()
    kept.pop("credit_currency")
    return kept


@pytest.mark.parametrize("before", ["free", "paid", "trial"])
@pytest.mark.parametrize("kinds", list(product(("BASIC", "PRO"), repeat=3)), ids="-".join)
def test_t6_three_payments_are_taken_back_in_any_order_to_where_it_all_began(
    sold: Organization, kinds: tuple[str, ...], before: str
) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    if before == "paid":
        pay(sold, "BASIC", START - timedelta(days=10))
    if before == "trial":
        with at(START - timedelta(days=3)):
            subscriptions.start_trial(sold, "PRO", actor="user 1")
    began, paid_before = stands(), set(Activation.objects.values_list("pk", flat=True))
    for order in permutations(range(3)):
        with transaction.atomic():
            spans = [bought(sold, kind, START + timedelta(hours=n)) for n, kind in enumerate(kinds)]
            for n, which in enumerate(order):
                taken_back(sold, spans[which], START + timedelta(hours=3 + n))
            assert stands() == began, (kinds, order)
            assert not Activation.objects.exclude(pk__in=paid_before).filter(closed_at=None).exists()
            assert Activation.objects.filter(pk__in=paid_before, closed_at=None).count() == len(paid_before)
            transaction.set_rollback(True)


@pytest.mark.parametrize("kinds", [("BASIC",) * 3, ("PRO",) * 3, ("PRO", "PRO", "BASIC"), ("year", "PRO", "BASIC")])
def test_whatever_is_taken_back_of_what_follows_each_other_the_rest_is_as_if_it_alone_had_been_bought(
    sold: Organization, kinds: tuple[str, ...]
) -> None:
    now = START + timedelta(hours=1)
    for gone in [*combinations(range(3), 1), *combinations(range(3), 2)]:
        with transaction.atomic():
            spans = [bought(sold, kind, START) for kind in kinds]
            for which in gone:
                taken_back(sold, spans[which], now)
            left, credit = row().paid_until, row().credit_minor
            transaction.set_rollback(True)
        with transaction.atomic():
            for n, kind in enumerate(kinds):
                if n not in gone:
                    # What had begun begins anew when the first is taken back.
                    bought(sold, kind, now if 0 in gone else START)
            assert (left, credit) == (row().paid_until, 0)
            transaction.set_rollback(True)


def test_a_renewal_taken_back_ends_where_it_ended_before(sold: Organization) -> None:
    pay(sold, "PRO", START)
    before = stands()
    renewal = pay(sold, "PRO", on(10, 2))
    taken_back(sold, renewal, on(12, 2))
    assert stands() == before
    assert history()[-1] == "taken_back"


def test_what_was_bought_after_a_running_period_that_is_taken_back_begins_now(sold: Organization) -> None:
    first = pay(sold, "PRO", START)
    pay(sold, "PRO", on(1, 2))
    pay(sold, "BASIC", on(2, 2))
    taken_back(sold, first, on(10, 2))
    assert (row().plan_id, row().period_start, row().period_end) == ("PRO", on(10, 2), on(10, 3))
    assert (row().next_plan_id, row().next_period_end) == ("BASIC", on(10, 4))


def test_a_prepaid_plan_comes_earlier_again_when_a_renewal_before_it_is_taken_back(sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(1, 2))
    pay(sold, "BASIC", on(1, 2))
    before = stands(), [(a.starts_at, a.ends_at) for a in Activation.objects.order_by("pk")]
    renewal = pay(sold, "PRO", on(2, 2))
    taken_back(sold, renewal, on(2, 2))
    rest = [(a.starts_at, a.ends_at) for a in Activation.objects.filter(taken_back_at=None).order_by("pk")]
    assert (stands(), rest) == before


def test_a_prepaid_plan_begins_when_the_renewal_that_runs_before_it_is_taken_back(sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(1, 2))
    renewal = pay(sold, "PRO", on(2, 2))
    taken_back(sold, renewal, on(5, 3))
    assert (row().plan_id, row().period_start, row().period_end) == ("BASIC", on(5, 3), on(5, 4))
    assert row().next_plan_id is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_credit_that_went_through_several_upgrades_is_undone_in_any_order(
    sold: Organization, order: tuple[int, ...]
) -> None:
    Plan.objects.create(code="GOLD", name="Gold", position=9)
    PlanPrice.objects.create(plan_id="GOLD", amount_minor=900_000, is_default=True)
    began = stands()
    spans = [pay(sold, plan, START + timedelta(days=n)) for n, plan in enumerate(("BASIC", "PRO", "GOLD"))]
    for n, which in enumerate(order):
        taken_back(sold, spans[which], START + timedelta(days=3, hours=n))
    assert stands() == began


def test_what_an_upgrade_took_the_place_of_goes_on_and_is_no_credit_any_more(sold: Organization) -> None:
    pay(sold, "BASIC", START, yearly_basic())
    before = stands()
    upgrade = pay(sold, "PRO", on(1, 2))
    assert row().credit_minor > 0
    taken_back(sold, upgrade, on(20, 2))
    assert stands() == before
    assert Activation.objects.get(plan="BASIC").credited_minor == 0


def yearly_basic() -> PlanPrice:
    return PlanPrice.objects.create(plan_id="BASIC", amount_minor=1_000_000, interval="year")


def test_credit_that_was_spent_elsewhere_since_is_forgiven(sold: Organization) -> None:
    pay(sold, "BASIC", START, yearly_basic())
    upgrade = pay(sold, "PRO", on(1, 2))
    pay(sold, "PRO", on(1, 2))
    pay(sold, "PRO", on(1, 2))
    assert row().credit_minor == 0
    taken_back(sold, upgrade, on(2, 2))
    # BASIC goes on for a moment, and the two renewals of PRO are an upgrade again, with its credit.
    assert (row().plan_id, row().credit_minor > 0) == ("PRO", True)


def test_credit_made_of_what_is_taken_back_goes_as_far_as_it_is_there(sold: Organization) -> None:
    paid = pay(sold, "PRO", START)
    with at(START):
        subscriptions.set_by_staff(sold, "BASIC", on(20, 3), actor="anna", reason="a mistake")
    assert row().credit_minor == paid.value_minor
    Subscription.objects.update(credit_minor=1000)
    taken_back(sold, paid, on(1, 2))
    assert (row().credit_minor, row().plan_id, row().period_end) == (0, "BASIC", on(20, 3))
    assert Activation.objects.get().credited_minor == paid.value_minor - 1000


def test_of_days_that_were_had_nothing_comes_back(sold: Organization) -> None:
    first = pay(sold, "PRO", START)
    pay(sold, "PRO", on(10, 2))
    before = stands()
    taken_back(sold, first, on(5, 3))
    assert stands() == before


def test_what_staff_gave_stays(sold: Organization) -> None:
    first = pay(sold, "PRO", START)
    second = pay(sold, "PRO", START)
    with at(on(1, 2)):
        subscriptions.extend(sold, 3, actor="anna", reason="the site was down")
        subscriptions.cancel(sold, actor="user 1")
    taken_back(sold, second, on(1, 2))
    assert row().period_end == on(3, 3)  # 28 February and three days
    assert row().canceled_at is not None
    with at(on(1, 2)):
        subscriptions.set_by_staff(sold, "PRO", None, actor="anna", reason="a friend")
    taken_back(sold, first, on(1, 2))
    assert (row().plan_id, row().period_end) == ("PRO", None)


def test_a_cancellation_stays_where_something_is_left_to_be_canceled(sold: Organization) -> None:
    first = pay(sold, "PRO", START)
    pay(sold, "PRO", START)
    with at(on(1, 2)):
        subscriptions.cancel(sold, actor="user 1")
    taken_back(sold, first, on(2, 2))
    assert (row().canceled_at is not None, row().grace_ends_at) == (True, None)


@given(
    steps=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(KINDS)), min_size=1, max_size=4),
    order=st.permutations(range(4)),
    waits=st.lists(st.integers(0, 30), min_size=4, max_size=4),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
def test_nothing_is_left_of_payments_that_all_went_back(
    sold: Organization, steps: list[tuple[int, str]], order: list[int], waits: list[int]
) -> None:
    now, spans = START, []
    with transaction.atomic():
        for days, kind in steps:
            now += timedelta(days=days)
            spans.append(bought(sold, kind, now))
        for which, days in zip([which for which in order if which < len(spans)], waits, strict=False):
            now += timedelta(days=days)
            taken_back(sold, spans[which], now)
            _what_holds_was_bought(now)
        assert row().credit_minor == 0
        assert row().plan_in_force(now) == "FREE" or row().on_grace_period(now)
        assert not Activation.objects.open_of(row(), now).exists()
        transaction.set_rollback(True)


def _what_holds_was_bought(now: datetime) -> None:
    """Each day to come is one that was paid for and not taken back, and none of those is missing."""
    spans = list(Activation.objects.open_of(row(), now))
    assert all(span.taken_back_at is None for span in spans)
    for day in range(1, 120):
        moment = now + timedelta(days=day)
        held = [span.plan for span in spans if span.starts_at <= moment < span.ends_at]
        assert len(held) <= 1
        if held:
            assert row().plan_in_force(moment) == held[0]
        else:
            assert row().plan_in_force(moment) == "FREE" or row().on_grace_period(moment)
