"""The payer's browser comes back, or somebody pretends to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import GatewayUnavailable
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction
from django_tenant_billing.views.shared import result_url
from tests.test_payments import Death, fault, kinds, pay, plan_of, start, tamper, with_a_breaking_gateway
from tests.testapp.models import Organization


def come_back(payment: PaymentTransaction, **changes: Any) -> Any:
    query: dict[str, Any] = {
        "pidx": payment.gateway_reference,
        "status": "Completed",
        "purchase_order_id": payment.reference,
    }
    query.update(changes)
    return Client().get(f"/billing/khalti/callback/{payment.reference}/", query)


def claims(payment: PaymentTransaction | None = None) -> list[str]:
    return [event.detail for event in PaymentEvent.objects.filter(kind="claim", payment=payment)]


def test_a_payer_without_any_cookie_comes_back_to_a_clean_page_that_says_paid(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    answer = come_back(payment, mobile="98XXXXX904", amount="390000")
    assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
    assert "no-store" in answer.headers["Cache-Control"]
    page = Client().get(answer.headers["Location"])
    assert "Payment received" in page.content.decode()
    assert plan_of(organization) == "PRO"
    claim = PaymentEvent.objects.get(kind="claim")
    assert claim.data["mobile"] == "*******904"
    assert organization.name not in page.content.decode()


def test_l3_what_khalti_says_of_the_payer_stays_out_of_the_final_url_and_is_masked_in_the_log(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    told = simulator.khalti.decide(payment.gateway_reference or "", Act.PAY)
    number = told.payment.transaction_id or ""
    for mobile in (None, "9800000904"):
        way = (told.redirect_url or "").removeprefix("http://testserver")
        query = dict(parse_qsl(way.partition("?")[2]))
        assert {"mobile", "tidx", "txnId", "pidx", "transaction_id"} < set(query)
        query |= {"mobile": mobile} if mobile else {}
        answer = Client().get(way.partition("?")[0], query)
        assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
        assert answer.headers["Referrer-Policy"] == "same-origin"
        page = Client().get(answer.headers["Location"])
        for shown in (answer.headers["Location"], page.content.decode(), str(page.headers)):
            assert not [text for text in (query["mobile"], number, query["pidx"]) if text in shown]
        claim = PaymentEvent.objects.filter(kind="claim").latest("pk")
        assert claim.data["mobile"] == "*" * (len(query["mobile"]) - 3) + query["mobile"][-3:]
        assert query["mobile"] not in str(list(PaymentEvent.objects.values()))
    assert plan_of(organization) == "PRO"


def test_the_fixed_url_of_the_guide_works_with_the_reference_in_the_query(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    query = {"pidx": payment.gateway_reference or "", "purchase_order_id": payment.reference, "status": "Completed"}
    assert Client().get("/billing/khalti/callback/", query).headers["Location"] == result_url(payment)
    assert plan_of(organization) == "PRO"


def test_a_forged_completion_of_an_unpaid_payment_grants_nothing_and_is_logged(
    simulator: Server, organization: Organization
) -> None:
    forged, genuine = start(organization), start(Organization.objects.create(name="Genuine"))
    pay(simulator, genuine)
    assert come_back(forged).status_code == 303
    assert come_back(genuine).status_code == 303
    assert plan_of(organization) == "FREE"
    assert Activation.objects.get().payment == genuine
    assert claims(forged) == claims(genuine) == [""]


def test_the_pidx_of_another_organization_grants_nothing_and_is_logged(
    simulator: Server, organization: Organization
) -> None:
    cheap = start(Organization.objects.create(name="Thief"), "BASIC")
    pay(simulator, cheap)
    dear = start(organization)
    answer = come_back(dear, pidx=cheap.gateway_reference)
    assert answer.headers["Location"] == "/billing/payments/"
    assert plan_of(organization) == "FREE"
    assert claims(dear) == ["mismatch"]
    assert not Activation.objects.exists()
    come_back(cheap)
    assert Activation.objects.get().payment == cheap


def test_a_wrong_amount_at_the_lookup_grants_nothing_and_waits_for_a_person(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=1000)
    page = Client().get(come_back(payment).headers["Location"])
    assert "Your payment arrived" in page.content.decode()
    assert plan_of(organization) == "FREE"
    assert PaymentEvent.objects.filter(payment=payment, to_status="review", detail="amount").exists()


def test_a_forged_cancellation_changes_nothing(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    come_back(payment, status="User canceled")
    payment.refresh_from_db()
    assert payment.status == "initiated"
    pay(simulator, payment)
    come_back(payment, status="User canceled")
    assert plan_of(organization) == "PRO"


def test_a_stranger_with_our_reference_learns_nothing(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    answer = Client().get(f"/billing/khalti/callback/{payment.reference}/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    for token in ("0" * 64, "x"):
        assert Client().get(f"/billing/payments/{payment.reference}/{token}/").status_code == 404
    genuine = result_url(payment)
    assert Client().get(genuine).status_code == 200
    assert Client().get(genuine.replace(payment.reference, payment.reference.lower())).status_code == 404


def test_a_stranger_learns_nothing_of_an_attempt_that_never_got_to_the_gateway(
    simulator: Server, organization: Organization
) -> None:
    fault(simulator, "down", 1)
    with pytest.raises(GatewayUnavailable):
        start(organization)
    payment = PaymentTransaction.objects.get()
    for query in ("", "?pidx="):
        answer = Client().get(f"/billing/khalti/callback/{payment.reference}/{query}")
        assert answer.headers["Location"] == "/billing/payments/"


@pytest.mark.parametrize("path", ["khalti/callback/", "khalti/callback/TB-NOBODY/", "khalti/callback/?pidx=unknown"])
def test_a_claim_that_fits_no_payment_is_a_404_and_is_logged(
    simulator: Server, organization: Organization, path: str
) -> None:
    answer = Client().get(f"/billing/{path}")
    assert answer.status_code == 404
    assert "There is no such payment" in answer.content.decode()
    assert claims() == ["unknown_payment"]


@pytest.mark.breaks_the_log
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True])
def test_a_claim_and_that_we_asked_are_logged_though_the_look_up_breaks(
    simulator: Server, organization: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch,
    *, atomic_requests: bool,
) -> None:  # fmt: skip
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    payment = start(organization)
    PaymentTransaction.objects.update(gateway="breaking")
    settings.TENANT_BILLING_GATEWAYS = with_a_breaking_gateway()
    with pytest.raises(Death):
        Client().get(f"/billing/breaking/callback/{payment.reference}/", {"pidx": payment.gateway_reference or ""})
    assert claims(payment) == [""]
    assert kinds(payment)[-2:] == ["claim:", "asked:"]


@pytest.mark.parametrize(
    "query", ["pidx=a&pidx=b", "pidx=" + "x" * 600, "x" * 60 + "=1", "pidx=%00", "status=%E2%80%AE", "pidx%5B%5D=%0A"]
)
def test_a_claim_that_cannot_be_read_is_a_400_and_is_logged(
    simulator: Server, organization: Organization, query: str
) -> None:
    payment = start(organization)
    answer = Client().get(f"/billing/khalti/callback/{payment.reference}/?{query}")
    assert answer.status_code == 400
    refused = PaymentEvent.objects.get(kind="refused")
    assert (refused.reference, refused.payment) == (payment.reference, None)


def test_a_payer_who_returns_to_a_gateway_that_lost_its_settings_leaves_a_trace_and_is_found_later(
    simulator: Server, organization: Organization, settings: Any
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    working = settings.TENANT_BILLING_GATEWAYS
    settings.TENANT_BILLING_GATEWAYS = {"khalti": {**working["khalti"], "OPTIONS": {}}}
    answer = come_back(payment)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    assert PaymentEvent.objects.get(kind="refused").reference == payment.reference
    with clock.moved(timedelta(minutes=2)):
        assert payments.reconcile().still_open == 1
    settings.TENANT_BILLING_GATEWAYS = working
    with clock.moved(timedelta(minutes=5)):
        assert payments.reconcile().paid == 1


@pytest.mark.parametrize("path", ["callback/%00/", "callback/TB%E2%80%AE/", "callback/" + "X" * 21 + "/"])
def test_what_is_no_reference_is_no_address(simulator: Server, organization: Organization, path: str) -> None:
    assert Client().get(f"/billing/khalti/{path}").status_code == 404
    assert Client().get("/billing/payments/%00/" + "0" * 64 + "/").status_code == 404
    assert not PaymentEvent.objects.exists()


def test_an_unknown_gateway_is_a_404(simulator: Server, organization: Organization) -> None:
    assert Client().get("/billing/paypal/callback/").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE"])
def test_other_methods_ask_no_gateway(simulator: Server, organization: Organization, method: str) -> None:
    payment = start(organization)
    pay(simulator, payment)
    answer = Client().generic(method, f"/billing/khalti/callback/{payment.reference}/")
    assert answer.status_code == 405
    assert not PaymentEvent.objects.filter(kind__in=["asked", "claim"]).exists()


def test_while_the_gateway_is_down_the_page_says_confirming_and_looks_again(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    fault(simulator, "down", 1)
    page = Client().get(come_back(payment).headers["Location"])
    assert "We are confirming your payment" in page.content.decode()
    assert "Refresh" in page.headers
    page = Client().get(come_back(payment).headers["Location"])
    assert "Payment received" in page.content.decode()
    assert "Refresh" not in page.headers


def test_after_a_cancellation_the_page_says_not_paid(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    assert "Not paid" in Client().get(come_back(payment, status="User canceled").headers["Location"]).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("login_everywhere", [False, True])
@pytest.mark.parametrize("atomic_requests", [False, True])
@pytest.mark.parametrize("logged_in", [False, True])
def test_the_callback_works_under_any_host_settings(
    simulator: Server, organization: Organization, user: User, settings: Any, monkeypatch: pytest.MonkeyPatch,
    *, login_everywhere: bool, atomic_requests: bool, logged_in: bool,
) -> None:  # fmt: skip
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    if login_everywhere:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    payment = start(organization)
    pay(simulator, payment)
    client = Client()
    if logged_in:
        client.force_login(user)
    query = {"pidx": payment.gateway_reference or ""}
    answer = client.get(f"/billing/khalti/callback/{payment.reference}/", query)
    assert (answer.status_code, plan_of(organization)) == (303, "PRO")
    assert client.get(answer.headers["Location"]).status_code == 200
    assert claims(payment) == [""]


def test_a_return_to_the_fixed_url_with_nothing_but_the_pidx_finds_its_payment(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    answer = Client().get("/billing/khalti/callback/", {"pidx": payment.gateway_reference or ""})
    assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
    assert plan_of(organization) == "PRO"


def test_a_return_with_nothing_but_a_message_fails_nothing_and_shows_the_payments(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    for path in ("", f"{payment.reference}/"):
        answer = Client().get(f"/billing/khalti/callback/{path}?message=Could%20not%20process%20the%20payment.")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    payment.refresh_from_db()
    assert payment.status == "initiated"
    assert PaymentEvent.objects.filter(kind="claim", data__message="Could not process the payment.").count() == 2
