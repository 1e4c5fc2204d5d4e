"""What becomes of a subscription when a payment goes back to the payer (T6: also tests/races/test_refund_orders.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations, permutations

import pytest
from django.db import transaction

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
