"""A wallet that does not answer: those who pay wait or are told so, and nobody else notices (K8)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from django.db import connection
from django.test.testcases import LiveServerThread, _StaticFilesHandler

from django_tenant_billing.gateways.base import Order, Proof
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import Activation, PaymentTransaction
from tests.folding import assert_log_folds_to_state
from tests.races.test_payment_races import paid_at_the_wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

HUNG = 20
ASKED = 100


class HungKhalti(KhaltiGateway):
    """Answers when the test lets it."""

    waiting = threading.Semaphore(0)
    answer = threading.Event()

    def look_up(self, order: Order) -> Proof:
        HungKhalti.waiting.release()
        assert HungKhalti.answer.wait(60)
        return super().look_up(order)


@pytest.fixture
def hung(settings: Any) -> Iterator[None]:
    gateways = settings.TENANT_BILLING_GATEWAYS
    settings.TENANT_BILLING_GATEWAYS = {
        **gateways,
        "khalti": {**gateways["khalti"], "BACKEND": f"{__name__}.HungKhalti"},
    }
    HungKhalti.answer.clear()
    yield
    HungKhalti.answer.set()


@contextmanager
def running_site() -> Iterator[str]:
    server = LiveServerThread("127.0.0.1", _StaticFilesHandler)
    server.daemon = True
    server.start()
    assert server.is_ready.wait(30)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.terminate()


def in_the_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_k8_twenty_verifications_that_hang_slow_nobody_else_down(wallet: str, hung: None) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("A site on SQLite has no pool of connections to use up; its races are tried elsewhere.")
    bought = [paid_at_the_wallet(wallet, f"hung {number}") for number in range(HUNG)]
    statuses: list[int] = []

    def come_back(url: str, payment: PaymentTransaction) -> None:
        query = {"pidx": payment.gateway_reference or ""}
        path = f"{url}/billing/khalti/callback/{payment.reference}/"
        statuses.append(requests.get(path, query, allow_redirects=False, timeout=60).status_code)

    with running_site() as url:
        waiting = [in_the_background(lambda payment=payment: come_back(url, payment)) for payment in bought]  # type: ignore[misc]
        for _payment in bought:
            assert HungKhalti.waiting.acquire(timeout=30)
        seconds = sorted(timed(f"{url}/admin/login/") for _request in range(ASKED))
        assert statuses == []
        HungKhalti.answer.set()
        for thread in waiting:
            thread.join()
    assert statuses == [303] * HUNG
    assert seconds[int(ASKED * 0.99) - 1] < 0.5
    assert Activation.objects.count() == HUNG
    assert_log_folds_to_state()


def timed(url: str) -> float:
    began = time.monotonic()
    assert requests.get(url, timeout=30).status_code == 200
    return time.monotonic() - began
