"""Exactly the limit, whatever the concurrency; and the naive ways beside it, which overshoot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.testing import set_used
from tests.races.counting import (
    SQLITE_WRITERS,
    TRIES,
    Together,
    consume_many,
    naive_consume,
    set_limit,
    size_here,
    used,
)
from tests.races.harness import meeting
from tests.testapp.models import Customer, Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("size", "most"), [(2, 1), (8, 7), (32, 1), (64, 7)])
def test_640_contended_tries_grant_exactly_the_limit(
    contended: Organization, together: Together, runs: int, size: int, most: int
) -> None:
    if size > size_here(size):
        pytest.skip(f"{SQLITE_WRITERS} processes are all that can contend here.")
    # Grants are what contends; where each of them is a write to the disk, there are enough of fewer.
    limit = 100 if connection.vendor == "sqlite" else 500
    set_limit(limit)
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        granted = together(size, lambda index: consume_many(contended, TRIES // size, most=most, first=index))
        assert (sum(granted), used(contended)) == (limit, limit)


@pytest.mark.parametrize("size", [8, 64])
def test_the_naive_version_overshoots(contended: Organization, together: Together, runs: int, size: int) -> None:
    if size > size_here(size):
        pytest.skip(f"{SQLITE_WRITERS} processes are all that can contend here.")
    for _run in range(runs):
        set_used(contended, "invoices", 99)
        assert sum(together(size, partial(naive_consume, contended, 100, meeting(size)))) == size
        assert naive_consume(contended, 100, meeting(1), 0) == 0  # alone it looks right, which is why it gets written


def nine_of_ten(organization: Organization) -> None:
    Customer.objects.all().delete()
    Customer.objects.bulk_create(Customer(organization=organization, name=str(number)) for number in range(9))
    set_used(organization, "customers", 9)


def test_of_16_creations_at_9_of_10_one_is_kept(contended: Organization, together: Together, runs: int) -> None:
    set_limit(10, "customers")
    size = size_here(16)

    def create(index: int) -> int:
        try:
            with quotas.consuming(contended, "customers"):
                Customer.objects.create(organization=contended, name=f"new {index}")
        except QuotaExceeded:
            return 0
        return 1

    for _run in range(runs):
        nine_of_ten(contended)
        assert sum(together(size, create)) == 1
        assert (used(contended, "customers"), Customer.objects.count()) == (10, 10)


def naive_create(organization: Organization, looked: Callable[[], object], index: int) -> int:
    with transaction.atomic():
        there = Customer.objects.filter(organization=organization).count()
        looked()
        if there >= 10:
            return 0
        Customer.objects.create(organization=organization, name=f"new {index}")
    return 1


def test_counting_rows_and_then_inserting_overshoots_where_writers_are_not_serialised(
    contended: Organization, together: Together, runs: int
) -> None:
    # SQLite has one writer at a time: nobody there can look while another one has, and so even this holds.
    size = size_here(16)
    at_once = 1 if connection.vendor == "sqlite" else size
    for _run in range(runs):
        nine_of_ten(contended)
        assert sum(together(size, partial(naive_create, contended, meeting(at_once)))) == at_once
        assert naive_create(contended, meeting(1), 99) == 0
