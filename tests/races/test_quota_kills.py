"""SIGKILL and errors at each statement and commit of every way to count: the work and its units, or neither."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F

from django_tenant_billing import quotas
from django_tenant_billing.models import Hold, UsageCounter
from django_tenant_billing.quotas import Reservation
from django_tenant_billing.testing import set_used
from tests.clocks import expire_all
from tests.races.counting import held, used
from tests.races.harness import KillPoint, die_at, kill_at, points_of
from tests.testapp.models import Customer, Invoice, Organization

pytestmark = pytest.mark.django_db(transaction=True)


class Died(OperationalError):
    """The database is gone at this statement, or just after it."""


def raise_at(point: KillPoint, work: Callable[[], Any]) -> bool:
    """As kill_at, with the connection's death instead of our own."""

    def die() -> None:
        raise Died

    with pytest.raises(Died):
        die_at(point, work, die)
    connection.close()
    return True


FATES = pytest.mark.parametrize("fate", [kill_at, raise_at])
Fate = Callable[[KillPoint, Callable[[], Any]], bool]


def invoice_with_consume(organization: Organization) -> None:
    with transaction.atomic():
        Invoice.objects.create(organization=organization, number="1")
        quotas.consume(organization, "invoices")


def invoice_with_several(organization: Organization) -> None:
    with transaction.atomic():
        quotas.consume(organization, {"invoices": 1, "api_calls": 5})
        Invoice.objects.create(organization=organization, number="1")


def invoice_with_consuming(organization: Organization) -> None:
    with quotas.consuming(organization, "invoices"):
        Invoice.objects.create(organization=organization, number="1")


def invoice_with_first_use(organization: Organization) -> None:
    UsageCounter.objects.all().delete()
    invoice_with_consuming(organization)


@FATES
@pytest.mark.parametrize(
    "work", [invoice_with_consume, invoice_with_several, invoice_with_consuming, invoice_with_first_use]
)
def test_ended_anywhere_there_is_an_invoice_for_each_unit(
    contended: Organization, work: Callable[[Organization], None], fate: Fate
) -> None:
    set_used(contended, "invoices", 0)
    set_used(contended, "api_calls", 0)
    seen = set()
    points = points_of(partial(work, contended))
    for point in points:
        reset(contended)
        assert fate(point, partial(work, contended))
        assert Invoice.objects.count() == used(contended)
        assert used(contended, "api_calls") in {0, 5 * used(contended)}
        seen.add(used(contended))
    assert seen == {0, 1}
    # The valid control: unharmed, it is there.
    reset(contended)
    work(contended)
    assert (Invoice.objects.count(), used(contended)) == (1, 1)


def reset(organization: Organization) -> None:
    Invoice.objects.all().delete()
    set_used(organization, "invoices", 0)
    set_used(organization, "api_calls", 0)


def test_counting_before_the_transaction_loses_units_to_a_kill(contended: Organization) -> None:
    """The negative control: two commits, of which one may be the last."""

    def naive() -> None:
        quotas.consume(contended, "customers")
        Customer.objects.create(organization=contended, name="Sita")

    naive()
    unequal = 0
    for point in points_of(naive):
        Customer.objects.all().delete()
        set_used(contended, "customers", 0)
        assert kill_at(point, naive)
        unequal += Customer.objects.count() != used(contended, "customers")
    assert unequal > 0


def assert_holds_are_held(organization: Organization) -> None:
    amounts = Hold.objects.filter(state="held").values_list("amount", flat=True)
    assert sum(amounts) == held(organization)


@FATES
def test_reserve_ended_anywhere_holds_what_its_row_says(contended: Organization, fate: Fate) -> None:
    def reserve() -> Any:
        return quotas.reserve(contended, "invoices", 3)

    reserve()
    seen = set()
    for point in points_of(reserve):
        before = held(contended)
        assert fate(point, reserve)
        assert_holds_are_held(contended)
        seen.add(held(contended) - before)
    assert seen == {0, 3}


@FATES
@pytest.mark.parametrize(("actual", "counted"), [(None, 3), (1, 1), (5, 5)])
def test_commit_ended_anywhere_is_finished_once_by_the_next_one(
    contended: Organization, fate: Fate, actual: int | None, counted: int
) -> None:
    seen = set()
    rehearsal = quotas.reserve(contended, "invoices", 3)
    for point in points_of(lambda: rehearsal.commit(actual)):
        set_used(contended, "invoices", 0)
        reservation = quotas.reserve(contended, "invoices", 3)
        assert fate(point, partial(reservation.commit, actual))
        assert_holds_are_held(contended)
        assert (used(contended), held(contended)) in {(0, 3), (counted, 0)}
        seen.add(used(contended))
        finished = used(contended) == counted
        assert (reservation.commit(actual) is None) is finished
        assert (used(contended), held(contended)) == (counted, 0)
    assert seen == {0, counted}


def release(reservation: Reservation) -> None:
    reservation.release()


def sweep_and_consume(reservation: Reservation) -> None:
    expire_all()
    quotas.consume(reservation.organization, "invoices", 100).release()


@FATES
@pytest.mark.parametrize("finish", [release, sweep_and_consume])
def test_release_and_sweep_ended_anywhere_return_the_units_once(
    contended: Organization, finish: Callable[[Reservation], None], fate: Fate
) -> None:
    rehearsal = quotas.reserve(contended, "invoices", 3)
    for point in points_of(partial(finish, rehearsal)):
        reservation = quotas.reserve(contended, "invoices", 3)
        assert fate(point, partial(finish, reservation))
        assert_holds_are_held(contended)
        set_used(contended, "invoices", 0)
        finish(reservation)
        assert_holds_are_held(contended)
        assert (used(contended), held(contended)) == (0, 0)


def test_giving_back_a_hold_in_two_commits_returns_its_units_twice(contended: Organization) -> None:
    """The negative control: units first, the state of the row after it."""

    def naive() -> None:
        for hold in Hold.objects.filter(state="held"):
            UsageCounter.objects.filter(feature="invoices").update(held=F("held") - hold.amount)
            Hold.objects.filter(pk=hold.pk).update(state="released")

    quotas.reserve(contended, "invoices", 3)
    twice = 0
    for point in points_of(naive):
        UsageCounter.objects.update(held=50)
        Hold.objects.all().delete()
        quotas.reserve(contended, "invoices", 3)
        assert kill_at(point, naive)
        naive()
        twice += held(contended) == 47
    assert twice > 0
