"""Amounts that are no whole number from 1 up: refused by every verb, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_tenant_billing import quotas
from django_tenant_billing.catalogue import MAX_LIMIT
from django_tenant_billing.exceptions import QuotaExceeded, ReleaseTooLarge
from django_tenant_billing.models import Hold, PlanLimit, UsageCounter
from tests.testapp.models import Organization


def enter_block(organization: Organization, feature: Any, *amount: Any) -> None:
    with quotas.consuming(organization, feature, *amount):
        raise AssertionError("the block must not run")  # pragma: no cover


COUNTING: dict[str, Callable[..., Any]] = {
    "consume": quotas.consume,
    "consume with a key": partial(quotas.consume, key="k"),
    "consume, capped": partial(quotas.consume, when_short="cap"),
    "consume, allowed": partial(quotas.consume, when_short="allow"),
    "consuming": enter_block,
    "track": quotas.track,
    "release": quotas.release,
    "reserve": quotas.reserve,
    "reserve with a key": partial(quotas.reserve, key="k"),
}
SINGLE: dict[str, Callable[..., Any]] = {
    "check": quotas.check, "enter": quotas.enter, "set_usage": quotas.set_usage,
}  # fmt: skip

NUMBERS = st.one_of(
    st.integers(max_value=-1),
    st.integers(min_value=MAX_LIMIT + 1),
    st.sampled_from([0, -1, -(2**31), 2**53, 2**63 - 1, 2**63, 2**64]),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.booleans(),
)
OTHERS = st.one_of(st.none(), st.text(), st.binary(), st.complex_numbers(), st.lists(st.integers(), max_size=2))


@pytest.fixture
def counted(organization: Organization) -> Organization:
    """10 invoices of a plan without a limit, of which 5 are held."""
    PlanLimit.objects.update(limit_value=None)
    quotas.consume(organization, {"api_calls": 5, "invoices": 5})
    quotas.reserve(organization, "invoices", 5)
    return organization


@given(amount=NUMBERS | OTHERS, data=st.data())
@settings(
    max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_verb_takes_an_amount_that_is_no_whole_number_from_1_up(
    counted: Organization, amount: Any, data: st.DataObject
) -> None:
    verb = data.draw(st.sampled_from([*COUNTING, *SINGLE, "commit"]))
    if verb == "set_usage" and type(amount) is int and amount == 0:
        amount = -1  # 0 is the truth now and then
    with CaptureQueriesContext(connection) as queries, pytest.raises(ValueError, match="whole number"):
        call(verb, counted, amount)
    assert [q["sql"] for q in queries if q["sql"].startswith(("UPDATE", "INSERT", "DELETE"))] == []


def call(verb: str, organization: Organization, amount: Any) -> Any:
    if verb == "commit":
        # None is no amount there, but what was held; and 0 is work that used nothing.
        actual = -1 if amount is None or (type(amount) is int and amount == 0) else amount
        hold = Hold.objects.get()
        return quotas.reservation(organization, hold.key).commit({"invoices": actual})
    if verb in SINGLE:
        return SINGLE[verb](organization, "invoices", amount)
    COUNTING[verb](organization, {"api_calls": 1, "invoices": 1} | {"invoices": amount})
    raise AssertionError(verb)  # pragma: no cover


@pytest.mark.parametrize("verb", sorted(COUNTING))
def test_one_bad_amount_among_several_changes_nothing(counted: Organization, verb: str) -> None:
    before = list(UsageCounter.objects.values())
    for bad in (0, -1, 2**63, 1.0, float("nan"), Decimal(1), Fraction(1), True):
        with pytest.raises(ValueError, match="whole number"):
            COUNTING[verb](counted, {"api_calls": 1, "invoices": bad})
        with pytest.raises(ValueError, match="whole number"):
            COUNTING[verb](counted, "invoices", bad)
    assert list(UsageCounter.objects.values()) == before
    assert Hold.objects.count() == 1


def test_large_whole_amounts_are_counted_or_refused_as_such(counted: Organization) -> None:
    for amount in (2**31 - 1, 2**31, 2**40):
        grant = quotas.consume(counted, "invoices", amount)
        assert UsageCounter.objects.get(feature="invoices").used == amount + 5
        with pytest.raises(ReleaseTooLarge):
            quotas.release(counted, "invoices", amount + 6)
        assert grant.release()
    PlanLimit.objects.update(limit_value=MAX_LIMIT)
    with pytest.raises(QuotaExceeded):
        quotas.consume(counted, "invoices", MAX_LIMIT)
    assert quotas.consume(counted, "invoices", MAX_LIMIT - 10).amount == MAX_LIMIT - 10


def test_a_version_that_only_compares_takes_nan_and_gives_for_negative_amounts() -> None:
    """The negative control, on plain numbers: every comparison with NaN is false, so nothing refuses it."""

    def naive(used: float, amount: float, limit: float) -> float:
        if used + amount > limit:
            raise OverflowError
        return used + amount

    assert naive(10, -5, 10) == 5
    assert naive(10, float("nan"), 10) != naive(10, float("nan"), 10)
    with pytest.raises(OverflowError):
        naive(10, 1, 10)
