"""Guarded models under concurrency and kills: as many rows as the limit, and as many units as rows."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.synchronize import Barrier

import pytest
from django.db import connection, transaction

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.testing import seed_catalogue, set_used
from tests.conftest import seed_guarded
from tests.races.harness import kill_at, points_of
from tests.testapp.models import Customer, Organization, Project

Together = Callable[[int, Callable[[int], int]], list[int]]

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 10


@pytest.fixture
def full_but_one() -> Organization:
    """9 of 10 projects, and of customers, which are not guarded."""
    seed_catalogue()
    seed_guarded()
    organization = Organization.objects.create(name="Nearly full")
    return fill(organization)


def fill(organization: Organization) -> Organization:
    Project.objects.all().delete()
    Customer.objects.all().delete()
    for number in range(LIMIT - 1):
        Project.objects.create(organization=organization, code=f"kept-{number}")
        Customer.objects.create(organization=organization, name=f"kept-{number}")
    return organization


def size_here() -> int:
    """SQLite has one writer at a time: 16 processes would queue, not contend."""
    return 8 if connection.vendor == "sqlite" else 16


def gate() -> Barrier:
    """Where all who have looked wait for each other, in threads and in processes: the moment that every race needs."""
    return multiprocessing.get_context("fork").Barrier(size_here())


def used(organization: Organization, feature: str = "projects") -> int:
    return quotas.check(organization, feature).used


@pytest.mark.parametrize("how", ["create", "bulk_create"])
def test_parallel_creates_at_9_of_10_make_exactly_one_row(
    full_but_one: Organization, together: Together, runs: int, how: str
) -> None:
    def create(_index: int) -> int:
        # Never the same twice: MariaDB deadlocks by itself on a unique key whose deleted twin is not yet purged.
        project = Project(organization=full_but_one, code=uuid.uuid4().hex[:20])
        try:
            if how == "create":
                project.save()
            else:
                Project.objects.bulk_create([project])
        except QuotaExceeded:
            return 0
        return 1

    for _run in range(runs):
        fill(full_but_one)
        created = together(size_here(), create)
        assert (sum(created), Project.objects.count(), used(full_but_one)) == (1, LIMIT, LIMIT)


def test_counting_rows_and_then_creating_overshoots(full_but_one: Organization, together: Together, runs: int) -> None:
    """The negative control: what a hurried developer writes, on a model that nobody guards."""
    checked = gate()

    def create(index: int) -> int:
        for number in range(2):
            # No transaction on SQLite, which would serialise even this.
            with nullcontext() if connection.vendor == "sqlite" else transaction.atomic():
                room = Customer.objects.filter(organization=full_but_one).count() < LIMIT
                if number == 0:
                    checked.wait(30)
                if room:
                    Customer.objects.create(organization=full_but_one, name=f"{index}-{number}")
        return 0

    for _run in range(runs):
        fill(full_but_one)
        together(size_here(), create)
        assert Customer.objects.count() >= LIMIT - 1 + size_here()


@pytest.mark.parametrize("how", ["row", "queryset"])
def test_parallel_deletes_of_one_row_give_back_one(
    full_but_one: Organization, together: Together, runs: int, how: str
) -> None:
    for _run in range(runs):
        fill(full_but_one)
        project = Project.objects.get(code="kept-0")

        def delete(_index: int, project: Project = project) -> int:
            if how == "row":
                Project(pk=project.pk, organization=full_but_one).delete()
            else:
                Project.objects.filter(pk=project.pk).delete()
            return 0

        together(size_here(), delete)
        assert used(full_but_one) == Project.objects.count() == LIMIT - 2


def test_releasing_after_every_delete_gives_back_more_than_went(
    full_but_one: Organization, together: Together, runs: int
) -> None:
    """The negative control: a double click on a delete button, and a release beside the delete."""
    found = gate()

    def delete(_index: int) -> int:
        customer = Customer.objects.get(name="kept-0")
        found.wait(30)
        with transaction.atomic():
            customer.delete()
            quotas.release(full_but_one, "customers")
        return 0

    for _run in range(runs):
        fill(full_but_one)
        # So many that no release fails for want of units.
        set_used(full_but_one, "customers", 100)
        together(size_here(), delete)
        assert (Customer.objects.count(), used(full_but_one, "customers")) == (LIMIT - 2, 100 - size_here())


def test_a_kill_anywhere_in_a_create_or_a_delete_leaves_as_many_units_as_rows(full_but_one: Organization) -> None:
    def create() -> None:
        Project.objects.create(organization=full_but_one, code="new")

    def delete() -> None:
        Project.objects.get(code="kept-0").delete()

    def delete_many() -> None:
        Project.objects.filter(code__startswith="kept").delete()

    for work in (create, delete, delete_many):
        fill(full_but_one)
        points = points_of(work)
        assert len(points) >= 8
        for point in points:
            fill(full_but_one)
            assert kill_at(point, work)
            assert used(full_but_one) == Project.objects.count()


def test_creating_and_then_counting_loses_a_unit_when_killed_between_them(full_but_one: Organization) -> None:
    """The negative control of the kills."""

    def create() -> None:
        Customer.objects.create(organization=full_but_one, name="new")
        UsageCounter.objects.filter(organization=full_but_one, feature="customers").update(
            used=Customer.objects.count()
        )

    unequal = 0
    for point in points_of(create):
        fill(full_but_one)
        set_used(full_but_one, "customers", LIMIT - 1)
        assert kill_at(point, create)
        unequal += used(full_but_one, "customers") != Customer.objects.count()
    assert unequal > 0
