"""What a person sees."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, payments, quotas, subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Feature, PaymentTransaction, Plan, PlanPrice, Subscription
from django_tenant_billing.testing import subscribe
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.quota_tools import at
from tests.sales import START, on, pay
from tests.test_payments import fault, start
from tests.testapp.models import Organization

PAGES = ("/billing/", "/billing/plans/", "/billing/payments/", "/billing/checkout/?plan=PRO")


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    return member(organization, user, Accept="text/html")


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_overview_shows_the_plan_and_every_feature(browser: Client, organization: Organization) -> None:
    quotas.consume(organization, "invoices", 4)
    page = text(browser.get("/billing/"))
    for shown in ("Himal Traders", "<strong>FREE</strong>", "4 of 10", "0 of 5", "not included", 'value="4"'):
        assert shown in page


def test_the_overview_of_a_paid_plan_shows_its_end_and_what_has_no_limit(
    browser: Client, organization: Organization
) -> None:
    subscribe(organization, "PRO", until=clock.now() + timedelta(days=3))
    page = text(browser.get("/billing/"))
    assert "Paid until: " in page
    assert "0, no limit" in page
    with clock.moved(timedelta(days=4)):
        page = text(browser.get("/billing/"))
    assert "Your PRO plan ended: " in page
    assert "<strong>FREE</strong>" in page


def test_the_plans_page_compares_and_marks_the_current_plan(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    subscribe(organization, "BASIC")
    page = text(browser.get("/billing/plans/"))
    for shown in ("NPR 1,000", "NPR 3,900", "Choose Pro: month", "Unlimited customers", "1 team member", "No reports"):
        assert shown in page
    assert page.count("Your plan") == 1


def test_the_overview_says_where_the_subscription_stands_and_what_comes_next(
    browser: Client, sold: Organization
) -> None:
    def told(day: datetime) -> str:
        with at(day):
            return text(browser.get("/billing/"))

    pay(sold, "PRO", START)
    assert "Paid until: Feb. 28, 2026, 11:45 a.m." in told(on(10, 2))
    assert "It was paid until Feb. 28, 2026. Renew it before it stops: March 3, 2026, 11:45 a.m." in told(on(1, 3))
    assert "Your PRO plan ended: March 3, 2026" in told(on(4, 3))
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
    assert "Then the BASIC plan." in told(on(10, 2))
    pay(sold, "BASIC", on(10, 2))
    assert "Then the BASIC plan, paid until March 31, 2026." in told(on(11, 2))
    # Nothing has to run for the page to know.
    assert "You are on the <strong>BASIC</strong> plan. Paid until: March 31, 2026, 11:45 a.m." in told(on(1, 3))
    with at(on(11, 2)):
        subscriptions.cancel(sold, actor="user 1")
    assert "It is canceled and ends: March 31, 2026, 11:45 a.m." in told(on(11, 2))
    Subscription.objects.update(
        canceled_at=None, next_plan=None, next_period_end=None, trial_ends_at=on(28, 2), period_end=on(28, 2)
    )
    assert "Your trial ends: Feb. 28, 2026, 11:45 a.m." in told(on(11, 2))


def test_a_plan_without_a_price_is_not_offered_and_one_without_a_gateway_says_so(
    browser: Client, organization: Organization
) -> None:
    assert "Payment is not set up on this site yet." in text(browser.get("/billing/checkout/?plan=PRO"))
    PlanPrice.objects.filter(plan="PRO").delete()
    page = text(browser.get("/billing/plans/"))
    assert "Choose Basic: month" in page
    assert "Choose Pro" not in page


def test_the_pages_cost_a_constant_number_of_queries(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    def billing_queries(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(path)
        return len([query for query in queries if "tenant_billing" in query["sql"]])

    start(organization)
    before = {path: billing_queries(path) for path in PAGES}
    assert max(before.values()) <= 8
    for number in range(5):
        PaymentTransaction.objects.update(created_at=clock.now() - timedelta(days=1))
        start(organization, "BASIC")
        Organization.objects.create(name=f"Other {number}")
    assert {path: billing_queries(path) for path in before} == before


def test_choosing_a_plan_sends_the_payer_to_the_gateway(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "khalti"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(simulator.url)
    payment = PaymentTransaction.objects.get()
    page = text(browser.get("/billing/payments/"))
    assert payment.reference in page
    assert "initiated" in page


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"plan": "PRO"}, 400, "Choose how you want to pay."),
        ({"plan": "PRO", "gateway": "paypal"}, 400, "Choose how you want to pay."),
        ({"plan": "GOLD", "gateway": "khalti"}, 400, "there is no such plan"),
        ({"plan": "FREE", "gateway": "khalti"}, 400, "it is free"),
        ({"plan": "PRO\x00", "gateway": "khalti"}, 400, "there is no such plan"),
        ({"plan": "PRO", "gateway": "khalti\x00"}, 400, "Choose how you want to pay."),
    ],
)
def test_a_bad_choice_is_explained_and_stores_nothing(
    browser: Client, organization: Organization, simulator: Server, form: dict[str, str], status: int, said: str
) -> None:
    answer = browser.post("/billing/checkout/", form)
    assert answer.status_code == status
    assert said in text(answer)
    assert not PaymentTransaction.objects.exists()


def test_a_gateway_that_is_down_or_silent_is_explained(
    browser: Client, organization: Organization, simulator: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"plan": "PRO", "gateway": "khalti"}
    fault(simulator, "down", 1)
    answer = browser.post("/billing/checkout/", form)
    assert answer.status_code == 502
    assert "Khalti cannot take this payment now. Nothing was charged." in text(answer)
    monkeypatch.setattr("django_tenant_billing.gateways.http.post_json.__kwdefaults__", {"seconds": 0.3})
    fault(simulator, "silent", 1)
    answer = browser.post("/billing/checkout/", form)
    assert answer.status_code == 504
    assert "Khalti does not answer. Nothing was charged." in text(answer)


def test_a_site_without_its_public_url_is_told_the_setting_in_its_log_and_the_visitor_is_not(
    browser: Client, organization: Organization, simulator: Server, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    del settings.TENANT_BILLING_PUBLIC_BASE_URL
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "khalti"})
    assert answer.status_code == 503
    assert "Billing is not set up on this site yet." in text(answer)
    assert "TENANT_BILLING_PUBLIC_BASE_URL" in caplog.text


def test_a_gateway_that_cannot_be_made_is_not_offered_and_breaks_no_page(
    browser: Client, organization: Organization, simulator: Server, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken = {"BACKEND": settings.TENANT_BILLING_GATEWAYS["khalti"]["BACKEND"], "OPTIONS": {}}
    settings.TENANT_BILLING_GATEWAYS = {**settings.TENANT_BILLING_GATEWAYS, "broken": broken}
    page = text(browser.get("/billing/checkout/?plan=PRO"))
    assert 'value="khalti"' in page
    assert 'value="broken"' not in page
    assert "secret_key" in caplog.text
    assert browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "broken"}).status_code == 400


@pytest.mark.parametrize("path", ["", "plans/"])
def test_pages_without_a_catalogue_say_that_billing_is_not_set_up(
    browser: Client, organization: Organization, path: str
) -> None:
    Subscription.objects.all().delete()
    Feature.objects.all().delete()
    Plan.objects.all().delete()
    answer = browser.get(f"/billing/{path}")
    assert answer.status_code == 503
    assert "Billing is not set up on this site yet." in text(answer)


def test_an_organization_sees_its_own_payments_only(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    assert "There are no payments yet." in text(browser.get("/billing/payments/"))
    start(Organization.objects.create(name="Other"))
    assert "There are no payments yet." in text(browser.get("/billing/payments/"))


@pytest.mark.breaks_the_log
@pytest.mark.parametrize("status", ["refunded", "partially_refunded", "refund_pending"])
def test_the_result_of_a_refunded_payment_says_so(
    browser: Client, organization: Organization, simulator: Server, status: str
) -> None:
    payment = start(organization)
    PaymentTransaction.objects.filter(pk=payment.pk).update(status=status, paid_at=clock.now())
    assert status.replace("_", " ").capitalize() in text(browser.get(result_url(payment)))


@pytest.mark.parametrize("path", ["", "plans/", "payments/"])
def test_pages_refuse_in_the_ruled_order(path: str, organization: Organization, user: User) -> None:
    client = Client()
    answer = client.get(f"/billing/{path}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next=/billing/{path}")
    client.force_login(user)
    answer = client.get(f"/billing/{path}")
    assert answer.status_code == 403
    assert "Organization not found" in text(answer)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["", "plans/", "payments/", "checkout/", "change/cancel/"])
def test_pages_take_no_other_methods(browser: Client, path: str, method: str) -> None:
    assert browser.generic(method, f"/billing/{path}").status_code == 405


def test_paying_needs_a_csrf_token(organization: Organization, user: User, simulator: Server) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"X-Organization": str(organization.pk)})
    strict.force_login(user)
    form = {"plan": "PRO", "gateway": "khalti"}
    assert strict.post("/billing/checkout/", form).status_code == 403
    strict.get("/billing/checkout/?plan=PRO")
    form["csrfmiddlewaretoken"] = strict.cookies["csrftoken"].value
    assert strict.post("/billing/checkout/", form).status_code == 303


def test_pages_have_no_script_and_no_inline_style(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    payments.start(organization, "PRO", "khalti", base_url="http://testserver")
    for path in PAGES:
        page = text(browser.get(path))
        assert "billing.css" in page
        for forbidden in ("<script", "style=", "onclick", "javascript:"):
            assert forbidden not in page


def test_without_our_urls_a_refusal_has_no_link(organization: Organization, user: User, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.testapp.urls_without_billing"
    client = Client(headers={"X-Organization": str(organization.pk)})
    client.force_login(user)
    quotas.consume(organization, "invoices", 10)
    answer = client.post("/invoices/new/")
    assert answer.status_code == 403
    assert "See plans" not in text(answer)
    json = client.post("/invoices/new/", headers={"Accept": "application/json"}).json()
    assert json["upgrade_url"] is None
