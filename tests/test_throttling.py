"""How often: the counters by name, whom each counts for, and what it says when it is full."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from django_tenant_billing.exceptions import Throttled
from django_tenant_billing.models import PaymentTransaction, Throttle
from django_tenant_billing.payments import throttling
from tests.quota_tools import at
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def kept(number: int) -> PaymentTransaction:
    """A payment of which only the key is looked at."""
    return PaymentTransaction(pk=number)


def refused(take: Callable[[], object]) -> int:
    with pytest.raises(Throttled) as caught:
        take()
    return caught.value.seconds


def test_w7_a_user_starts_ten_payments_a_minute_and_the_next_is_told_when() -> None:
    himal, other = Organization(pk=1), Organization(pk=2)
    with at(NOON):
        for _time in range(10):
            throttling.may_initiate(himal, 7)
        assert 50 <= refused(lambda: throttling.may_initiate(other, 7)) <= 60
        throttling.may_initiate(himal, 8)
    with at(NOON + timedelta(seconds=50)):
        assert 1 <= refused(lambda: throttling.may_initiate(himal, 7)) <= 11
    with at(NOON + timedelta(minutes=1, seconds=10)):
        throttling.may_initiate(himal, 7)


def test_w7_an_organization_starts_thirty_payments_an_hour_whoever_does_it() -> None:
    himal, other = Organization(pk=1), Organization(pk=2)
    with at(NOON):
        for number in range(30):
            throttling.may_initiate(himal, number)
        assert 3590 <= refused(lambda: throttling.may_initiate(himal, 30)) <= 3600
        throttling.may_initiate(other, 31)
    with at(NOON + timedelta(hours=1, seconds=10)):
        throttling.may_initiate(himal, 32)


def test_w7_a_payment_is_verified_three_times_a_minute() -> None:
    with at(NOON):
        for _time in range(3):
            throttling.may_verify(kept(1))
        assert 50 <= refused(lambda: throttling.may_verify(kept(1))) <= 60
        throttling.may_verify(kept(2))


def test_w7_an_address_comes_back_sixty_times_a_minute_and_a_payment_six_times() -> None:
    with at(NOON):
        assert [throttling.may_look_up(kept(1), f"192.0.2.{number}") for number in range(7)] == [True] * 6 + [False]
        assert all(throttling.may_look_up(kept(number), "198.51.100.1") for number in range(2, 62))
        assert not throttling.may_look_up(kept(62), "198.51.100.1")
        assert throttling.may_look_up(kept(62), "198.51.100.2")


def test_what_names_no_payment_is_told_once_a_minute_for_each_reason_and_gateway() -> None:
    with at(NOON):
        assert [throttling.may_tell("esewa", "bad_signature") for _time in range(3)] == [True, False, False]
        assert throttling.may_tell("other", "bad_signature")
        assert throttling.may_tell("esewa", "burst")


def test_no_address_and_no_key_is_kept_in_clear_and_every_name_fits_its_column() -> None:
    throttling.may_look_up(kept(123456789), "192.0.2.77")
    throttling.may_initiate(Organization(pk=987654321), "somebody@example.com")
    names = list(Throttle.objects.values_list("name", flat=True))
    assert len(names) == 4
    for name in names:
        assert len(name) <= 120
        for known in ("192.0.2.77", "123456789", "987654321", "somebody"):
            assert known not in name
