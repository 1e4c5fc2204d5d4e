"""What shows itself to whoever prints it: no secret, and of payers no more than the last digits."""

from __future__ import annotations

import pprint
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from django_tenant_billing.conf import conf
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.gateways.esewa import EsewaGateway
from django_tenant_billing.gateways.http import HeaderAuth, Secret
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import PaymentEvent
from django_tenant_billing.payments.door import order_of
from tests.members import member
from tests.servers import CANARY
from tests.test_payments import pay, start
from tests.test_views_callbacks import come_back
from tests.testapp.models import Organization


def test_l2_nothing_that_holds_a_secret_shows_it(simulator: Server, organization: Organization, settings: Any) -> None:
    settings.KHALTI_SECRET_KEY = settings.ESEWA_MERCHANT_SECRET = CANARY
    payment = start(organization)
    esewa = EsewaGateway(merchant_code="code", merchant_secret=CANARY, form_url="http://127.0.0.1/form")
    khalti = KhaltiGateway(secret_key=CANARY)
    holders: list[Any] = [conf, Secret(CANARY), HeaderAuth("Key", Secret(CANARY)), payment, order_of(payment), settings]
    for holder in [*holders, khalti, esewa, vars(khalti), vars(esewa)]:
        for shown in (repr(holder), str(holder), pprint.pformat(holder)):
            assert CANARY not in shown
            assert CANARY[-4:] not in shown
    assert repr(Secret(CANARY)) == "Secret(****)"


def test_l2_the_settings_that_djangos_reports_show_have_no_secret(settings: Any) -> None:
    settings.TENANT_BILLING_GATEWAYS = {
        "khalti": {"BACKEND": "x", "OPTIONS": {"secret_key": CANARY}},
        "esewa": {"BACKEND": "x", "OPTIONS": {"merchant_code": "c", "merchant_secret": CANARY}},
    }
    settings.KHALTI_SECRET_KEY = settings.ESEWA_MERCHANT_SECRET = CANARY
    shown = SafeExceptionReporterFilter().get_safe_settings()
    assert CANARY not in repr(shown)
    assert shown["TENANT_BILLING_GATEWAYS"]["khalti"]["BACKEND"] == "x"
    settings.DEBUG = True
    report = ExceptionReporter(RequestFactory().get("/"), ValueError, ValueError("x"), None)
    assert CANARY not in report.get_traceback_html() + report.get_traceback_text()


PHONE = "9800000904"


@pytest.mark.parametrize("number", [PHONE, f"+977{PHONE}"])
def test_l3_the_payers_number_is_masked_in_the_log_and_gone_from_the_address(
    simulator: Server, organization: Organization, user: User, number: str
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    answer = come_back(payment, mobile=number, total_amount="390000", purchase_order_name="PRO plan")
    assert answer.status_code == 303
    assert "?" not in answer.headers["Location"]
    page = Client().get(answer.headers["Location"])
    for told in (answer.headers["Location"], page.content.decode(), repr(list(PaymentEvent.objects.values()))):
        assert PHONE not in told
        assert user.username not in told.replace("user 1: samir", "")
    assert PaymentEvent.objects.get(kind="claim").data["mobile"] == "*" * (len(number) - 3) + "904"


@pytest.mark.parametrize("policy", [None, "unsafe-url", "same-origin"])
def test_l3_pages_whose_address_lets_somebody_in_tell_it_to_no_other_site_whatever_the_settings(
    simulator: Server, organization: Organization, user: User, settings: Any, policy: str | None
) -> None:
    settings.SECURE_REFERRER_POLICY = policy
    payment = start(organization)
    pay(simulator, payment)
    back = come_back(payment)
    browser = member(organization, user)
    form = browser.post("/billing/checkout/", {"plan": "BASIC", "gateway": "esewa"})
    failed = Client().get(f"/billing/khalti/failure/{payment.reference}/")
    for answer in (back, Client().get(back.headers["Location"]), form, failed):
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer.headers["Cache-Control"]
    assert browser.get("/billing/plans/").headers.get("Referrer-Policy") == policy
