"""What may be tried again later, or was done already, as every way in tells it: JSON, pages, returns, the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from django_tenant_billing import clock, quotas
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


class Broken(BytesIO):
    """A connection that ends before its body does."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError("gone")


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


# --- bodies and queries that cannot be read --------------------------------------------------------------------------

MULTIPART, FORM = "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("bearer", [False, True])
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"x" * 20_000, "application/json", 413, "too_large"),
        (b"x" * 3_000_000, "application/json", 413, "too_large"),
        (b"plan=" + b"x" * 3_000_000, FORM, 413, "too_large"),
        (b"&".join(b"a%d=1" % number for number in range(1001)), FORM, 400, "bad_request"),
        (b"plan=PRO", f"{FORM}; charset=latin-1", 400, "bad_request"),
        (b"--x\r\n", "multipart/form-data", 400, "bad_request"),
        (b"--x\r\nContent-Disposition: form-data; name=plan\r\n\r\nGOLD\r\n--x--\r\n", MULTIPART, 400, "not_for_sale"),
        (b'{"plan": "PRO"}', "text/plain", 400, "bad_request"),
        (b'{"plan": "PRO"}', "", 400, "bad_request"),
        (b'{"plan": "PR\\u0000"}', "application/json", 400, "bad_request"),
        (b'{"plan": "\\ud800"}', "application/json", 400, "bad_request"),
        (b'{"plan": 1e999}', "application/json", 400, "bad_request"),
        (b'{"plan": NaN}', "application/json", 400, "bad_request"),
        (b'{"plan": ' + b"9" * 5000 + b"}", "application/json", 400, "bad_request"),
        ("पैसा".encode("utf-16"), "application/json; charset=utf-16", 400, "bad_request"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused_in_the_one_shape(
    organization: Organization, user: User, moods: list[Exception], body: bytes, content_type: str, status: int,
    code: str, *, bearer: bool,
) -> None:  # fmt: skip
    """With a token, and with a cookie, whose check for forgery is the first to read."""
    client = member(organization, user, **{"Authorization": "Bearer x"} if bearer else {})
    client.handler.enforce_csrf_checks = not bearer
    client.get("/billing/checkout/?plan=PRO")
    token = "" if bearer else client.cookies["csrftoken"].value
    answer = client.generic("POST", "/billing/moody/init/", body, content_type, headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"error", "code"}
    assert not PaymentTransaction.objects.exists()


def test_a_body_that_breaks_off_is_refused_in_the_one_shape(browser: Client, moods: list[Exception]) -> None:
    broken: Any = {"wsgi.input": Broken()}
    for content_type in (FORM, "application/json"):
        answer = browser.generic("POST", "/billing/moody/init/", b"plan=PRO", content_type, **broken)
        assert (answer.status_code, answer.json()["error"]) == (400, "The request cannot be read.")


def test_a_query_with_too_many_fields_is_refused_in_the_one_shape(browser: Client) -> None:
    query = "&".join(f"a{number}=1" for number in range(1001))
    for path in ("api/payments/", "subscription/preview/"):
        answer = browser.get(f"/billing/{path}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


# --- ETags -----------------------------------------------------------------------------------------------------------

POLLED = ("usage/", "api/plans/", "api/usage/history/")
ASKED = ("subscription/", "subscription/preview/?plan=PRO", "api/payments/")


@pytest.mark.parametrize("path", POLLED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_just_this_is_told_so_with_the_same_headers(browser: Client, path: str, method: str) -> None:
    first = browser.generic(method, f"/billing/{path}")
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Cookie", "Authorization", "Accept-Language"} <= set(first.headers["Vary"].split(", "))
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = browser.generic(method, f"/billing/{path}", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b""), known
        for name in ("ETag", "Cache-Control", "Vary"):
            assert answer.headers[name] == first.headers[name]
    for other in ('"other"', etag.strip('"'), "", f"{etag[:-1]}x"):
        answer = browser.generic(method, f"/billing/{path}", headers={"If-None-Match": other})
        assert answer.status_code == 200, other


def test_the_etag_moves_with_the_content_and_differs_between_organizations(
    browser: Client, organization: Organization, user: User
) -> None:
    tags = [browser.get("/billing/usage/").headers["ETag"]]
    quotas.consume(organization, "invoices")
    tags.append(browser.get("/billing/usage/").headers["ETag"])
    tags.append(member(Organization.objects.create(name="Other"), user).get("/billing/usage/").headers["ETag"])
    assert len(set(tags)) == 3
    stale = browser.get("/billing/usage/", headers={"If-None-Match": tags[0]})
    assert (stale.status_code, stale.json()["invoices_created"]) == (200, 1)


def test_refusals_and_what_is_told_of_money_are_kept_by_no_cache(browser: Client) -> None:
    known = {"If-None-Match": "*"}
    answers = [browser.get(f"/billing/{path}", headers=known) for path in ASKED]
    answers += [Client().get(f"/billing/{path}", headers=known) for path in POLLED]
    answers += [browser.post(f"/billing/{path}", headers=known) for path in POLLED]
    assert [answer.status_code for answer in answers] == [200] * 3 + [401] * 3 + [405] * 3
    for answer in answers:
        assert "no-store" in answer.headers["Cache-Control"]
        assert "ETag" not in answer.headers
