"""Secrets that stand in no source line, through every failure there is: none of them is ever shown (L1, L2)."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.checks import CheckMessage, Error, run_checks
from django.core.signals import got_request_exception
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.test import Client, RequestFactory

from django_tenant_billing import clock, payments
from django_tenant_billing.conf import conf
from django_tenant_billing.contrib.simulator.server import running_server
from django_tenant_billing.exceptions import (
    BillingError,
    CallbackRejected,
    GatewayNotConfigured,
    GatewayRejected,
    GatewayUnavailable,
)
from django_tenant_billing.gateways import registry
from django_tenant_billing.gateways.base import Checkout, Claim, Gateway, Order, Proof
from django_tenant_billing.gateways.esewa import EsewaGateway
from django_tenant_billing.gateways.http import HeaderAuth, Secret
from django_tenant_billing.gateways.registry import get_gateway, usable_gateways
from django_tenant_billing.models import Breaker, PaymentEvent, PaymentTransaction, Throttle
from tests.conftest import use_simulator
from tests.members import member
from tests.servers import CERTIFICATE, Connection, Script, after_request, log, message, over_tls, replies, serving
from tests.sinks import Sinks
from tests.testapp.models import Organization

__all__ = ["log"]  # a fixture

KHALTI_KEY, ESEWA_KEY, BEARER, SITE_KEY, PASSWORD = (f"{name}_{token_hex(12)}" for name in "kesbp")
"""One for each source of secrets."""
SECRETS = (KHALTI_KEY, ESEWA_KEY, BEARER, SITE_KEY, PASSWORD)
KHALTI = "django_tenant_billing.gateways.khalti.KhaltiGateway"
ESEWA = "django_tenant_billing.gateways.esewa.EsewaGateway"
BASE = "http://testserver"


@pytest.fixture
def sinks(log: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Sinks:
    return Sinks(SECRETS, log, capfd)


@pytest.fixture(autouse=True)
def _site_with_secrets(settings: Any, monkeypatch: pytest.MonkeyPatch, catalogue: None) -> None:
    cache.clear()
    settings.SECRET_KEY = SITE_KEY
    # The connection is there already; error pages and reporters read what it was made from.
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", PASSWORD)
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", PASSWORD)
    configure(settings, "http://127.0.0.1:1/")


def configure(settings: Any, url: str) -> None:
    """Both wallets at this address, with the secrets as their options."""
    use_simulator(settings, url)
    gateways = settings.TENANT_BILLING_GATEWAYS
    gateways["khalti"]["OPTIONS"]["secret_key"] = KHALTI_KEY
    gateways["esewa"]["OPTIONS"]["merchant_secret"] = ESEWA_KEY
    settings.TENANT_BILLING_GATEWAYS = gateways


@dataclass
class Site:
    """A member's client with a token, staff, and a payment at each wallet that its gateway can be asked about."""

    client: Client
    staff: Client
    khalti: PaymentTransaction
    esewa: PaymentTransaction


@pytest.fixture
def site(settings: Any, organization: Organization, user: User) -> Site:
    with running_server(keys=[KHALTI_KEY], merchants={"EPAYTEST": ESEWA_KEY}) as server:
        configure(settings, server.url)
        khalti, _checkout = payments.start(organization, "PRO", "khalti", base_url=BASE)
        esewa, _checkout = payments.start(organization, "PRO", "esewa", base_url=BASE)
    client, staff = member(organization, user, Authorization=f"Bearer {BEARER}"), Client()
    staff.force_login(User.objects.create_superuser("asha", password="x"))
    client.raise_request_exception = staff.raise_request_exception = False
    return Site(client, staff, khalti, esewa)


def fresh() -> None:
    """No breaker and no throttle keeps the next question back."""
    Breaker.objects.all().delete()
    Throttle.objects.all().delete()


def ask(sinks: Sinks, question: Callable[[], object]) -> bool:
    """Search what comes of it; True where it is an error."""
    try:
        sinks.search("values", repr(question()))
    except BillingError as error:
        sinks.error(error)
        return True
    return False


# What a wallet can answer that knows our secret, because we sent it or because it gave it to us.


def told(write: Callable[[str], bytes]) -> Script:
    """Answers with what it knows: the Authorization header that came, else eSewa's secret."""

    def script(connection: Connection) -> None:
        request = connection.read_request().decode()
        lines = [line for line in request.split("\r\n") if line.lower().startswith("authorization: key ")]
        connection.send(write(lines[0].split()[-1] if lines else ESEWA_KEY))

    return script


def said(body: Any, status: str = "200 OK") -> Script:
    """A JSON answer with the secret wherever the body says KEY."""
    return told(lambda key: message(json.dumps(body).replace("KEY", key).encode(), status=status))


def echo(status: str) -> Script:
    """The whole request as a page."""
    return lambda connection: connection.send(message(connection.read_request() + ESEWA_KEY.encode(), status=status))


def nested(depth: int) -> Any:
    return "KEY" if depth == 0 else [nested(depth - 1)]


FAULTS: dict[str, Script] = {
    "hangs up": replies(b""),
    "resets": after_request(Connection.reset),
    "silent": after_request(Connection.wait),
    "silent behind the secret": told(lambda key: f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{key}".encode()),
    "HTML": replies(message(b"<html>Sign in</html>")),
    "HTML that repeats the request": echo("200 OK"),
    "500 that repeats the request": echo("500 Internal Server Error"),
    "502 that repeats the request": echo("502 Bad Gateway"),
    "503": said({"detail": "KEY"}, "503 Service Unavailable"),
    "401 with our key": said({"detail": "Invalid token KEY.", "status_code": 401}, "401 Unauthorized"),
    "401 page with our key": echo("401 Unauthorized"),
    "403 with our key": said({"detail": "Key KEY"}, "403 Forbidden"),
    "404 with our key": said({"detail": "Key KEY"}, "404 Not Found"),
    "429 with our key": said({"detail": "Key KEY"}, "429 Too Many Requests"),
    "400 with our key": said({"detail": "The key KEY may not do this."}, "400 Bad Request"),
    "400 with our key in a list": said({"amount": ["Key KEY", "KEY"], "KEY": ["no"]}, "400 Bad Request"),
    "400 with our key far inside": said({"detail": nested(60), "more": {"a": {"b": "KEY"}}}, "400 Bad Request"),
    "400 that is nested without end": said({"detail": nested(900)}, "400 Bad Request"),
    "a status that is our key": said({"status": "KEY", "pidx": "KEY", "product_code": "EPAYTEST"}),
    "ids that are our key": said(
        {"status": "Completed", "pidx": "KEY", "total_amount": 390000, "transaction_id": "KEY", "fee": ["KEY"],
         "payment_url": "KEY"}
    ),
    "ids of eSewa that are our key": said(
        {"status": "COMPLETE", "product_code": "EPAYTEST", "transaction_uuid": "KEY", "ref_id": "KEY",
         "total_amount": "KEY"}
    ),
    "a payment link with our key": said({"pidx": "x", "payment_url": "https://evil.test/?KEY"}),
    "a redirect with our key": told(
        lambda key: message(b"", status="302 Found", headers=f"Location: https://evil.test/{key}\r\n")
    ),
    "a redirect with our key and JSON": told(
        lambda key: message(
            json.dumps({"detail": key}).encode(), status="307 Moved", headers=f"Location: /{key}?{key}\r\n"
        )
    ),
    "a status line with our key": told(lambda key: message(b"x", status=f"500 {key}")),
    "a status line that is our key": told(lambda key: f"{key}\r\n\r\n".encode()),
    "headers with our key": told(lambda key: message(b"x", headers=f"Set-Cookie: a={key}\r\nX-{key}: {key}\r\n")),
    "a header that is none": told(lambda key: message(b"{}", headers=f"Authorization {key}\r\nX: y\r\n")),
    "a length that is our key": told(lambda key: f"HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n{{}}".encode()),
    "a chunk that is our key": told(
        lambda key: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n".encode()
    ),
    "half an object": told(lambda key: message(f'{{"detail": "{key}'.encode())),
    "a name twice": told(lambda key: message(f'{{"{key}": 1, "{key}": 2}}'.encode())),
    "not a number": told(lambda key: message(f'{{"{key}": NaN}}'.encode())),
    "an array": said(["KEY"]),
    "no UTF-8": told(lambda key: message(key.encode() + b"\xff")),
    "an encoding that is none": told(
        lambda key: message(key.encode(), headers=f"Content-Encoding: gzip\r\nX-Key: {key}\r\n")
    ),
    "too much": told(lambda key: message(key.encode() * 5000)),
}  # fmt: skip


@pytest.fixture
def _short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("post_json", "get_json"):
        monkeypatch.setattr(f"django_tenant_billing.gateways.http.{name}.__kwdefaults__", {"seconds": 0.3})


def questions(site: Site) -> Iterator[Callable[[], object]]:
    """All that can be asked of a wallet's server, as gateways answer it."""
    khalti, order = get_gateway("khalti"), payments.door.order_of(site.khalti, BASE)
    yield lambda: khalti.look_up(order)
    yield lambda: khalti.start_checkout(order)
    yield lambda: khalti.refund(order, 100)
    esewa, of_esewa = get_gateway("esewa"), payments.door.order_of(site.esewa, BASE)
    yield lambda: esewa.look_up(of_esewa)


def everywhere(sinks: Sinks, site: Site) -> None:
    """The same questions as the site asks them: by the sweep, as JSON, by a form, by staff."""
    for payment in (site.khalti, site.esewa):
        fresh()
        ask(sinks, lambda payment=payment: payments.verify(payment))  # type: ignore[misc]
    sinks.answer("JSON", site.client.post("/billing/khalti/init/", {"plan": "BASIC"}, "application/json"))
    form = {"plan": "BASIC", "gateway": "khalti"}
    sinks.answer("pages", site.client.post("/billing/checkout/", form))
    path = f"/admin/tenant_billing/paymenttransaction/{site.khalti.pk}/act/"
    for act in ("verify", "refund"):
        fresh()
        sinks.answer("admin", site.staff.post(path, {"act": act, "reason": "as told"}))
    sinks.records()


@pytest.mark.usefixtures("_short_deadline")
def test_l1_no_answer_of_a_wallet_brings_a_secret_to_light(
    sinks: Sinks, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A developer who watches requests has them printed, keys and all.
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    secure = {"a certificate of its own": over_tls(certificate, replies(b"")), "no TLS at all": replies(message(b"{}"))}
    failed = []
    for name, script in [*FAULTS.items(), *secure.items()]:
        with serving(script) as server:
            configure(settings, server.url.replace("http", "https") if name in secure else server.url)
            for question in questions(site):
                if ask(sinks, question):
                    failed.append(name)
            everywhere(sinks, site)
            assert server.connections > 4, name
        assert not sinks.places, (name, sinks.places)
    configure(settings, server.url)  # nobody is there any more
    failed += ["down" for question in questions(site) if ask(sinks, question)]
    everywhere(sinks, site)
    sinks.rows()
    sinks.pages(site.client)
    sinks.admin(site.staff)
    sinks.kept()
    assert not sinks.places
    assert len(failed) >= 120
    assert {"stdout", "stderr", "rows", "pages", "JSON", "admin", "cache", "pickle"} < set(sinks.searched)
    assert {"log of urllib3", "log of django", "html page, DEBUG=True", "locals of error"} < set(sinks.searched)


def forgeries(reference: str) -> Iterator[str]:
    yield from ("x", "bm8=", "%00", "x" * 2001, "e30=", f"{reference}&data=x")
    with_key = EsewaGateway(merchant_code="EPAYTEST", merchant_secret="other")
    order = Order(
        reference=reference, amount_minor=390000, currency="NPR", description="", return_url="", website_url="",
        success_url="a", failure_url="b",
    )  # fmt: skip
    yield packed({**with_key.start_checkout(order).fields, "status": "COMPLETE", "transaction_code": "X"})
    names = "transaction_code,status,total_amount,transaction_uuid,product_code,signed_field_names"
    genuine = dict.fromkeys(names.split(","), "x") | {"signed_field_names": names, "product_code": "EPAYTEST"}
    for signature in ("", "x", "A" * 44, "\u0410" * 44):
        yield packed(genuine | {"signature": signature})
    yield packed(genuine)
    yield packed(genuine | {"signed_field_names": "status"})


def packed(data: dict[str, str]) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


@pytest.mark.parametrize("debug", [False, True])
def test_l1_no_forgery_brings_a_secret_to_light(sinks: Sinks, site: Site, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    khalti, reference = site.khalti, site.esewa.reference
    ways = [f"esewa/success/{reference}/?data={data}" for data in forgeries(reference)]
    ways += [f"esewa/failure/{reference}/?data={packed({})}", "esewa/success/?data=x"]
    bad = ("pidx=a&pidx=b", "x=%00", "pidx=" + "x" * 600)
    ways += [f"khalti/callback/{khalti.reference}/?{query}" for query in bad]
    ways += [f"khalti/callback/?pidx={khalti.gateway_reference}", "khalti/callback/"]
    for way in ways:
        fresh()
        sinks.answer("pages", site.client.get(f"/billing/{way}"))
        sinks.records()
    esewa = get_gateway("esewa")
    for data in forgeries(reference):
        request = HttpRequest()
        request.META["QUERY_STRING"] = f"data={data}"
        assert ask(sinks, lambda request=request: esewa.read_callback(request))  # type: ignore[misc]
    sinks.rows()
    sinks.pages(site.client)
    sinks.admin(site.staff)
    assert not sinks.places
    assert sinks.searched["log of django"] >= 15


MISTAKES: dict[str, dict[str, Any]] = {
    "another name": {"BACKEND": KHALTI, "OPTIONS": {"secret": KHALTI_KEY}},
    "a name too many": {"BACKEND": ESEWA, "OPTIONS": {"merchant_code": "M", "merchant_secret": ESEWA_KEY, "key": "x"}},
    "one option less": {"BACKEND": ESEWA, "OPTIONS": {"merchant_secret": ESEWA_KEY}},
    "bytes": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": KHALTI_KEY.encode()}},
    "a list": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": [KHALTI_KEY]}},
    "a dict": {"BACKEND": ESEWA, "OPTIONS": {"merchant_code": "M", "merchant_secret": {"secret": ESEWA_KEY}}},
    "a number for a URL": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": KHALTI_KEY, "base_url": 5}},
    "a list for a URL": {
        "BACKEND": ESEWA, "OPTIONS": {"merchant_code": "M", "merchant_secret": ESEWA_KEY, "status_url": ["x"]},
    },
    "no module": {"BACKEND": "no.such.Gateway", "OPTIONS": {"secret_key": KHALTI_KEY}},
    "no class": {"BACKEND": "django_tenant_billing.gateways.khalti.Kalti", "OPTIONS": {"secret_key": KHALTI_KEY}},
    "no path": {"BACKEND": "Khalti", "OPTIONS": {"secret_key": KHALTI_KEY}},
    "no gateway": {"BACKEND": "django.db.models.Model", "OPTIONS": {"secret_key": KHALTI_KEY}},
    "a key too many": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": KHALTI_KEY}, "NAME": "x"},
    "options beside": {"BACKEND": KHALTI, "secret_key": KHALTI_KEY},
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_l1_no_mistake_in_the_settings_brings_a_secret_to_light(
    sinks: Sinks, site: Site, settings: Any, mistake: str
) -> None:
    settings.TENANT_BILLING_GATEWAYS = {"khalti": MISTAKES[mistake]}
    fresh()
    for problem in run_checks(tags=["tenant_billing"], include_deployment_checks=True):
        sinks.search("checks", problem)
    assert sinks.searched["checks"] >= 2
    sinks.answer("JSON", site.client.post("/billing/khalti/init/", {"plan": "BASIC"}, "application/json"))
    sinks.answer("pages", site.client.post("/billing/checkout/", {"plan": "BASIC", "gateway": "khalti"}))
    sinks.answer("pages", site.client.get(f"/billing/khalti/callback/{site.khalti.reference}/?pidx=x"))
    sinks.search("values", usable_gateways())
    payments.verify(site.khalti)
    sinks.records()
    sinks.rows()
    sinks.pages(site.client)
    sinks.admin(site.staff)
    with pytest.raises(GatewayNotConfigured) as caught:
        get_gateway("khalti")
    # Django's pages list the settings by a filter of their own, which knows names and not mistakes.
    settings.TENANT_BILLING_GATEWAYS = {}
    sinks.error(caught.value)
    assert not sinks.places


BREAKS = ("paymentevent", "paymenttransaction", "activation", "subscriptionevent")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("table", BREAKS)
def test_l1_no_error_of_the_database_in_the_middle_of_a_commit_brings_a_secret_to_light(
    sinks: Sinks, site: Site, settings: Any, table: str, debug: bool
) -> None:
    settings.DEBUG = debug
    pidx = site.khalti.gateway_reference
    body = {"status": "Completed", "pidx": pidx, "total_amount": 390000, "transaction_id": "T1"}
    armed = False

    def breaks(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        verb = "UPDATE" if table == "paymenttransaction" else "INSERT"
        if armed and sql.startswith(verb) and f"tenant_billing_{table}" in sql:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, params, many, context)

    def again() -> None:
        """Whoever broke off is not waited for."""
        nonlocal armed
        armed = False
        PaymentTransaction.objects.update(leased_until=None)
        armed = True

    def seen(sender: object, request: HttpRequest, **_kwargs: Any) -> None:
        errors.append((sys.exc_info()[1], request))

    errors: list[tuple[BaseException | None, HttpRequest]] = []
    got_request_exception.connect(seen)
    with serving(replies(message(json.dumps(body).encode()))) as server, connection.execute_wrapper(breaks):
        configure(settings, server.url)
        again()
        path = f"/billing/khalti/callback/{site.khalti.reference}/?pidx={pidx}"
        sinks.answer("pages", site.client.get(path))
        again()
        post = site.client.post("/billing/khalti/verify/", {"pidx": pidx}, "application/json")
        sinks.answer("JSON", post)
        again()
        with pytest.raises(OperationalError) as caught:
            payments.settle(site.khalti)
        armed = False
    got_request_exception.disconnect(seen)
    assert post.status_code == 500
    assert len(errors) == 2
    sinks.error(caught.value)
    for error, request in errors:
        assert error is not None
        sinks.error(error, request)
    sinks.records()
    sinks.rows()
    sinks.pages(site.client)
    sinks.admin(site.staff)
    assert not sinks.places
    assert sinks.searched["html page of a request"] == 4


CARD = "4111 1111 1111 1111"
HIDDEN = "**** **** **** 1111"


def test_l4_a_card_number_in_what_a_wallet_or_a_browser_says_is_masked_in_the_log_and_in_errors(
    sinks: Sinks, site: Site, settings: Any
) -> None:
    refusal = {
        "detail": f"Card {CARD} declined",
        "amount": [f"{CARD} is no amount"],
        CARD: ["x"],
        "pan": 4111111111111111,
    }
    with serving(replies(message(json.dumps(refusal).encode(), status="400 Bad Request"))) as server:
        configure(settings, server.url)
        with pytest.raises(GatewayRejected) as caught:
            get_gateway("khalti").start_checkout(payments.door.order_of(site.khalti, BASE))
        fresh()
        site.client.post("/billing/khalti/init/", {"plan": "BASIC"}, "application/json")
    assert caught.value.reasons == {
        "detail": f"Card {HIDDEN} declined", "amount": f"{HIDDEN} is no amount", HIDDEN: "x", "pan": "************1111",
    }  # fmt: skip
    assert PaymentEvent.objects.get(to_status="failed").data == caught.value.reasons
    for query in (f"status={CARD}&amount={CARD}&pidx=x", f"{CARD}=1&{CARD}=2", f"transaction_id={CARD}&pidx={CARD}"):
        fresh()
        Client().get(f"/billing/khalti/callback/{site.khalti.reference}/?{query}")
    rows = str(list(PaymentEvent.objects.values()))
    assert rows.count(HIDDEN) >= 6
    assert CARD not in rows
    assert CARD.replace(" ", "") not in rows


def test_l4_an_id_of_digits_that_could_be_a_card_number_still_finds_and_binds_its_payment(
    site: Site, settings: Any
) -> None:
    number = CARD.replace(" ", "")
    body = {
        "status": "Completed", "pidx": site.khalti.gateway_reference, "total_amount": 390000, "transaction_id": number,
    }  # fmt: skip
    with serving(replies(message(json.dumps(body).encode()))) as server:
        configure(settings, server.url)
        payment = payments.settle(site.khalti)
    assert (payment.status, payment.gateway_transaction_id) == ("paid", number)
    assert payments.find("khalti", number) == payment
    assert payment.events.filter(kind="proof").latest("pk").data["transaction_id"] == number


def test_l2_no_object_shows_its_secret_but_who_is_asked_for_it_by_name(sinks: Sinks, site: Site) -> None:
    khalti, esewa, secret = get_gateway("khalti"), get_gateway("esewa"), Secret(KHALTI_KEY)
    things = [khalti, esewa, conf, secret, HeaderAuth("Key", secret), site.khalti, site.esewa, usable_gateways()]
    things += [payments.door.order_of(site.khalti), *PaymentEvent.objects.all(), registry, payments]
    for thing in things:
        sinks.search("values", (repr(thing), str(thing), f"{thing}"))
        sinks.search("attributes", [repr(value) for value in getattr(thing, "__dict__", {}).values()])
    sinks.search("attributes", [repr(vars(gateway)) for gateway in (khalti, esewa)])
    assert not sinks.places
    assert repr(secret) == "Secret(****)"
    assert secret.reveal() == KHALTI_KEY


class Leaky(Gateway):
    """A gateway that does all that must not be done."""

    label = "Leaky"
    supports_refunds = True

    def __init__(self, *, secret_key: str) -> None:
        self.secret_key = secret_key

    def __repr__(self) -> str:
        return f"<Leaky {self.secret_key}>"

    def check(self) -> list[CheckMessage]:
        return [Error(f"The key is {self.secret_key}.", id="leaky.E001")]

    def start_checkout(self, order: Order) -> Checkout:
        key = self.secret_key
        cache.set("key", key)
        print(key)
        print(key, file=sys.stderr)
        logging.getLogger("urllib3").debug("Authorization: %s", key)
        logging.getLogger("django.request").warning("Authorization: %s", key)
        return Checkout(method="POST", url="http://127.0.0.1:1/", fields={"key": key})

    def read_callback(self, request: HttpRequest) -> Claim:
        raise CallbackRejected(self.secret_key)

    def look_up(self, order: Order) -> Proof:
        raise GatewayUnavailable(f"No answer for {self.secret_key}.")


def test_l1_a_gateway_that_leaks_is_seen_in_every_place_that_is_searched(
    sinks: Sinks, site: Site, settings: Any, organization: Organization
) -> None:
    leaky = {"BACKEND": f"{__name__}.Leaky", "OPTIONS": {"secret_key": KHALTI_KEY}}
    settings.TENANT_BILLING_GATEWAYS = {"leaky": leaky}
    fresh()
    sinks.answer("JSON", site.client.post("/billing/leaky/init/", {"plan": "BASIC"}, "application/json"))
    # No organization has more than three attempts in an hour.
    PaymentTransaction.objects.update(created_at=clock.now() - timedelta(hours=2))
    sinks.answer("pages", site.client.post("/billing/checkout/", {"plan": "BASIC", "gateway": "leaky"}))
    sinks.answer("pages", site.client.get("/billing/leaky/callback/"))
    payment = PaymentTransaction.objects.filter(gateway="leaky").latest("pk")
    payments.settle(payment)
    gateway = get_gateway("leaky")
    request = RequestFactory().get("/", headers={"X-Told": KHALTI_KEY})
    sinks.search("values", repr(gateway))
    sinks.search("attributes", vars(gateway))
    sinks.search("checks", gateway.check())
    assert ask(sinks, lambda: gateway.look_up(payments.door.order_of(payment)))
    with pytest.raises(GatewayUnavailable) as caught:
        gateway.look_up(payments.door.order_of(payment))
    sinks.error(caught.value, request)
    logging.getLogger("tenant_billing").error("It fails: %s", caught.value)
    sinks.records()
    sinks.rows()
    sinks.pages(site.client)
    sinks.admin(site.staff)
    sinks.kept()
    assert set(sinks.searched) - sinks.places == set()
