"""Receipts from 1 to n without a gap or a double: many at once, and SIGKILL at every statement."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import payments
from django_tenant_billing.models import Receipt, ReceiptSequence
from django_tenant_billing.testing import seed_catalogue
from tests.folding import assert_no_violation
from tests.manual import begin, came, use_bank
from tests.races.harness import KillPoint, kill_at, meeting, points_of
from tests.races.test_kills import assert_active_once, sweep_twice
from tests.races.test_payment_races import Together, deliver_one_of, paid_at_the_wallet
from tests.testapp.models import Customer, Organization

pytestmark = pytest.mark.django_db(transaction=True)


def assert_numbered_from_one(number: int) -> None:
    assert list(Receipt.objects.order_by("number").values_list("number", flat=True)) == list(range(1, number + 1))
    assert_no_violation()


@pytest.mark.usefixtures("site")
def test_eight_payments_that_settle_at_once_have_numbers_without_a_gap(
    wallet: str, together: Together, runs: int
) -> None:
    ReceiptSequence.objects.all().delete()  # the first eight begin it, too
    for run in range(runs):
        bought = [paid_at_the_wallet(wallet, f"run {run}.{one}") for one in range(8)]
        for _again in range(2):
            assert together(8, partial(deliver_one_of, bought)) == [303] * 8
            assert_numbered_from_one(8 * (run + 1))
        for payment in bought:
            assert_active_once(payment)


@pytest.fixture
def shop() -> Organization:
    return Organization.objects.create(name="Shop")


def numbers_of(shop: Organization) -> list[int]:
    """Of invoices as a hurried developer writes them: without a constraint."""
    return sorted(int(name) for name in Customer.objects.filter(organization=shop).values_list("name", flat=True))


def naive_number(shop: Organization, looked: Callable[[], object], _index: int) -> int:
    """Look for the highest number, and take the one after it."""
    with transaction.atomic():
        number = max(numbers_of(shop), default=0) + 1
    looked()
    Customer.objects.create(organization=shop, name=str(number))
    return number


def test_the_highest_number_and_one_is_given_eight_times(together: Together, shop: Organization) -> None:
    assert together(8, partial(naive_number, shop, meeting(8))) == [1] * 8
    assert numbers_of(shop) == [1] * 8
    assert naive_number(shop, meeting(1), 0) == 2  # alone it looks right


@pytest.mark.usefixtures("site")
def test_settling_that_is_killed_anywhere_loses_no_number(wallet: str) -> None:
    rehearsal = paid_at_the_wallet(wallet, "rehearsal")
    points = points_of(partial(payments.settle, rehearsal))
    killed = [paid_at_the_wallet(wallet, f"{point}"[:80]) for point in points]
    for point, payment in zip(points, killed, strict=True):
        assert kill_at(point, partial(payments.settle, payment))
        done = Receipt.objects.filter(payment=payment).count()
        payment.refresh_from_db()
        assert (payment.status == "paid") == bool(done)
        assert_numbered_from_one(Receipt.objects.count())
    sweep_twice()
    for payment in killed:
        assert_active_once(payment)
    assert_numbered_from_one(len(killed) + 1)


def test_the_first_number_that_is_taken_by_somebody_who_is_killed_anywhere_is_taken_again(settings: Any) -> None:
    use_bank(settings)
    seed_catalogue()
    payment, number = begin(Organization.objects.create(name="First")), 0
    while kill_at(KillPoint(number, after=False), partial(came, payment)):
        assert (Receipt.objects.count(), ReceiptSequence.objects.count()) == (0, 0)
        number += 1
    assert number > 20
    assert_numbered_from_one(1)


def number_first(shop: Organization) -> None:
    """Take the number in a commit of its own, and write it down afterwards."""
    with transaction.atomic():
        number = ReceiptSequence.objects.take()
    Customer.objects.create(organization=shop, name=str(number))


@pytest.mark.breaks_the_log
def test_a_number_that_is_taken_in_a_commit_of_its_own_is_lost(shop: Organization) -> None:
    number_first(shop)
    for point in points_of(partial(number_first, shop)):
        assert kill_at(point, partial(number_first, shop))
    number_first(shop)
    told = numbers_of(shop)
    assert len(told) == len(set(told)) < told[-1]
