"""Workers that start, take money, settle and sweep, and are killed at random: what the wallet took is applied once."""

from __future__ import annotations

import os
import random
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import requests
from django.db import connections
from django.db.models import QuerySet

from django_tenant_billing import clock, payments
from django_tenant_billing.models import Activation, PaymentTransaction
from django_tenant_billing.payments import door
from tests.folding import assert_log_folds_to_state
from tests.races.test_kills import lease_is_over
from tests.races.test_payment_races import act, deliver, started
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

WORKERS = 4
SECONDS = float(os.environ.get("DTB_KILL_SECONDS") or 0)
"""How long workers die; by the number of runs where it is not said."""

Settle = Callable[[PaymentTransaction, random.Random], object]


def work_once(wallet: str, draw: random.Random, settle: Settle) -> None:
    payment = started(Organization.objects.create(name="under load"))
    act(wallet, payment, "close_tab")
    settle(payment, draw)


def come_back_or_be_found(payment: PaymentTransaction, draw: random.Random) -> None:
    """Half of the payers come back. Then a sweep for the others."""
    if draw.random() < 0.5:
        deliver(payment)
    with clock.moved(timedelta(minutes=3)):
        payments.reconcile(limit=5, per_second=100_000)


def spawn(wallet: str, seed: int, settle: Settle) -> int:
    """A worker in a process of its own, for ever."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover - it dies, and its coverage with it
        try:
            draw = random.Random(seed)
            while True:
                work_once(wallet, draw, settle)
        finally:
            os._exit(1)
    return child


def kill(worker: int) -> None:
    """It counts only where the signal ended it: a worker that had stopped by itself is an error of the test."""
    os.kill(worker, signal.SIGKILL)
    _pid, status = os.waitpid(worker, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@contextmanager
def dying_workers(wallet: str, seed: int, settle: Settle) -> Iterator[Callable[[float], int]]:
    """Workers; the function kills a random one every 0.2 to 1 seconds for so long, and says how many died."""
    draw = random.Random(seed)
    connections.close_all()
    workers = [spawn(wallet, draw.getrandbits(32), settle) for _worker in range(WORKERS)]

    def kill_some(seconds: float) -> int:
        died, ends = 0, time.monotonic() + seconds
        while time.monotonic() < ends:
            select.select([], [], [], draw.uniform(0.2, 1))
            kill(workers.pop(draw.randrange(WORKERS)))
            workers.append(spawn(wallet, draw.getrandbits(32), settle))
            died += 1
        return died

    try:
        yield kill_some
    finally:
        for worker in workers:
            kill(worker)


def taken(wallet: str) -> dict[str, int]:
    """What the wallet took for payments that we know of, by its own ledger."""
    lines = requests.get(f"{wallet}control/ledger/", timeout=30).json()
    ours = set(PaymentTransaction.objects.values_list("reference", flat=True))
    return {
        line["purchase_order_id"]: line["amount"]
        for line in lines
        if line["captured"] and line["purchase_order_id"] in ours
    }


def after_two_sweeps() -> None:
    for minutes in (10, 30):
        lease_is_over()
        with clock.moved(timedelta(minutes=minutes)):
            payments.reconcile(limit=10_000, per_second=100_000)


def test_k2_workers_killed_at_random_under_load_lose_and_double_nothing(wallet: str, runs: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    for rehearsal in (0, 1):  # one who is found, one who comes back
        work_once(wallet, random.Random(rehearsal), come_back_or_be_found)
    with dying_workers(wallet, seed, come_back_or_be_found) as kill_some:
        died = kill_some(SECONDS or runs * 0.6)
    assert died >= 1
    assert_log_folds_to_state()
    after_two_sweeps()
    money = taken(wallet)
    assert len(money) > 1
    paid = dict(PaymentTransaction.objects.filter(status="paid").values_list("reference", "amount_minor"))
    applied = dict(Activation.objects.values_list("payment__reference", "value_minor"))
    assert paid == applied == money
    print(f"{died} workers killed, {len(money)} payments taken and applied")
    assert_log_folds_to_state()


def settle_in_two_steps(payment: PaymentTransaction, _draw: random.Random) -> None:
    """The negative control: written down as paid, and activated a little later."""
    door.payments().filter(pk=payment.pk).update(status="paid", paid_at=clock.now())
    select.select([], [], [], 0.2)
    payment.activate_plan()


@pytest.mark.breaks_the_log
def test_k2_the_naive_version_loses_what_was_paid(wallet: str) -> None:
    work_once(wallet, random.Random(0), settle_in_two_steps)  # unharmed it looks right
    assert not lost().exists()
    with dying_workers(wallet, 1, settle_in_two_steps) as kill_some:
        died = 0
        while died < 50 and lost().count() <= WORKERS:
            connections.close_all()
            died += kill_some(0.5)
    assert lost().exists()


def lost() -> QuerySet[PaymentTransaction]:
    return PaymentTransaction.objects.filter(status="paid", activation=None)
