"""Whole payments through eSewa, over real HTTP: forms that browsers post, ways back, lost returns, forgeries."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.esewa_payment import Act
from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.gateways.esewa import FORM_SIGNED, OUTCOMES, SANDBOX_SECRET
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from django_tenant_billing.states import CHECK_AFTER
from django_tenant_billing.views.shared import result_url
from tests.conftest import use_simulator
from tests.members import member
from tests.test_payments import fault, kinds, plan_of
from tests.testapp.models import Organization

BASE = "http://testserver"


@pytest.fixture(autouse=True)
def _organization(organization: Organization) -> None:
    """Every test has one; conftest.py reads the log after it."""


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    return member(organization, user)


def booked(organization: Organization, plan: str = "PRO") -> PaymentTransaction:
    """Start a payment and post its form as the payer's browser does."""
    payment, checkout = payments.start(organization, plan, "esewa", base_url=BASE)
    answer = requests.post(checkout.url, data=dict(checkout.fields), allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return payment


def decide(server: Server, payment: PaymentTransaction, act: Act = Act.PAY) -> str:
    """Act as the payer at eSewa; where the browser is sent, without the host."""
    booking = server.esewa.find_named(payment.reference).booking
    decision = server.esewa.decide(booking, act)
    assert decision.accepted
    return (decision.redirect_url or "").removeprefix(BASE)


def tamper(server: Server, payment: PaymentTransaction, **changes: Any) -> None:
    server.esewa.tamper(server.esewa.find_named(payment.reference).booking, changes)


def stored(payment: PaymentTransaction) -> tuple[str, str]:
    payment.refresh_from_db()
    return payment.status, payment.detail


def claims(payment: PaymentTransaction | None) -> list[str]:
    return [event.detail for event in PaymentEvent.objects.filter(kind="claim", payment=payment)]


def data(secret: str = SANDBOX_SECRET, names: str = "", **changes: str) -> str:
    """What eSewa would send back of a paid order."""
    values = {"transaction_code": "000AWEO", "status": "COMPLETE", "total_amount": "3900.0", "product_code": "EPAYTEST"}
    values |= changes
    names = names or ",".join((*values, "signed_field_names"))
    values["signed_field_names"] = names
    text = ",".join(f"{name}={values[name]}" for name in names.split(","))
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return base64.b64encode(json.dumps(values | {"signature": base64.b64encode(digest).decode()}).encode()).decode()


# --- sending the payer -----------------------------------------------------------------------------------------------


def test_the_payer_goes_from_the_checkout_to_esewa_and_back_by_pages_alone(
    browser: Client, simulator: Server, organization: Organization
) -> None:
    page = browser.get("/billing/checkout/?plan=PRO").content.decode()
    assert "with Khalti" in page
    assert "with eSewa" in page
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "esewa"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    payment = PaymentTransaction.objects.get()
    assert (payment.status, payment.gateway_reference) == ("initiated", None)
    assert "<script" not in page and "style=" not in page
    assert re.findall(r"<button[^>]*>(.*?)</button>", page) == ["Continue to eSewa"]
    assert "csrfmiddlewaretoken" not in page
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page)
    assert action == f"{simulator.url}api/epay/main/v2/form"
    fields = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}
    assert fields["success_url"] == f"{BASE}/billing/esewa/success/{payment.reference}/"
    assert fields["failure_url"] == f"{BASE}/billing/esewa/failure/{payment.reference}/"
    form = requests.post(action, data=fields, allow_redirects=False, timeout=10)
    assert form.status_code == 302
    booking = form.headers["Location"].partition("=")[2]
    click = {"bookingId": booking, "payer": "9806800001", "password": "Nepal@123", "token": "123456", "action": "pay"}
    paid = requests.post(urljoin(simulator.url, "/epay"), data=click, allow_redirects=False, timeout=10)
    returned = Client().get(paid.headers["Location"].removeprefix(BASE))
    assert (returned.status_code, returned.headers["Location"]) == (303, result_url(payment))
    assert "Payment received" in Client().get(returned.headers["Location"]).content.decode()
    assert plan_of(organization) == "PRO"
    assert kinds(payment) == [
        "started:created", "moved:initiated", "claim:", "asked:", "proof:COMPLETE", "moved:paid",
    ]  # fmt: skip
    claim = PaymentEvent.objects.get(kind="claim")
    assert (claim.data["authenticated"], claim.data["status"], claim.data["total_amount"]) == (
        True, "COMPLETE", "3900.0",
    )  # fmt: skip
    payment.refresh_from_db()
    assert claim.data["transaction_code"] == payment.gateway_transaction_id


def test_every_field_of_the_form_is_escaped(browser: Client, simulator: Server, settings: Any) -> None:
    settings.TENANT_BILLING_PUBLIC_BASE_URL = "http://testserver/\"><script>alert('x')</script>&amp;"
    page = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "esewa"}).content.decode()
    assert "<script" not in page
    assert "/&quot;&gt;&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;amp;/billing/esewa/success/" in page


def test_init_answers_the_signed_form(browser: Client, simulator: Server, organization: Organization) -> None:
    body = browser.post("/billing/esewa/init/", {"plan": "PRO"}, content_type="application/json").json()
    payment = PaymentTransaction.objects.get()
    assert (body["payment_url"], body["method"]) == (f"{simulator.url}api/epay/main/v2/form", "POST")
    assert (body["payment_id"], body["reference"], body["amount"], body["plan"], body["pidx"]) == (
        payment.reference, payment.reference, 3900, "PRO", None,
    )  # fmt: skip
    assert body["data"]["transaction_uuid"] == payment.reference
    assert (body["data"]["total_amount"], body["data"]["signed_field_names"]) == ("3900", ",".join(FORM_SIGNED))
    assert requests.post(body["payment_url"], data=body["data"], allow_redirects=False, timeout=10).status_code == 302


def test_starting_asks_nobody(browser: Client, simulator: Server, organization: Organization) -> None:
    fault(simulator, "down", 1)
    payments.start(organization, "PRO", "esewa", base_url=BASE)
    assert PaymentTransaction.objects.get().status == "initiated"
    fault(simulator, "down", 0)


def test_a_gateway_that_cannot_be_used_closes_the_attempt_and_sends_nobody_anywhere(
    browser: Client, simulator: Server, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_ALLOW_SIMULATOR = False
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "esewa"})
    assert answer.status_code == 502
    assert "eSewa cannot take this payment now." in answer.content.decode()
    assert stored(PaymentTransaction.objects.get()) == ("failed", "initiate_unknown")


@pytest.mark.parametrize("name", ["reference", "payment_id", "transaction_id", "transaction_uuid"])
def test_verify_takes_our_reference_by_any_name(
    browser: Client, simulator: Server, organization: Organization, name: str
) -> None:
    payment = booked(organization)
    answer = browser.post("/billing/esewa/verify/", {name: payment.reference}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    decide(simulator, payment, Act.CLOSE_TAB)
    answer = browser.post("/billing/esewa/verify/", {name: payment.reference}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"], answer.json()["plan"]) == (200, "success", "PRO")
    other = browser.post("/billing/khalti/verify/", {name: payment.reference}, content_type="application/json")
    assert other.status_code == 404


# --- coming back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["text", "number", "commas"])
def test_a_success_is_found_without_our_reference_in_the_path_however_the_amount_is_written(
    simulator: Server, organization: Organization, style: str
) -> None:
    payment = booked(organization)
    simulator.esewa.amounts = type(simulator.esewa.amounts)(style)
    query = urlsplit(decide(simulator, payment)).query
    simulator.esewa.amounts = type(simulator.esewa.amounts).TEXT
    answer = Client().get(f"/billing/esewa/success/?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
    assert plan_of(organization) == "PRO"


@pytest.mark.parametrize(
    ("act", "status"), [(Act.CANCEL, "canceled"), (Act.PENDING, "pending"), (Act.AMBIGUOUS, "pending")]
)
def test_a_failure_return_shows_the_payments_page_and_only_makes_us_ask(
    browser: Client, simulator: Server, organization: Organization, act: Act, status: str
) -> None:
    payment = booked(organization)
    way = decide(simulator, payment, act)
    assert way == f"/billing/esewa/failure/{payment.reference}/"
    answer = Client().get(way)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    assert stored(payment)[0] == status
    assert payment.reference in browser.get(answer.headers["Location"]).content.decode()
    assert plan_of(organization) == "FREE"
    if status == "pending":
        # What waited is paid after all, and nobody comes back to say so.
        decide(simulator, payment)
        with clock.moved(timedelta(minutes=7)):
            assert payments.reconcile().paid == 1
        assert plan_of(organization) == "PRO"


def test_a_forged_failure_fails_nothing(simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    url = f"/billing/esewa/failure/{payment.reference}/"
    Client().get(url)
    assert stored(payment) == ("pending", "")
    decide(simulator, payment)
    # Even where it is the first to tell of a success.
    Client().get(url)
    assert stored(payment) == ("paid", "")
    Client().get(url)
    assert stored(payment) == ("paid", "")
    assert plan_of(organization) == "PRO"


def test_a_bare_failure_shows_the_payments_page_and_is_logged(simulator: Server, organization: Organization) -> None:
    answer = Client().get("/billing/esewa/failure/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    assert claims(None) == ["unknown_payment"]


def test_a_failure_with_signed_data_is_read_and_one_with_any_other_is_logged_and_asked_about(
    simulator: Server, organization: Organization
) -> None:
    payment = booked(organization)
    url = f"/billing/esewa/failure/{payment.reference}/?data="
    for bad in ("x", data("wrong", transaction_uuid=payment.reference, status="PENDING")):
        answer = Client().get(url + bad)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    assert PaymentEvent.objects.filter(kind="refused", reference=payment.reference).count() == 2
    assert payment.events.filter(kind="asked").count() == 2
    genuine = data(transaction_uuid=payment.reference, status="PENDING")
    assert Client().get(url + genuine).headers["Location"] == result_url(payment)
    assert claims(payment) == ["mismatch", "mismatch", ""]
    assert stored(payment)[0] == "pending"


@pytest.mark.parametrize("query", ["", "?data=", "?q=fu"])
def test_a_success_that_brings_nothing_makes_us_ask_and_shows_a_stranger_nothing(
    simulator: Server, organization: Organization, query: str
) -> None:
    payment = booked(organization)
    decide(simulator, payment)
    answer = Client().get(f"/billing/esewa/success/{payment.reference}/{query}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    assert (claims(payment), plan_of(organization)) == (["mismatch"], "PRO")
    assert Client().get(f"/billing/esewa/success/{query}").status_code == 404


@pytest.mark.parametrize("name", ["success", "failure"])
def test_the_ways_back_are_for_gateways_that_are_on_and_for_get(
    simulator: Server, organization: Organization, name: str
) -> None:
    payment = booked(organization)
    assert Client().get(f"/billing/paypal/{name}/").status_code == 404
    for method in ("POST", "PUT", "HEAD", "DELETE"):
        assert Client().generic(method, f"/billing/esewa/{name}/{payment.reference}/").status_code == 405
    assert (
        Client().get(f"/billing/khalti/{name}/{payment.reference}/").status_code
        == {"success": 404, "failure": 303}[name]
    )
    assert not payment.events.filter(kind__in=["asked", "claim"]).exists()


def test_the_same_return_twenty_times_activates_once(simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    way = decide(simulator, payment)
    for _time in range(20):
        assert Client().get(way).headers["Location"] == result_url(payment)
    assert Activation.objects.count() == 1
    assert claims(payment) == [""] * 20


@pytest.mark.parametrize("name", ["success", "failure"])
def test_a_return_to_a_gateway_that_lost_its_settings_leaves_a_trace_and_is_found_later(
    simulator: Server, organization: Organization, settings: Any, name: str
) -> None:
    payment = booked(organization)
    way = decide(simulator, payment).replace("success", name)
    working = settings.TENANT_BILLING_GATEWAYS["esewa"]["OPTIONS"]
    settings.TENANT_BILLING_GATEWAYS["esewa"]["OPTIONS"] = working | {"merchant_secret": ""}
    answer = Client().get(way)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    refused = PaymentEvent.objects.get(kind="refused")
    assert (refused.reference, refused.detail) == (payment.reference, "eSewa has no merchant_secret.")
    settings.TENANT_BILLING_GATEWAYS["esewa"]["OPTIONS"] = working
    with clock.moved(timedelta(minutes=5)):
        assert payments.reconcile().paid == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["success", "failure"])
def test_the_ways_back_need_no_login_and_survive_atomic_requests(
    simulator: Server, organization: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    payment = booked(organization)
    way = decide(simulator, payment).replace("success", name)
    answer = Client(enforce_csrf_checks=True).get(way)
    assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
    assert "no-store" in answer.headers["Cache-Control"]
    assert plan_of(organization) == "PRO"


# --- lost returns, and what is not found -----------------------------------------------------------------------------


def test_a_payer_who_closes_the_tab_is_found_by_the_sweep(simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    decide(simulator, payment, Act.CLOSE_TAB)
    with clock.moved(timedelta(minutes=2)):
        call_command("reconcile_payments", verbosity=0)
    assert stored(payment) == ("paid", "")
    assert plan_of(organization) == "PRO"


def sweep_at(minutes: float) -> None:
    with clock.moved(timedelta(minutes=minutes)):
        payments.reconcile()


def test_a_payment_that_esewa_does_not_find_is_over_after_half_an_hour_and_two_answers(
    simulator: Server, organization: Organization
) -> None:
    payment, _checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
    for after in CHECK_AFTER[:5]:
        sweep_at(after.total_seconds() / 60)
        assert stored(payment) == ("initiated", "")
    sweep_at(35)
    assert stored(payment) == ("expired", "not_found")
    assert [event.detail for event in payment.events.filter(kind="proof")] == ["NOT_FOUND"] * 6


def test_one_answer_is_not_enough_however_late_it_comes(simulator: Server, organization: Organization) -> None:
    payment, _checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
    sweep_at(40)
    assert stored(payment) == ("initiated", "")
    with clock.moved(timedelta(minutes=49)):
        payments.settle(payment)
    assert stored(payment) == ("initiated", "")
    with clock.moved(timedelta(minutes=51)):
        payments.settle(payment)
    assert stored(payment) == ("expired", "not_found")


def test_another_answer_in_between_begins_the_count_anew(simulator: Server, organization: Organization) -> None:
    payment, checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
    sweep_at(5)
    requests.post(checkout.url, data=dict(checkout.fields), allow_redirects=False, timeout=10)
    sweep_at(20)
    assert stored(payment) == ("pending", "")
    decide(simulator, payment, Act.EXPIRE)
    sweep_at(36)
    assert stored(payment) == ("pending", "")
    with clock.moved(timedelta(minutes=47)):
        payments.settle(payment)
    assert stored(payment) == ("expired", "not_found")


def test_a_success_that_esewa_did_not_find_at_first_still_counts(simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    way = decide(simulator, payment)
    tamper(simulator, payment, status="NOT_FOUND", ref_id=None)
    answer = Client().get(way)
    assert "We are confirming your payment" in Client().get(answer.headers["Location"]).content.decode()
    for minutes in (2, 4, 8, 11, 21, 36):
        sweep_at(minutes)
    assert stored(payment) == ("expired", "not_found")
    tamper(simulator, payment, status="COMPLETE", ref_id="0007G36")
    with clock.moved(timedelta(days=1, minutes=1)):
        assert payments.reconcile().paid == 1
    assert plan_of(organization) == "PRO"


def test_a_stuck_payment_is_never_failed_and_needs_a_person_after_thirty_days(
    simulator: Server, organization: Organization
) -> None:
    payment = booked(organization)
    decide(simulator, payment, Act.AMBIGUOUS)
    for days in (0.01, 1, 8, 29):
        sweep_at(days * 24 * 60)
        assert stored(payment) == ("pending", "")
    sweep_at(30 * 24 * 60 + 1)
    assert stored(payment) == ("review", "stale")


def test_while_esewa_is_down_nothing_fails(simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    way = decide(simulator, payment)
    for mode in ("down", "html", "500"):
        fault(simulator, mode, 1)
        assert Client().get(way).status_code == 303
        assert stored(payment)[0] == "initiated"
    Client().get(way)
    assert stored(payment) == ("paid", "")


# --- what does not fit changes nothing -------------------------------------------------------------------------------


def everything() -> list[Any]:
    """All that a forgery could change; the log may grow."""
    rows: list[Any] = list(PaymentTransaction.objects.order_by("pk").values_list("pk", "status", "paid_at", "plan"))
    return [*rows, *Subscription.objects.order_by("pk").values_list("plan", "period_end"), Activation.objects.count()]


def forgeries(payment: PaymentTransaction, form_signature: str) -> Iterator[str]:
    reference = payment.reference
    yield data("wrong", transaction_uuid=reference)
    yield data("", transaction_uuid=reference)
    yield data(transaction_uuid=reference, product_code="NP-ES-OTHER")
    yield data(transaction_uuid=reference, names="total_amount,transaction_uuid,product_code")
    yield base64.b64encode(
        json.dumps(
            {
                "transaction_code": "X", "status": "COMPLETE", "total_amount": "3900", "transaction_uuid": reference,
                "product_code": "EPAYTEST", "signed_field_names": ",".join(FORM_SIGNED), "signature": form_signature,
            }
        ).encode()
    ).decode()  # fmt: skip
    yield "bm8="
    yield "%00"
    yield "x" * 2001


def test_forged_data_is_a_400_that_is_logged_and_asks_nobody(simulator: Server, organization: Organization) -> None:
    payment, checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
    before = everything()
    for number, forged in enumerate(forgeries(payment, checkout.fields["signature"]), 1):
        answer = Client().get(f"/billing/esewa/success/{payment.reference}/?data={forged}")
        assert answer.status_code == 400
        assert PaymentEvent.objects.filter(kind="refused", reference=payment.reference, payment=None).count() == number
    assert everything() == before
    assert not payment.events.filter(kind__in=["asked", "claim"]).exists()


def test_data_that_esewa_signed_is_still_only_a_claim(simulator: Server, organization: Organization) -> None:
    """Whoever holds the key can sign: not even that settles."""
    forged, genuine = booked(organization), booked(Organization.objects.create(name="Genuine"))
    query = data(transaction_uuid=forged.reference)
    answer = Client().get(f"/billing/esewa/success/{forged.reference}/?data={query}")
    assert answer.headers["Location"] == result_url(forged)
    assert (claims(forged), stored(forged)[0]) == ([""], "pending")
    Client().get(decide(simulator, genuine))
    assert Activation.objects.get().payment == genuine
    assert plan_of(organization) == "FREE"


def test_the_return_of_a_cheap_payment_does_not_pay_a_dear_one(simulator: Server, organization: Organization) -> None:
    thief = Organization.objects.create(name="Thief")
    cheap, dear = booked(thief, "BASIC"), booked(organization)
    way = decide(simulator, cheap)
    answer = Client().get(way.replace(cheap.reference, dear.reference, 1))
    assert answer.headers["Location"] == "/billing/payments/"
    assert (claims(dear), stored(dear)[0], plan_of(organization)) == (["mismatch"], "pending", "FREE")
    assert stored(cheap)[0] == "initiated"
    Client().get(way)
    assert (Activation.objects.get().payment, plan_of(thief)) == (cheap, "BASIC")


def test_no_return_of_a_paid_payment_pays_any_other(simulator: Server, organization: Organization) -> None:
    """C4: each return at the address of every unpaid payment; then each at its own, which is the control."""
    buyers = [Organization.objects.create(name=f"Buyer {number}") for number in range(6)]
    attempts = [booked(buyer, ("BASIC", "PRO")[number % 2]) for number, buyer in enumerate(buyers)]
    ways = {payment: decide(simulator, payment) for payment in attempts[:3]}
    for payment, way in ways.items():
        for other in attempts[3:]:
            Client().get(way.replace(payment.reference, other.reference, 1))
            assert stored(other)[0] == "pending"
    assert not Activation.objects.exists()
    for way in ways.values():
        Client().get(way)
    assert {activation.payment for activation in Activation.objects.all()} == set(ways)


REFUNDS = ("FULL_REFUND", "PARTIAL_REFUND")


STATUSES = sorted({*OUTCOMES, "Service is currently unavailable"})


@pytest.mark.parametrize("second", STATUSES)
@pytest.mark.parametrize("first", STATUSES)
def test_p8_whatever_two_answers_follow_each_other_paid_is_not_left_and_money_is_not_lost(
    simulator: Server, organization: Organization, first: str, second: str
) -> None:
    payment = booked(organization)
    decide(simulator, payment, Act.CLOSE_TAB)
    for said in (first, second):
        tamper(simulator, payment, status=said)
        payments.settle(payment)
    money = next((said for said in (first, second) if said in ("COMPLETE", *REFUNDS)), None)
    wanted = {"COMPLETE": {"paid"}, "FULL_REFUND": {"review"}, "PARTIAL_REFUND": {"review"}}
    assert stored(payment)[0] in wanted.get(money or "", {"initiated", "pending", "canceled"})
    assert Activation.objects.count() == (money == "COMPLETE")


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        ({"total_amount": 1.0}, "review", "amount"),
        ({"total_amount": 390000}, "review", "amount"),
        ({"total_amount": 3900.01}, "review", "amount"),
        ({"total_amount": None}, "review", "amount"),
        ({"transaction_uuid": "TB-ANOTHER"}, "review", "reference"),
        ({"transaction_uuid": None}, "review", "reference"),
        ({"status": "FULL_REFUND"}, "review", "refunded_before_activation"),
        ({"status": "PARTIAL_REFUND"}, "review", "refunded_before_activation"),
        ({"product_code": "NP-ES-OTHER"}, "initiated", ""),
        ({"status": "complete"}, "initiated", ""),
        ({"total_amount": "3,900.00"}, "paid", ""),
    ],
    ids=str,
)
def test_a_status_that_does_not_fit_grants_nothing(
    simulator: Server, organization: Organization, changes: dict[str, Any], status: str, detail: str
) -> None:
    payment = booked(organization)
    way = decide(simulator, payment)
    tamper(simulator, payment, **changes)
    Client().get(way)
    assert stored(payment) == (status, detail)
    assert plan_of(organization) == ("PRO" if status == "paid" else "FREE")


def test_a_transaction_that_paid_already_pays_nothing_else(simulator: Server, organization: Organization) -> None:
    first, second = booked(organization), booked(Organization.objects.create(name="Other"))
    Client().get(decide(simulator, first))
    way = decide(simulator, second)
    tamper(simulator, second, ref_id=simulator.esewa.find_named(first.reference).ref_id)
    Client().get(way)
    assert stored(second) == ("review", "transaction_reused")


def test_money_for_another_merchant_or_of_another_amount_pays_nothing(
    organization: Organization, settings: Any
) -> None:
    with running_server(merchants={"EPAYTEST": SANDBOX_SECRET, "NP-ES-THIEF": "the thief's"}) as server:
        use_simulator(settings, server.url)
        for code, secret, amount in (("NP-ES-THIEF", "the thief's", "3900"), ("EPAYTEST", SANDBOX_SECRET, "1")):
            payment, checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
            form = {**checkout.fields, "product_code": code, "amount": amount, "total_amount": amount}
            text = ",".join(f"{name}={form[name]}" for name in FORM_SIGNED)
            form["signature"] = base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()
            assert requests.post(checkout.url, data=form, allow_redirects=False, timeout=10).status_code == 302
            there = server.esewa.find_named(payment.reference, code)
            way = server.esewa.decide(there.booking, Act.PAY).redirect_url or ""
            assert Client().get(way.removeprefix(BASE)).status_code == (400 if code == "NP-ES-THIEF" else 303)
            assert payments.settle(payment).status == "initiated"
        assert plan_of(organization) == "FREE"
        # The control: by the form as it was signed, it is paid.
        payment = booked(organization)
        Client().get(decide(server, payment))
        assert plan_of(organization) == "PRO"


def test_the_secret_is_in_no_row_and_in_no_page(browser: Client, simulator: Server, organization: Organization) -> None:
    payment = booked(organization)
    Client().get(decide(simulator, payment))
    pages = [browser.post("/billing/checkout/", {"plan": "BASIC", "gateway": "esewa"}).content.decode()]
    pages += [browser.get(f"/billing/{path}").content.decode() for path in ("", "payments/", "plans/")]
    rows = str([list(model.objects.values()) for model in (PaymentTransaction, PaymentEvent)])
    assert payment.reference in rows
    assert SANDBOX_SECRET not in rows + "".join(unescape(page) for page in pages)
