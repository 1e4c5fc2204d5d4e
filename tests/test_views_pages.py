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
from django_tenant_billing.models import Feature, PaymentTransaction, Plan, PlanLimit, PlanPrice, Subscription
from django_tenant_billing.testing import set_used, subscribe
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.quota_tools import at
from tests.sales import START, on, pay
from tests.standings import attempt
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
    for shown in ("Himal Traders", "<strong>Free</strong>", "4 of 10", "0 of 5", "not included", 'value="4"'):
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
    assert "Your Pro plan ended: " in page
    assert "<strong>Free</strong>" in page


def test_the_plans_page_compares_and_marks_the_current_plan(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    subscribe(organization, "BASIC")
    page = text(browser.get("/billing/plans/"))
    for shown in (
        "NPR 1,000", "NPR 3,900", "Choose Pro", "Unlimited customers", "1 team member", "No reports",
        "10,000 API calls",
        "<td>10,000</td>", "<td>Unlimited</td>", '<td class="tb-without">Not included</td>', "<td>Included</td>",
        "Basic <small>your plan</small>", "each billing month",
    ):  # fmt: skip
        assert shown in page
    assert page.count("Your plan") == 1
    # It was given without an end, so that there is nothing to renew.
    assert "Renew Basic" not in page
    assert "Choose Basic" not in page


def test_the_overview_says_where_the_subscription_stands_and_what_comes_next(
    browser: Client, sold: Organization
) -> None:
    def told(day: datetime) -> str:
        with at(day):
            return text(browser.get("/billing/"))

    pay(sold, "PRO", START)
    assert "Paid until: Feb. 28, 2026, 11:45 a.m." in told(on(10, 2))
    assert "It was paid until Feb. 28, 2026. Renew it before it stops: March 3, 2026, 11:45 a.m." in told(on(1, 3))
    assert "Your Pro plan ended: March 3, 2026" in told(on(4, 3))
    with at(on(10, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
    assert "Then the Basic plan." in told(on(10, 2))
    pay(sold, "BASIC", on(10, 2))
    assert "Then the Basic plan, paid until March 31, 2026." in told(on(11, 2))
    # Nothing has to run for the page to know.
    assert "You are on the <strong>Basic</strong> plan. Paid until: March 31, 2026, 11:45 a.m." in told(on(1, 3))
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
    assert "Choose Basic" in page
    assert "Choose Pro" not in page


def test_the_pages_cost_a_constant_number_of_queries(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    def billing_queries(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(path).status_code == 200
        return len([query for query in queries if "tenant_billing" in query["sql"]])

    subscribe(organization, "BASIC", until=clock.now() + timedelta(days=3))
    payment = start(organization)
    pages = (*PAGES, "/billing/cancel/", result_url(payment))
    before = [billing_queries(path) for path in pages]
    assert before == [3, 4, 2, 9, 5, 1]
    for number in range(5):
        PaymentTransaction.objects.update(created_at=clock.now() - timedelta(days=1))
        start(organization, "BASIC")
        Organization.objects.create(name=f"Other {number}")
        plan = Plan.objects.create(code=f"PLAN-{number}", name=f"Plan {number}", position=9)
        PlanPrice.objects.create(plan=plan, amount_minor=100, is_default=True)
        feature = Feature.objects.create(slug=f"more_{number}", singular="more", plural="more", kind="happens")
        for limited in Plan.objects.all():
            PlanLimit.objects.create(plan=limited, feature=feature, limit_value=5)
    assert [billing_queries(path) for path in pages] == before


def test_what_is_near_its_limit_is_said_first_and_in_words(browser: Client, organization: Organization) -> None:
    set_used(organization, "invoices", 7)
    assert "tb-notice" not in text(browser.get("/billing/"))
    set_used(organization, "invoices", 8)
    page = text(browser.get("/billing/"))
    assert "Close to a limit" in page
    assert "Invoices: 2 of 10 are left. The count starts again on " in page
    set_used(organization, "customers", 5)
    set_used(organization, "invoices", 9)
    page = text(browser.get("/billing/"))
    assert "A limit is reached" in page
    assert page.index("Customers: all 5 are used.") < page.index("Invoices: 1 of 10 is left.")
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(grace_days=3)
    set_used(organization, "invoices", 10)
    assert "Invoices: all 10 are used. You may go on until " in text(browser.get("/billing/"))


def test_the_page_that_is_open_is_marked_in_the_navigation(browser: Client, organization: Organization) -> None:
    for path, name in (("", "Overview"), ("plans/", "Plans"), ("payments/", "Payments")):
        page = text(browser.get(f"/billing/{path}"))
        assert page.count("aria-current=") == 1
        assert f' aria-current="page">{name}</a>' in page


@pytest.mark.breaks_the_log
def test_payments_are_paged_by_25(browser: Client, organization: Organization) -> None:
    for _number in range(26):
        attempt(organization, "paid")
    first, second = (text(browser.get(f"/billing/payments/?page={number}")) for number in (1, 2))
    assert (first.count("TB-"), second.count("TB-")) == (2 * 25, 2)
    assert "Page 1 of 2" in first
    assert ('rel="next" href="?page=2"' in first, 'rel="prev"' in first) == (True, False)
    assert ('rel="next"' in second, 'rel="prev" href="?page=1"' in second) == (False, True)
    # No number that anybody types is an error.
    assert "Page 1 of 2" in text(browser.get("/billing/payments/?page=none"))


def test_canceling_says_what_is_lost_and_when_before_it_is_done(browser: Client, organization: Organization) -> None:
    subscribe(organization, "PRO", until=clock.now() + timedelta(days=3))
    set_used(organization, "customers", 60)
    assert 'href="/billing/cancel/"' in text(browser.get("/billing/"))
    page = text(browser.get("/billing/cancel/"))
    for shown in (
        "Cancel Pro?", "Everything stays as it is until", "After that the Free plan holds:", "10 invoices",
        "No reports",
        "<li>Customers: 60 of 5</li>", 'action="/billing/change/cancel/"', "you can take it back", "Keep Pro",
    ):  # fmt: skip
        assert shown in page
    assert Subscription.objects.get().canceled_at is None


def test_where_nothing_runs_there_is_nothing_to_cancel(browser: Client, organization: Organization) -> None:
    assert "Cancel " not in text(browser.get("/billing/cancel/"))
    assert "You are on the" in text(browser.get("/billing/cancel/"))


def test_whoever_may_not_pay_is_told_whom_to_ask_and_finds_no_button(
    browser: Client, organization: Organization, simulator: Server, settings: Any
) -> None:
    settings.TENANT_BILLING_AUTHORIZE = lambda _request, _organization, action: action == "view"
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    for path in ("", "plans/", "checkout/?plan=PRO"):
        page = text(browser.get(f"/billing/{path}"))
        assert "Ask whoever manages the billing of Himal Traders." in page
        assert "<form" not in page
        assert "tb-button" not in page
    answer = browser.get("/billing/cancel/")
    assert answer.status_code == 403
    assert "Ask whoever manages the billing of your organization." in text(answer)


def test_choosing_a_plan_sends_the_payer_to_the_gateway(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "khalti"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(simulator.url)
    payment = PaymentTransaction.objects.get()
    page = text(browser.get("/billing/payments/"))
    assert payment.reference in page
    assert "Not finished" in page


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


@pytest.mark.parametrize("path", ["", "plans/", "payments/", "cancel/"])
def test_pages_refuse_in_the_ruled_order(path: str, organization: Organization, user: User) -> None:
    client = Client()
    answer = client.get(f"/billing/{path}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next=/billing/{path}")
    client.force_login(user)
    answer = client.get(f"/billing/{path}")
    assert answer.status_code == 403
    assert "Organization not found" in text(answer)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["", "plans/", "payments/", "checkout/", "cancel/", "change/cancel/"])
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
