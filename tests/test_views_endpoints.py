"""What may be tried again later, or was done already, as every way in tells it: JSON, pages, returns, the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from django_tenant_billing import clock
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import AlreadyPaid, Busy, GatewayUnavailable, TooManyAttempts
from django_tenant_billing.gateways.base import Checkout, Claim, Gateway, Order, Proof
from django_tenant_billing.models import PaymentEvent, PaymentTransaction, Throttle
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.test_payments import pay, start
from tests.testapp.models import Organization


class Moody(Gateway):
    """A gateway of a site's own, in whose place a service raises what the test says."""

    label = "Moody"
    raises: list[Exception] = []

    def start_checkout(self, order: Order) -> Checkout:
        if self.raises:
            raise self.raises[0]
        return Checkout(method="GET", url="https://moody.example.com/", gateway_reference=f"M-{order.reference}")

    def read_callback(self, request: HttpRequest) -> Claim:
        return Claim(reference=None, gateway_reference=request.GET.get("m"), status="")

    def look_up(self, order: Order) -> Proof:
        raise [*self.raises, GatewayUnavailable("Moody says nothing.")][0]


@pytest.fixture
def moods(settings: Any) -> Iterator[list[Exception]]:
    settings.TENANT_BILLING_PUBLIC_BASE_URL = "http://testserver"
    settings.TENANT_BILLING_GATEWAYS = {"moody": {"BACKEND": f"{__name__}.Moody"}}
    yield Moody.raises
    Moody.raises.clear()


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    return member(organization, user)


def init(client: Client, gateway: str = "moody") -> Any:
    return client.post(f"/billing/{gateway}/init/", {"plan": "PRO"}, content_type="application/json")


def buy(client: Client, gateway: str = "moody") -> Any:
    return client.post("/billing/checkout/", {"plan": "PRO", "gateway": gateway})


def verify(client: Client, payment: PaymentTransaction) -> Any:
    body = {"reference": payment.reference}
    return client.post(f"/billing/{payment.gateway}/verify/", body, content_type="application/json")


def test_what_nobody_hinders_goes_on(browser: Client, moods: list[Exception]) -> None:
    assert (init(browser).status_code, buy(browser).status_code) == (200, 303)


@pytest.mark.parametrize(
    ("error", "status", "code", "seconds"),
    [(TooManyAttempts(3), 429, "too_many_attempts", "3600"), (Busy("The subscription"), 503, "busy", "5")],
    ids=["too many attempts", "busy"],
)
def test_json_and_pages_say_when_to_come_again(
    browser: Client, moods: list[Exception], error: Exception, status: int, code: str, seconds: str
) -> None:
    moods.append(error)
    answer = init(browser)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (status, code, seconds)
    page = buy(browser)
    assert (page.status_code, page.headers["Retry-After"]) == (status, seconds)
    assert "try again in" in page.content.decode().lower()
    moods.clear()
    assert init(browser).status_code == 200


def test_what_was_paid_already_is_shown_instead_of_another_bill(
    browser: Client, moods: list[Exception], organization: Organization
) -> None:
    assert init(browser).status_code == 200
    first = PaymentTransaction.objects.get()
    moods.append(AlreadyPaid(first))
    answer = init(browser)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert answer.json()["payment"]["reference"] == first.reference
    assert answer.json()["payment"]["amount"] == 3900
    assert "Retry-After" not in answer.headers
    page = buy(browser)
    assert (page.status_code, page.headers["Location"]) == (303, result_url(first))


def test_while_somebody_else_holds_a_payment_verify_says_busy_and_a_return_says_confirming(
    browser: Client, moods: list[Exception]
) -> None:
    init(browser)
    payment = PaymentTransaction.objects.get()
    moods.append(Busy("The payment"))
    answer = verify(browser, payment)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "5")
    PaymentTransaction.objects.update(leased_until=None)
    back = Client().get(f"/billing/moody/callback/{payment.reference}/", {"m": payment.gateway_reference or ""})
    assert (back.status_code, back.headers["Location"]) == (303, result_url(payment))
    assert "We are confirming your payment" in Client().get(back.headers["Location"]).content.decode()
    assert PaymentEvent.objects.get(kind="claim").detail == ""
    stranger = Client().get(f"/billing/moody/callback/{payment.reference}/")
    assert stranger.headers["Location"] == "/billing/payments/"


def test_the_admin_tells_that_a_payment_is_busy(browser: Client, moods: list[Exception]) -> None:
    init(browser)
    payment = PaymentTransaction.objects.get()
    moods.append(Busy("The payment"))
    staff = Client()
    staff.force_login(User.objects.create_superuser("asha"))
    act = f"/admin/tenant_billing/paymenttransaction/{payment.pk}/act/"
    page = staff.post(act, {"act": "verify", "reason": "asked by phone", "amount": ""})
    assert "The payment is busy with another request." in page.content.decode()


def test_w7_the_eleventh_attempt_of_a_minute_is_a_429_as_json_and_as_a_page_and_starts_nothing(
    browser: Client, simulator: Server, organization: Organization, user: User
) -> None:
    for number in range(10):
        other = Organization.objects.create(name=f"Of samir {number}")
        assert init(member(other, user), "esewa").status_code == 200
    answer = init(browser, "esewa")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    page = buy(browser, "esewa")
    assert page.status_code == 429
    assert 1 <= int(page.headers["Retry-After"]) <= 60
    assert "Too many tries. Try again in " in page.content.decode()
    assert PaymentTransaction.objects.count() == 10
    with clock.moved(timedelta(minutes=2)):
        assert init(browser, "esewa").status_code == 200


def test_w7_a_bad_body_costs_no_try(browser: Client, simulator: Server) -> None:
    for _time in range(11):
        assert browser.post("/billing/esewa/init/", "{", content_type="application/json").status_code == 400
    assert not Throttle.objects.exists()


def test_w7_a_payment_is_verified_three_times_a_minute_and_staff_may_ask_more_often(
    browser: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    assert [verify(browser, payment).status_code for _time in range(4)] == [202, 202, 202, 429]
    pay(simulator, payment)
    answer = verify(browser, payment)
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert payment.events.filter(kind="asked").count() == 3
    staff = Client()
    staff.force_login(User.objects.create_superuser("asha"))
    act = f"/admin/tenant_billing/paymenttransaction/{payment.pk}/act/"
    for _time in range(5):
        assert staff.post(act, {"act": "verify", "reason": "x", "amount": ""}).status_code == 302
    payment.refresh_from_db()
    assert payment.status == "paid"
    with clock.moved(timedelta(minutes=2)):
        assert verify(browser, payment).status_code == 200
