"""What the pages and returns are to a browser: cookies, tokens, forms, redirects, headers and methods."""

from __future__ import annotations

import re
from html import unescape
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client
from django.urls import resolve

from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import GatewayUnavailable
from django_tenant_billing.models import PaymentEvent, PaymentTransaction, Plan, PlanPrice, Throttle
from django_tenant_billing.payments import settle
from django_tenant_billing.urls import api_urlpatterns
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.routes import RETURNS, addresses, every_row
from tests.test_gateways_khalti import INITIATE, INITIATED, ORDER, gateway
from tests.test_payments import pay, plan_of, start
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


# --- W1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "same_site", "logged_in"), list(product(["GET", "POST"], ["Lax", "Strict", "None"], [False, True]))
)
def test_w1_a_return_needs_no_cookie_and_shows_a_stranger_nothing_of_the_organization(
    simulator: Server, organization: Organization, user: User, method: str, same_site: str, *, logged_in: bool
) -> None:
    """From another site a browser sends the cookie with a GET under Lax, with both under None, else with none."""
    payment = start(organization)
    pay(simulator, payment)
    sent = logged_in and (same_site == "None" or (same_site == "Lax" and method == "GET"))
    client = member(organization, user) if sent else Client()
    path = f"/billing/khalti/callback/{payment.reference}/"
    answer: Any = client.generic(method, f"{path}?pidx={payment.gateway_reference}&status=Completed")
    payment.refresh_from_db()
    if method == "GET":
        assert (answer.status_code, answer.headers["Location"]) == (303, result_url(payment))
        assert (payment.status, plan_of(organization)) == ("paid", "PRO")
        answer = Client().get(answer.headers["Location"])
        assert "Payment received" in answer.content.decode()
    else:
        # Both wallets return by a redirect, which is a GET.
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
        assert (payment.status, plan_of(organization)) == ("initiated", "FREE")
    assert organization.name not in answer.content.decode()
    assert user.username not in answer.content.decode()


# --- W2 --------------------------------------------------------------------------------------------------------------

UNSAFE = {"checkout", "change", "subscription_act", "gateway_init", "gateway_verify"}
"""The routes that take a POST; none of them is a return."""


def test_w2_only_returns_do_without_a_token_and_every_unsafe_route_refuses_one_that_is_missing(
    simulator: Server, organization: Organization, user: User
) -> None:
    payment = settle(start(organization))
    strict = Client(enforce_csrf_checks=True, headers={"X-Organization": str(organization.pk)})
    strict.force_login(user)
    strict.get("/billing/checkout/?plan=PRO")
    token = {"X-CSRFToken": strict.cookies["csrftoken"].value}
    before, seen = every_row(), set()
    for name, path in addresses(payment.reference):
        bare = strict.post(path, {})
        assert bare.status_code == (405 if name in RETURNS or (exempt(path) and name not in UNSAFE) else 403), path
        if name in UNSAFE:
            assert b"CSRF" in bare.content
            seen.add(name)
    assert every_row() == before
    for name, path in addresses(payment.reference):
        if name in UNSAFE:
            assert strict.post(path, {}, headers=token).status_code != 403, path
    assert seen == UNSAFE


def test_w2_what_is_exempt_is_a_return_or_json_that_looks_for_itself() -> None:
    exempted = {name for name, path in addresses("TB-1") if exempt(path)}
    json = {pattern.name for pattern in api_urlpatterns}
    assert exempted == {*RETURNS, *json}


def exempt(path: str) -> bool:
    return bool(getattr(resolve(path).func, "csrf_exempt", False))


# --- W3 --------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "\"><script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "<!--", "]]>",
    "</form><form action=//e>", "\" onfocus=alert(1) autofocus x=\"", "javascript:alert(1)", "{{ 7*7 }}", "a\tb",
    "{% csrf_token %}", "{% debug %}", "&lt;b&gt;", "<svg/onload=alert(1)>", "\u202egro.live", "\u2028alert(1)",
    "\uff1cscript\uff1e", "a\rb", "a\nb", "'; DROP TABLE x; --", "%3Cscript%3E", "\\u003cscript\\u003e", "`${7*7}`",
    "<base href=//e>", "<meta http-equiv=refresh>", "<style>*{}</style>", "csrfmiddlewaretoken", "=HYPERLINK(1)",
    "\U0001f4b8" * 5, "\u0928\u0947\u092a\u093e\u0932",
]  # fmt: skip


def test_w3_of_thirty_hostile_plan_names_none_gets_out_of_the_form_that_leads_to_esewa(
    simulator: Server, user: User, catalogue: None
) -> None:
    assert len(set(HOSTILE)) == 30
    user.email, user.first_name = "samir.private@example.com", "Samirprivate"
    user.save()
    for number, code in enumerate(HOSTILE):
        plan = Plan.objects.create(code=code, name=code)
        PlanPrice.objects.create(plan=plan, amount_minor=100_000, is_default=True)
        buyer = member(
            Organization.objects.create(name=f"Private {number}"), User.objects.create_user(f"private {number}")
        )
        answer = buyer.post("/billing/checkout/", {"plan": code, "gateway": "esewa"})
        page = answer.content.decode()
        assert answer.status_code == (200 if code.isprintable() else 400), code
        assert "no-store" in answer.headers["Cache-Control"]
        assert f"form-action 'self' {simulator.url.rstrip('/')}" in answer.headers["Content-Security-Policy"]
        own = page.replace('<svg class="tb-icon"', "")  # the shapes of our badges
        assert re.findall(r"<(?:script|img|svg|style|base|iframe)\b", own) == []
        if not code.isprintable():  # No such plan can be bought at all.
            continue
        (form,) = re.findall(r"<form.*?</form>", page, re.DOTALL)
        assert "csrfmiddlewaretoken" not in form
        assert re.findall(r"<form[^>]*>", page) == [
            f'<form method="post" action="{simulator.url}api/epay/main/v2/form" accept-charset="utf-8">'
        ]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        assert len(fields) == form.count("<input") == 11
        assert unescape(fields["total_amount"]) == "1000"
        assert "rivate" not in page
    assert PaymentTransaction.objects.filter(status="initiated").count() == 25


# --- W5 --------------------------------------------------------------------------------------------------------------

EVIL = "evil.example"
PAYLOADS = [
    template.format(host)
    for host in (EVIL, f"testserver@{EVIL}", f"testserver.{EVIL}", "\u0435vil.example", f"{EVIL}:443", "[2001:db8::1]")
    for template in (
        "//{}", "https://{}/", "http://{}/", "/\\{}", "\\\\{}", "///{}", "https:{}", "ht\ttps://{}",
        "/%0d%0aLocation:%20//{}", "javascript:location='//{}'",
    )
]  # fmt: skip


def test_w5_of_sixty_open_redirects_none_leaves_the_site(
    simulator: Server, organization: Organization, user: User
) -> None:
    assert len(set(PAYLOADS)) == 60
    payment = settle(start(organization))
    inside = member(organization, user)
    paths = [path for name, path in addresses(payment.reference) if name not in ("gateway_init", "gateway_verify")]
    for number, payload in enumerate(PAYLOADS):
        away = dict.fromkeys(("next", "return_to", "return_url", "success_url", "redirect", "url"), payload)
        path = paths[number % len(paths)]
        for answer in (Client().get(path, away), inside.get(path, away), inside.post("/billing/change/cancel/", away)):
            assert stays(answer), payload
    login = Client().get("/billing/plans/", {"next": PAYLOADS[0]})
    assert parse_qs(urlsplit(login.headers["Location"]).query)["next"][0].startswith("/billing/plans/?next=")
    assert stays(
        inside.get(f"/billing/khalti/callback/{payment.reference}/", {"pidx": payment.gateway_reference or ""})
    )


def stays(answer: HttpResponseBase) -> bool:
    """Is this no redirect, or one to a path of this site that no browser takes for another?"""
    location = answer.headers.get("Location", "/")
    return re.fullmatch(r"/(?![/\\])[!-~]*", location) is not None


@pytest.mark.parametrize("location", ["//e", "https://e/", "/\\e", "\\e", "/a b", "e", ""])
def test_w5_what_leaves_the_site_is_seen(location: str) -> None:
    answer = HttpResponseBase(headers={"Location": location})
    assert not stays(answer)


def test_w5_of_sixty_links_that_khalti_might_be_made_to_give_none_is_followed() -> None:
    for payload in PAYLOADS:
        with responses.RequestsMock() as wire:
            wire.post(INITIATE, json=INITIATED | {"payment_url": payload})
            with pytest.raises(GatewayUnavailable, match="payment link to an unexpected host"):
                gateway().start_checkout(ORDER)
    with responses.RequestsMock() as wire:
        wire.post(INITIATE, json=INITIATED)
        assert gateway().start_checkout(ORDER).url == INITIATED["payment_url"]


# --- W6 --------------------------------------------------------------------------------------------------------------

HEADERS = [
    {name: value}
    for name in ("Host", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Server", "X-Original-Host")
    for value in (EVIL, f"{EVIL}:443", f"testserver, {EVIL}", f"host={EVIL}")
]


def test_w6_of_twenty_poisoned_headers_none_moves_where_payers_are_sent_back(
    simulator: Server, user: User, catalogue: None, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.TENANT_BILLING_PUBLIC_BASE_URL = "https://app.example.com"
    assert len(HEADERS) == 20
    refused = 0
    for number, poisoned in enumerate(HEADERS):
        buyer = member(Organization.objects.create(name=f"Buyer {number}"), User.objects.create_user(f"buyer {number}"))
        answer = buyer.post("/billing/esewa/init/", {"plan": "PRO"}, content_type="application/json", headers=poisoned)
        if answer.status_code == 400:  # Django refuses what is no host at all.
            refused += 1
            continue
        sent = answer.json()["data"]
        assert sent["success_url"].startswith("https://app.example.com/billing/esewa/success/TB-"), poisoned
        assert sent["failure_url"].startswith("https://app.example.com/billing/esewa/failure/TB-"), poisoned
        assert EVIL not in answer.content.decode()
    assert (refused, PaymentTransaction.objects.count()) == (4, 16)


def test_w6_without_the_setting_a_site_in_debug_asks_the_header_which_the_test_above_would_see(
    simulator: Server, organization: Organization, user: User, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.DEBUG = True
    settings.TENANT_BILLING_PUBLIC_BASE_URL = ""
    buyer = member(organization, user)
    answer = buyer.post(
        "/billing/esewa/init/", {"plan": "PRO"}, content_type="application/json", headers={"Host": EVIL}
    )
    assert answer.json()["data"]["success_url"].startswith(f"http://{EVIL}/")


# --- W8 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "POST", "PROPFIND"])
def test_w8_other_methods_than_get_on_a_return_verify_nothing_and_count_nothing(
    simulator: Server, organization: Organization, method: str
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    before, lines = every_row(), PaymentEvent.objects.count()
    tried = 0
    for name, path in addresses(payment.reference):
        if name in RETURNS:
            answer: Any = Client().generic(method, f"{path}?pidx={payment.gateway_reference}")
            assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
            tried += 1
    assert tried == 12
    assert (every_row(), PaymentEvent.objects.count(), Throttle.objects.exists()) == (before, lines, False)
    query = {"pidx": payment.gateway_reference or ""}
    assert Client().get(f"/billing/khalti/callback/{payment.reference}/", query).status_code == 303
    assert plan_of(organization) == "PRO"
