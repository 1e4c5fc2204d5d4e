"""G15: all faults mixed, three calls in ten; the wallets' own ledgers say what should have come of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site_settings

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import GatewayError
from django_tenant_billing.models import PaymentTransaction
from django_tenant_billing.payments import settling
from django_tenant_billing.payments.door import Durable, locked, move
from django_tenant_billing.states import OPEN, PaymentState
from tests.conftest import use_simulator
from tests.folding import assert_log_folds_to_state
from tests.races.soak import Soak, judged, repeatable, wallets

FRESH = int(os.environ.get("DTB_SOAK_SEED") or secrets.randbelow(10**9))
"""Printed by every run: set, it plays the same run again."""

SIZE = int(os.environ.get("DTB_SOAK_PAYMENTS") or (125 if site_settings.DTB_DB == "sqlite" else 25))
"""Payments for each seed: 500 in all where they cost least. Nothing races here."""

SMALL = 30


def soaked(settings: Any, monkeypatch: pytest.MonkeyPatch, seed: int, size: int) -> Soak:
    """A whole run, over."""
    repeatable(monkeypatch, seed)
    with wallets(seed) as server:
        use_simulator(settings, server.url)
        print(f"seed={seed} plan={server.faults.plan}; again: DTB_SOAK_SEED={seed} DTB_SOAK_PAYMENTS={size}")
        soak = Soak(server, seed, size)
        soak.run()
        return soak


@pytest.mark.parametrize("seed", [1, 2, 3, pytest.param(FRESH, id="fresh")])
def test_g15_whatever_fails_the_money_is_where_the_wallets_say(
    seed: int, catalogue: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    soak = soaked(settings, monkeypatch, seed, SIZE)
    assert soak.violations() == []
    assert_log_folds_to_state()
    met = {entry["fault"] for entry in soak.server.journal.entries()}
    statuses = set(PaymentTransaction.objects.values_list("status", flat=True))
    assert {None, "paid", "canceled", "expired", "failed"} <= statuses | met
    assert len(met) > 10  # a soak in calm water proves nothing


@pytest.mark.parametrize(
    ("status", "detail", "taken", "back", "activated", "problem"),
    [
        ("paid", "", True, 0, True, ""),
        ("review", "amount", True, 0, False, ""),
        ("review", "stale", False, 0, False, ""),
        ("expired", "horizon", False, 0, False, ""),
        ("refunded", "", True, 1000, True, ""),
        ("initiated", "", True, 0, False, "still open after its horizon"),
        ("refund_pending", "", True, 1000, True, "still open after its horizon"),
        ("paid", "", False, 0, True, "nobody paid"),
        ("canceled", "gateway", False, 0, True, "nobody paid"),
        ("expired", "not_found", True, 0, False, "its money is lost"),
        ("paid", "", True, 0, False, "it is neither in review nor active"),
        ("review", "amount", True, 0, True, "it is in review and active"),
        ("paid", "", True, 1000, True, "1000 paisa went back, and it says 0"),
    ],
)
def test_g15_the_judge_names_what_does_not_fit(
    status: str, detail: str, taken: bool, back: int, activated: bool, problem: str
) -> None:
    payment = PaymentTransaction(status=status, detail=detail, refunded_minor=back if status == "refunded" else 0)
    assert judged(payment, taken=taken, back=back, activated=activated) == problem


def given_up(payment: PaymentTransaction, error: GatewayError, actor: str) -> PaymentTransaction:
    """What a hurried developer writes: no answer is a failure."""
    with Durable("settle"):
        payment = locked(payment)
        payment.leased_until = payment.next_check_at = None
        payment.save(update_fields=["leased_until", "next_check_at"])
        if payment.status in OPEN:
            move(payment, PaymentState.FAILED, detail="gateway", actor=actor)
    return payment


def believed(payment: PaymentTransaction, *, actor: str = "") -> PaymentTransaction:
    """The same developer: whoever comes back has paid."""
    with Durable("settle"):
        payment = locked(payment)
        if payment.status in OPEN:
            payment.paid_at, payment.purchase = clock.now(), payment.reference
            move(payment, PaymentState.PAID, actor=actor, save=("paid_at", "purchase"))
            payment.activate_plan()
    return payment


@pytest.fixture
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    where, name, bug = request.param
    monkeypatch.setattr(where, name, bug)
    yield


@pytest.mark.parametrize(
    ("planted", "seen"),
    [
        pytest.param((settling, "_unanswered", given_up), "its money is lost", id="no answer is a failure"),
        pytest.param((payments, "settle", believed), "nobody paid", id="the browser is believed"),
    ],
    indirect=["planted"],
)
@pytest.mark.breaks_the_log
def test_g15_a_planted_bug_is_seen(
    planted: None, seen: str, catalogue: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = soaked(settings, monkeypatch, 1, SMALL).violations()
    assert [text for text in found if text.endswith(seen)]
