"""Payments that go back to the payer, in any order (T6): nothing is left of them, and nothing else is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations, product

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from django_tenant_billing import subscriptions
from django_tenant_billing.models import Activation, Plan
from tests.quota_tools import at
from tests.sales import START, pay, row
from tests.test_refunds import KINDS, bought, stands, taken_back
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


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
