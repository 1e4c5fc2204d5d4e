"""What a person does: hits the limit, pays at the wallet in each of its ways, and carries on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.models import PaymentTransaction, Subscription
from django_tenant_billing.testing import set_used
from tests.browser.conftest import look
from tests.testapp.models import Customer, Organization

pytestmark = pytest.mark.django_db(transaction=True)


def to_the_wallet(page: Page) -> None:
    page.goto("/billing/checkout/?plan=PRO")
    page.get_by_role("button", name="Pay NPR 3,900 with Khalti").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()


def plan_of(organization: Organization) -> str:
    return Subscription.objects.get(organization=organization).plan_in_force(clock.now())


def test_an_organization_hits_its_limit_pays_and_carries_on(page: Page, organization: Organization) -> None:
    set_used(organization, "customers", 5)
    page.goto("/customers/new/")
    assert page.get_by_role("heading").inner_text() == "Reached customer limit (5). Upgrade your plan."
    look(page, "over-limit")
    page.get_by_role("link", name="See plans").click()
    look(page, "plans")
    page.get_by_role("link", name="Choose Pro").click()
    look(page, "checkout")
    page.get_by_role("button", name="Pay NPR 3,900 with Khalti").click()
    look(page, "simulator-pay")
    page.get_by_role("button", name="Pay", exact=True).click()
    assert page.get_by_role("heading").inner_text() == "Payment received"
    assert "pidx" not in page.url
    assert "mobile" not in page.url
    look(page, "result-paid")
    page.get_by_role("link", name="Continue").click()
    assert "You are on the Pro plan." in page.locator("main").inner_text()
    look(page, "overview")
    page.goto("/customers/new/")
    page.get_by_label("Name").fill("Sita")
    page.get_by_role("button", name="Save").click()
    assert Customer.objects.get().name == "Sita"
    assert quotas.check(organization, "customers").used == 6
    page.goto("/billing/payments/")
    look(page, "payments")


def by_keyboard(page: Page, name: str) -> None:
    """Tab to what is called so, and press it."""
    reached = ""
    while reached != name:
        page.keyboard.press("Tab")
        reached = page.evaluate("document.activeElement === document.body ? null : document.activeElement.innerText")
        assert reached is not None, f"The keyboard does not come to {name!r}."
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_an_organization_hits_its_limit_pays_and_carries_on_by_keyboard_alone(
    page: Page, organization: Organization
) -> None:
    set_used(organization, "customers", 5)
    page.goto("/customers/new/")
    for name in ("See plans", "Choose Pro", "Pay NPR 3,900 with Khalti", "Pay", "Continue"):
        by_keyboard(page, name)
    assert plan_of(organization) == "PRO"
    page.goto("/customers/new/")
    page.keyboard.press("Tab")
    page.keyboard.type("Sita")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert Customer.objects.get().name == "Sita"


def to_esewa(page: Page) -> None:
    page.goto("/billing/checkout/?plan=PRO")
    page.get_by_role("button", name="Pay NPR 3,900 with eSewa").click()
    page.get_by_role("button", name="Continue to eSewa").wait_for()


def test_a_payer_goes_to_esewa_by_a_button_and_comes_back_on_the_plan(page: Page, organization: Organization) -> None:
    to_esewa(page)
    look(page, "handoff")
    page.get_by_role("button", name="Continue to eSewa").click()
    look(page, "simulator-esewa")
    page.get_by_role("button", name="Pay", exact=True).click()
    assert page.get_by_role("heading").inner_text() == "Payment received"
    assert "data=" not in page.url
    assert plan_of(organization) == "PRO"


def test_a_payer_who_cancels_at_esewa_sees_it_among_the_payments(page: Page, organization: Organization) -> None:
    to_esewa(page)
    page.get_by_role("button", name="Continue to eSewa").click()
    page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("heading").inner_text() == "Payments"
    assert "canceled" in page.locator("main").inner_text()
    assert plan_of(organization) == "FREE"


def test_a_payer_who_cancels_is_told_that_nothing_was_paid(page: Page, organization: Organization) -> None:
    to_the_wallet(page)
    page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("heading").inner_text() == "Not paid"
    look(page, "result-not-paid")
    assert plan_of(organization) == "FREE"


def test_a_payment_left_pending_is_shown_as_being_confirmed(page: Page, organization: Organization) -> None:
    to_the_wallet(page)
    page.get_by_role("button", name="Leave pending").click()
    assert page.get_by_role("heading").inner_text() == "We are confirming your payment"
    look(page, "result-confirming")
    assert PaymentTransaction.objects.get().status == "pending"


def test_a_tab_closed_after_paying_is_found_by_the_sweep(page: Page, organization: Organization) -> None:
    to_the_wallet(page)
    page.get_by_role("button", name="Close tab").click()
    look(page, "simulator-tab-closed")
    assert plan_of(organization) == "FREE"
    with clock.moved(timedelta(minutes=2)):
        assert payments.reconcile().paid == 1
    assert plan_of(organization) == "PRO"


def test_the_refusals_have_pages(page: Page, organization: Organization) -> None:
    page.context.set_extra_http_headers({})
    page.goto("/billing/")
    assert page.get_by_role("heading").inner_text() == "Organization not found"
    look(page, "refused")
    page.context.clear_cookies()
    page.goto("/billing/")
    assert "/accounts/login/" in page.url
