"""Somebody holds what a payment needs: whoever waits is told so soon, nothing is changed, and asking again finishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import Busy
from django_tenant_billing.models import Activation, PaymentTransaction
from django_tenant_billing.payments import door
from django_tenant_billing.payments.waiting import gave_up
from tests.folding import assert_log_folds_to_state
from tests.races.test_payment_races import paid_at_the_wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]


@contextmanager
def held(payment: PaymentTransaction) -> Iterator[None]:
    """Another connection holds this payment's row; on SQLite, the whole database."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            PaymentTransaction.objects.select_for_update().get(pk=payment.pk)
            holding.set()
            done.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holding.wait(10)
        if connection.vendor == "sqlite":
            connection.cursor().execute("PRAGMA busy_timeout = 1000")
        yield
    finally:
        done.set()
        holder.join()


@pytest.fixture
def payment(wallet: str) -> Iterator[PaymentTransaction]:
    yield paid_at_the_wallet(wallet, "busy")
    # With what this test told SQLite about waiting.
    connection.close()


def seconds_until_busy(work: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(Busy, match="Nothing was changed"):
        work()
    return time.monotonic() - began


@pytest.mark.parametrize(
    "act",
    [
        payments.settle,
        payments.verify,
        lambda payment: payments.dismiss_review(payment, actor="anna", reason="agreed"),
    ],
    ids=["settle", "verify", "dismiss_review"],
)
def test_a_payment_that_somebody_holds_is_busy_within_four_seconds_and_done_afterwards(
    payment: PaymentTransaction, act: Callable[[PaymentTransaction], object]
) -> None:
    with held(payment):
        assert seconds_until_busy(lambda: act(payment)) < 4
    assert not Activation.objects.exists()
    assert payments.settle(payment).status == "paid"
    assert_log_folds_to_state()


def test_a_sweep_goes_on_with_the_others(payment: PaymentTransaction, wallet: str) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("on SQLite whoever writes holds the whole database")
    other = paid_at_the_wallet(wallet, "free")
    with clock.moved(timedelta(minutes=2)):
        with held(payment):
            # Its row is in nobody's batch while it is held; it is asked about by name all the same.
            assert payments.reconcile(per_second=100).paid == 1
            assert payments.reconcile(since=payment.created_at, per_second=100).still_open == 1
        other.refresh_from_db()
        assert other.status == "paid"
        assert payments.reconcile(per_second=100).paid == 1


def test_without_a_bound_the_wait_would_be_as_long_as_the_other_holds_it(payment: PaymentTransaction) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite waits as long as the site's own timeout says")
    released = threading.Event()

    def wait() -> None:
        with transaction.atomic():
            PaymentTransaction.objects.select_for_update().get(pk=payment.pk)
        connection.close()
        released.set()

    with held(payment):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not released.wait(4)
    waiting.join()
    assert released.is_set()


def test_what_was_set_for_a_payment_does_not_stay_with_the_connection(payment: PaymentTransaction) -> None:
    def lock_timeout() -> object:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA busy_timeout")
            elif connection.vendor == "mysql":
                cursor.execute("SELECT @@innodb_lock_wait_timeout")
            else:
                cursor.execute("SHOW lock_timeout")
            return cursor.fetchone()[0]

    before = lock_timeout()
    payments.settle(payment)
    assert lock_timeout() == before


def test_an_error_of_the_database_that_is_no_wait_stays_what_it_is(payment: PaymentTransaction) -> None:
    with pytest.raises(DatabaseError) as error, door.Durable("test"):
        connection.cursor().execute("SELECT nothing FROM nowhere")
    assert not isinstance(error.value, Busy)
    assert not gave_up(error.value, connection)
    assert not gave_up(OperationalError(), connection)


def test_a_connection_that_breaks_at_the_beginning_leaves_no_open_transaction(payment: PaymentTransaction) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL is told by a statement how long to wait")

    def broken(execute: object, sql: str, *_rest: object) -> None:
        raise OperationalError(f"gone while {sql[:17]}")

    with connection.execute_wrapper(broken), pytest.raises(OperationalError, match="set_config"):
        door.Durable("test").__enter__()
    assert not connection.in_atomic_block
    assert payments.settle(payment).status == "paid"
