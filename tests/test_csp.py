"""What a policy must allow so that payers reach the gateways, in each of the ways a site writes its policy."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import RequestFactory

from django_tenant_billing import csp
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.gateways.addresses import origin
from django_tenant_billing.gateways.base import Gateway
from tests.members import member
from tests.testapp.models import Organization

KHALTI = {"BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway", "OPTIONS": {"secret_key": "k"}}
ESEWA = {
    "BACKEND": "django_tenant_billing.gateways.esewa.EsewaGateway",
    "OPTIONS": {"merchant_code": "c", "merchant_secret": "s"},
}


class Till(Gateway):
    """A gateway of a site's own, that sends payers nowhere by a form."""

    start_checkout = read_callback = look_up = None  # type: ignore[assignment]
    label = "Till"


class Hall(Till):
    """One that sends them through a second place."""

    origins = ("https://hall.example.com", "https://gate.example.com:8443")


@pytest.mark.parametrize(
    ("mode", "origins"),
    [
        ("live", ["https://pay.khalti.com", "https://epay.esewa.com.np"]),
        ("sandbox", ["https://test-pay.khalti.com", "https://rc-epay.esewa.com.np"]),
        ("neither", []),
    ],
)
def test_w4_forms_may_lead_to_the_gateways_that_are_on_and_khalti_is_one_though_it_is_reached_by_a_redirect(
    settings: Any, mode: str, origins: list[str]
) -> None:
    settings.TENANT_BILLING_MODE = mode
    settings.TENANT_BILLING_GATEWAYS = {"khalti": KHALTI, "esewa": ESEWA}
    assert csp.origins() == origins
    assert csp.sources() == {"form-action": ["'self'", *origins]}
    settings.TENANT_BILLING_GATEWAYS = {"khalti": KHALTI}
    assert csp.header() == " ".join(["form-action 'self'", *origins[:1]])


def test_a_gateway_of_a_sites_own_names_its_own_and_each_stands_once(settings: Any) -> None:
    hall = {"BACKEND": f"{__name__}.Hall"}
    settings.TENANT_BILLING_GATEWAYS = {"till": {"BACKEND": f"{__name__}.Till"}, "a": hall, "b": hall}
    assert csp.origins() == ["https://hall.example.com", "https://gate.example.com:8443"]


def test_no_gateway_needs_nothing_and_settings_that_cannot_be_read_break_no_page(settings: Any) -> None:
    assert csp.sources() == {"form-action": ["'self'"]}
    settings.TENANT_BILLING_GATEWAYS = ["khalti"]
    assert csp.sources() == {"form-action": ["'self'"]}
    settings.TENANT_BILLING_GATEWAYS = {"broken": {}, "khalti": KHALTI}
    assert csp.origins() == ["https://test-pay.khalti.com"]


def test_form_action_is_a_list_that_is_read_when_it_is_used_and_not_before(settings: Any) -> None:
    sources = csp.form_action("https://search.example.com")
    settings.TENANT_BILLING_GATEWAYS = {"khalti": KHALTI}
    assert isinstance(sources, list)
    assert " ".join(sources) == "'self' https://test-pay.khalti.com https://search.example.com"


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has SECURE_CSP since 6.0")
def test_w4_the_policy_that_django_emits_names_the_gateways(settings: Any) -> None:
    from django.middleware.csp import ContentSecurityPolicyMiddleware  # noqa: PLC0415 - not there before 6.0

    settings.TENANT_BILLING_GATEWAYS = {"khalti": KHALTI, "esewa": ESEWA}
    settings.SECURE_CSP = {"default-src": ["'self'"], "form-action": csp.form_action()}
    answer: Any = ContentSecurityPolicyMiddleware(lambda _request: HttpResponse())(RequestFactory().get("/"))
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'self'; form-action 'self' https://test-pay.khalti.com https://rc-epay.esewa.com.np"
    )


@pytest.mark.parametrize("gateway", ["khalti", "esewa"])
def test_w4_what_the_checkout_leads_to_is_in_the_emitted_policy(
    simulator: Server, organization: Organization, user: User, gateway: str
) -> None:
    answer = member(organization, user).post("/billing/checkout/", {"plan": "PRO", "gateway": gateway})
    page = answer.content.decode()
    led = answer.headers.get("Location") or page.partition('<form method="post" action="')[2].partition('"')[0]
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert origin(led) == origin(simulator.url)
    assert policy["form-action"].split() == ["'self'", origin(led)]


@pytest.mark.parametrize("url", ["", "nowhere", "https://", "//host/", "https://["])
def test_what_names_no_host_has_no_origin(url: str) -> None:
    assert origin(url) == ""
    assert origin("https://a.example.com:8443/b?c") == "https://a.example.com:8443"
