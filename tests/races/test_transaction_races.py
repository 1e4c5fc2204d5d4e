"""Counting inside the site's own transactions: what waits for whom, and what a deadlock leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import UsageCounter, counters
from django_tenant_billing.models.statements import CONSUME, COUNTER, ROOM
from django_tenant_billing.testing import set_used
from tests.races.counting import Together, consume_many, used, wait_for_a_waiter
from tests.races.harness import run_together
from tests.testapp.models import Customer, Invoice, Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many_writers() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("One writer at a time: there is nothing to wait for but the file.")


def is_locked(_index: int = 0) -> bool:
    """Would another connection have to wait for the counter?"""
    try:
        with transaction.atomic():
            list(UsageCounter.objects.filter(feature="invoices").select_for_update(nowait=True))
    except DatabaseError:
        return True
    return False


def test_the_block_of_consuming_holds_no_counter_up(contended: Organization, many_writers: None) -> None:
    set_used(contended, "invoices", 0)
    with quotas.consuming(contended, "invoices"):
        Invoice.objects.create(organization=contended, number="slow")
        assert run_together(1, is_locked) == [False]
        assert run_together(4, lambda _index: consume_many(contended, 5)) == [5] * 4
    assert used(contended) == 21


def test_counting_first_holds_everybody_up_until_the_end(contended: Organization, many_writers: None) -> None:
    """The negative control: user code under a row lock."""
    set_used(contended, "invoices", 0)
    with transaction.atomic():
        quotas.consume(contended, "invoices")
        Invoice.objects.create(organization=contended, number="slow")
        assert run_together(1, is_locked) == [True]
    assert run_together(1, is_locked) == [False]


def test_a_unit_held_by_a_long_transaction_is_not_granted_and_comes_back_with_its_rollback(
    contended: Organization, many_writers: None
) -> None:
    set_used(contended, "invoices", 98)
    counted, waiting = threading.Event(), threading.Barrier(2)

    def work(index: int) -> int:
        if index == 1:
            counted.wait(30)
            waiting.wait(30)
            return consume_many(contended, 3)
        with transaction.atomic():
            quotas.consume(contended, "invoices")
            counted.set()
            waiting.wait(30)
            transaction.set_rollback(True)
        return 0

    assert run_together(2, work) == [0, 2]
    assert used(contended) == 100


def count_crosswise(organization: Organization, several: bool, both_hold_one: threading.Barrier, index: int) -> int:
    """1 for who lost the deadlock and swallowed the error; he cannot go on."""
    first, second = ("api_calls", "invoices") if index else ("invoices", "api_calls")
    asked: str | dict[str, int] = {second: 1, "customers": 1} if several else second
    with transaction.atomic():
        Customer.objects.create(organization=organization, name=f"before {index}")
        quotas.consume(organization, first)
        both_hold_one.wait(30)
        try:
            quotas.consume(organization, asked)
        except OperationalError as error:
            assert "deadlock" in str(error).lower()
            with pytest.raises(TransactionManagementError):
                Customer.objects.create(organization=organization, name="after")
            return 1
    return 0


@pytest.mark.parametrize("several", [False, True])
def test_a_swallowed_deadlock_cannot_commit_half_of_the_sites_transaction(
    contended: Organization, many_writers: None, several: bool
) -> None:
    quotas.consume(contended, {"api_calls": 1, "customers": 1, "invoices": 1})
    ended = sum(run_together(2, partial(count_crosswise, contended, several, threading.Barrier(2))))
    counted = used(contended) + used(contended, "api_calls")
    assert (ended, Customer.objects.count(), counted) == (1, 1, 4)
    assert used(contended, "customers") == 1 + several


def test_an_open_transaction_holds_up_no_other_feature_and_no_other_organization(
    contended: Organization, many_writers: None
) -> None:
    features = ("api_calls", "customers", "invoices", "team_members")
    neighbours = [Organization.objects.create(name=name) for name in ("before", "between", "after")]
    for organization in neighbours:
        quotas.consume(organization, dict.fromkeys(features, 1)).release()

    def count_elsewhere(_index: int) -> int:
        grants = [quotas.consume(each, feature) for each in neighbours[::2] for feature in features]
        grants += [quotas.consume(neighbours[1], feature) for feature in features if feature != "customers"]
        return len(grants)

    with transaction.atomic():
        quotas.consume(neighbours[1], "customers")
        # On MariaDB these waited for 50 seconds, and failed: a count locked its neighbours in the index.
        assert run_together(1, count_elsewhere) == [11]


# --- guard in a sub-select -------------------------------------------------------------------------------------------

NAIVE_CONSUME = f"""UPDATE tenant_billing_usagecounter SET used = used + %(amount)s, updated_at = %(now)s
WHERE id = (SELECT id FROM tenant_billing_usagecounter WHERE {COUNTER} AND {ROOM})"""


def last_unit_for_two(
    organization: Organization, counted: threading.Event, answered: threading.Event, index: int
) -> int:
    """One takes it in a transaction; the other asks before that has ended, and waits."""
    if index == 0:
        with transaction.atomic():
            quotas.consume(organization, "invoices")
            counted.set()
            assert wait_for_a_waiter(answered)
        return 1
    counted.wait(30)
    try:
        return consume_many(organization, 1)
    finally:
        answered.set()


@pytest.mark.parametrize(("statement", "granted"), [(CONSUME, 1), (NAIVE_CONSUME, 2)])
def test_a_guard_in_a_sub_select_is_not_judged_again_after_waiting(
    contended: Organization, monkeypatch: pytest.MonkeyPatch, statement: str, granted: int
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("The others read a sub-select of an UPDATE under the same lock.")
    monkeypatch.setattr(counters, "CONSUME", statement)
    set_used(contended, "invoices", 99)
    assert sum(run_together(2, partial(last_unit_for_two, contended, threading.Event(), threading.Event()))) == granted
    assert used(contended) == 99 + granted


# --- SQLite's deferred mode ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["IMMEDIATE", "DEFERRED"])
def test_reading_before_updating_is_locked_out_in_deferred_mode_only(
    contended: Organization, together: Together, runs: int, mode: str
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite has deferred transactions.")
    set_used(contended, "invoices", 0)

    def work(_index: int) -> int:
        connection.transaction_mode = mode  # type: ignore[attr-defined]
        locked = 0
        for _try in range(12 * runs):
            locked += is_locked_out(partial(look_and_consume, contended))
        return locked

    locked = sum(together(8, work))
    assert used(contended) + locked == 8 * 12 * runs
    assert (locked == 0) is (mode == "IMMEDIATE")


def look_and_consume(organization: Organization) -> None:
    with transaction.atomic():
        quotas.check(organization, "invoices")
        quotas.track(organization, "invoices")


def is_locked_out(work: Callable[[], None]) -> bool:
    try:
        work()
    except OperationalError as error:
        assert "database is locked" in str(error)
        return True
    return False


def test_exceeding_is_no_database_error(contended: Organization) -> None:
    """Nothing above could pass because a refusal was taken for a lock."""
    set_used(contended, "invoices", 100)
    with pytest.raises(QuotaExceeded):
        quotas.consume(contended, "invoices")
    assert not issubclass(QuotaExceeded, DatabaseError)
