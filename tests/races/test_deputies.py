"""One payment presented for another, another merchant's money, and prices that rose meanwhile (C4, C5, C11)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.esewa_payment import Act as EsewaAct
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.gateways.esewa import FORM_SIGNED, SANDBOX_SECRET
from django_tenant_billing.models import (
    Activation,
    Breaker,
    PaymentEvent,
    PaymentTransaction,
    Plan,
    PlanPrice,
    Subscription,
    Throttle,
)
from tests.conftest import use_simulator
from tests.folding import assert_log_folds_to_state
from tests.members import member
from tests.test_esewa import booked, data
from tests.test_esewa import decide as decide_at_esewa
from tests.test_esewa import tamper as tamper_at_esewa
from tests.test_payments import pay, plan_of, start
from tests.test_payments import tamper as tamper_at_khalti
from tests.testapp.models import Organization

THIEFS_KEY = "the thief's key"


@pytest.fixture(autouse=True)
def _log_rebuilds_every_payment(catalogue: None) -> Iterator[None]:
    yield
    assert_log_folds_to_state()


def fresh() -> None:
    """No throttle and no breaker keeps the next question back."""
    Breaker.objects.all().delete()
    Throttle.objects.all().delete()


def state_of(*rows: PaymentTransaction) -> list[Any]:
    """All of these payments that a forgery could change."""
    found = PaymentTransaction.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    columns = ("pk", "status", "detail", "gateway_reference", "gateway_transaction_id", "amount_minor", "paid_at")
    return [*found.values_list(*columns), Activation.objects.count()]


def bought_by_twenty(wallet: str) -> list[PaymentTransaction]:
    """Twenty attempts of twenty organizations, cheap and dear in turn, as open at the wallet as here."""
    found = []
    for number in range(20):
        buyer, plan = Organization.objects.create(name=f"Buyer {number}"), ("BASIC", "PRO")[number % 2]
        found.append(start(buyer, plan) if wallet == "khalti" else booked(buyer, plan))
        fresh()
        payments.settle(found[-1])
    return found


def test_c4_no_pidx_of_a_paid_payment_pays_any_other(simulator: Server) -> None:
    attempts, tried = bought_by_twenty("khalti"), 0
    for paid in attempts:
        tamper_at_khalti(simulator, paid, status="Completed", transaction_id=f"T{paid.pk}")
        for other in attempts:
            if other != paid:
                before = state_of(paid, other)
                query = {
                    "pidx": paid.gateway_reference or "",
                    "status": "Completed",
                    "purchase_order_id": other.reference,
                }
                answer = Client().get(f"/billing/khalti/callback/{other.reference}/", query)
                assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
                assert state_of(paid, other) == before
                fresh()
                tried += 1
        tamper_at_khalti(simulator, paid, status="Initiated", transaction_id=None)
    assert tried == 380
    for payment in attempts:
        pay(simulator, payment)
        tamper_at_khalti(simulator, payment, status="Completed", transaction_id=f"T{payment.pk}")
        fresh()
        Client().get(f"/billing/khalti/callback/{payment.reference}/", {"pidx": payment.gateway_reference or ""})
    assert {activation.payment for activation in Activation.objects.all()} == set(attempts)


def test_c4_no_signed_return_of_a_paid_payment_pays_any_other(simulator: Server) -> None:
    attempts, tried = bought_by_twenty("esewa"), 0
    for paid in attempts:
        tamper_at_esewa(simulator, paid, status="COMPLETE", ref_id=f"R{paid.pk}")
        rupees = f"{paid.amount_minor // 100}.0"
        query = {"data": data(transaction_uuid=paid.reference, total_amount=rupees)}
        for other in attempts:
            if other != paid:
                before = state_of(paid, other)
                answer = Client().get(f"/billing/esewa/success/{other.reference}/", query)
                assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
                assert state_of(paid, other) == before
                fresh()
                tried += 1
        tamper_at_esewa(simulator, paid, status="PENDING", ref_id=None)
    assert tried == 380
    for payment in attempts:
        way = decide_at_esewa(simulator, payment)
        tamper_at_esewa(simulator, payment, status="COMPLETE", ref_id=f"R{payment.pk}")
        fresh()
        Client().get(way)
    assert {activation.payment for activation in Activation.objects.all()} == set(attempts)


# Another merchant's money.


def form_of_the_thief(server: Server, payment: PaymentTransaction, amount: str, code: str = "NP-ES-THIEF") -> str:
    """Pay that merchant under our uuid, at his own prices; where eSewa then sends the browser."""
    form = {
        "amount": amount, "tax_amount": "0", "product_service_charge": "0", "product_delivery_charge": "0",
        "total_amount": amount, "transaction_uuid": payment.reference, "product_code": code,
        "success_url": f"http://testserver/billing/esewa/success/{payment.reference}/",
        "failure_url": f"http://testserver/billing/esewa/failure/{payment.reference}/",
        "signed_field_names": ",".join(FORM_SIGNED),
    }  # fmt: skip
    text = ",".join(f"{name}={form[name]}" for name in FORM_SIGNED)
    form["signature"] = base64.b64encode(hmac.digest(THIEFS_KEY.encode(), text.encode(), "sha256")).decode()
    posted = requests.post(f"{server.url}api/epay/main/v2/form", data=form, allow_redirects=False, timeout=10)
    assert posted.status_code == 302
    there = server.esewa.find_named(payment.reference, code)
    return (server.esewa.decide(there.booking, EsewaAct.PAY).redirect_url or "").removeprefix("http://testserver")


def attacks_at_esewa(server: Server, payment: PaymentTransaction) -> Iterator[str]:
    uuid, ours = payment.reference, f"/billing/esewa/success/{payment.reference}/"
    way = form_of_the_thief(server, payment, "3900")
    yield way
    yield way.replace("/success/", "/failure/")
    yield ours + "?data=" + data(THIEFS_KEY, transaction_uuid=uuid, product_code="NP-ES-THIEF")
    yield ours + "?data=" + data(THIEFS_KEY, transaction_uuid=uuid)
    yield "/billing/esewa/success/?data=" + data(SANDBOX_SECRET, transaction_uuid=uuid, product_code="NP-ES-THIEF")


def test_c5_money_for_another_product_code_pays_nothing(organization: Organization, settings: Any) -> None:
    with running_server(merchants={"EPAYTEST": SANDBOX_SECRET, "NP-ES-THIEF": THIEFS_KEY}) as server:
        use_simulator(settings, server.url)
        payment, tried = booked(organization), 0
        payments.settle(payment)
        before = state_of(payment)
        for way in attacks_at_esewa(server, payment):
            fresh()
            assert Client().get(way).status_code in (303, 400)
            assert payments.settle(payment).status == "pending"
            assert state_of(payment) == before
            tried += 1
        assert (tried, plan_of(organization)) == (5, "FREE")
        fresh()
        Client().get(decide_at_esewa(server, payment))
        assert plan_of(organization) == "PRO"


def test_c5_money_for_another_key_pays_nothing(organization: Organization, user: User, settings: Any) -> None:
    with running_server(keys=["simulated_secret_key", THIEFS_KEY]) as server:
        use_simulator(settings, server.url)
        payment = start(organization)
        order = {
            "return_url": f"http://testserver/billing/khalti/callback/{payment.reference}/", "amount": 390000,
            "website_url": "http://testserver/", "purchase_order_id": payment.reference, "purchase_order_name": "x",
        }  # fmt: skip
        theirs = server.khalti.initiate(THIEFS_KEY, order)
        pidx = str(theirs["pidx"])
        way = (server.khalti.decide(pidx, Act.PAY).redirect_url or "").removeprefix("http://testserver")
        assert pidx in way
        before, tried = state_of(payment), 0
        client, number = member(organization, user), str(server.khalti.find(pidx).transaction_id)
        ways = [
            way, "/billing/khalti/callback/?" + way.partition("?")[2],
            f"/billing/khalti/callback/{payment.reference}/?transaction_id={number}",
        ]  # fmt: skip
        for attack in (*ways, {"pidx": pidx}, {"transaction_id": number}):
            fresh()
            answer: Any = (
                Client().get(attack)
                if isinstance(attack, str)
                else client.post("/billing/khalti/verify/", attack, "application/json")
            )
            assert answer.status_code == (303 if isinstance(attack, str) else 404)
            assert payments.settle(payment).status == "initiated"
            assert state_of(payment) == before
            tried += 1
        assert (tried, plan_of(organization)) == (5, "FREE")
        fresh()
        pay(server, payment)
        Client().get(f"/billing/khalti/callback/{payment.reference}/", {"pidx": payment.gateway_reference or ""})
        assert plan_of(organization) == "PRO"


# A price that rose while an attempt was kept open.


def price_is(amount_minor: int) -> None:
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=amount_minor)


@pytest.mark.parametrize(
    ("minutes", "price", "status", "detail"),
    [
        (59, 490_000, "paid", ""),
        (61, 490_000, "review", "price_gone"),
        (60 * 24 * 6, 390_001, "review", "price_gone"),
        (61, 390_000, "paid", ""),
        (61, 290_000, "paid", ""),
    ],
)
def test_c11_an_attempt_that_is_paid_after_a_price_rise_counts_for_an_hour_and_then_waits_for_a_person(
    simulator: Server, organization: Organization, minutes: int, price: int, status: str, detail: str
) -> None:
    for payment in (start(organization), booked(Organization.objects.create(name="By eSewa"))):
        price_is(price)
        with clock.moved(timedelta(minutes=minutes)):
            if payment.gateway == "khalti":
                pay(simulator, payment, Act.CLOSE_TAB)
            else:
                decide_at_esewa(simulator, payment, EsewaAct.CLOSE_TAB)
            fresh()
            payment = payments.settle(payment)
            assert (payment.status, payment.detail, payment.amount_minor) == (status, detail, 390_000)
        price_is(390_000)
    assert Activation.objects.count() == 2 * (status == "paid")


def test_c11_what_was_canceled_and_paid_all_the_same_is_not_applied_at_a_price_that_rose(
    simulator: Server, organization: Organization
) -> None:
    payment, control = start(organization), start(Organization.objects.create(name="Control"))
    for canceled in (payment, control):
        tamper_at_khalti(simulator, canceled, status="User canceled")
        assert payments.settle(canceled).status == "canceled"
        tamper_at_khalti(simulator, canceled, status="Completed", transaction_id=f"T{canceled.pk}")
    fresh()
    assert payments.settle(control).status == "paid"
    price_is(490_000)
    late = payments.settle(payment)
    assert (late.status, late.detail, plan_of(organization)) == ("review", "price_gone", "FREE")
    # A person may apply it all the same: the money is there.
    assert payments.apply_review(late, actor="asha", reason="as agreed").status == "paid"
    assert plan_of(organization) == "PRO"


def test_c11_a_plan_that_was_retired_meanwhile_waits_for_a_person(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    Plan.objects.filter(pk="PRO").update(is_active=False)
    pay(simulator, payment, Act.CLOSE_TAB)
    with clock.moved(timedelta(hours=2)):
        late = payments.settle(payment)
    assert (late.status, late.detail) == ("review", "price_gone")
    assert Subscription.objects.get(organization=organization).plan_id == "FREE"
    assert PaymentEvent.objects.filter(payment=payment, to_status="review", detail="price_gone").exists()
