"""The contract, sentence by sentence."""

from __future__ import annotations

import inspect
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from django_tenant_billing import payments, quotas
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import CallbackRejected, QuotaExceeded
from django_tenant_billing.gateways.esewa import EsewaGateway
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.gateways.registry import gateway_aliases, get_gateway
from django_tenant_billing.models import (
    PaymentTransaction,
    PlanLimit,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
    Usage,
)
from django_tenant_billing.testing import set_used, subscribe
from tests.test_payments import pay, start
from tests.testapp.models import Organization

# --- point 1: models -------------------------------------------------------------------------------------------------


def test_free_has_five_limits_and_the_first_prints_invoices_10(catalogue: None) -> None:
    assert PlanLimit.objects.filter(plan="FREE").count() == 5
    assert repr(PlanLimit.objects.filter(plan="FREE").first()) == "<PlanLimit: FREE - invoices: 10>"


def test_a_limit_is_found_by_plan_and_feature(catalogue: None) -> None:
    assert PlanLimit.objects.get(plan="BASIC", feature="customers").limit_value == 50
    assert PlanLimit.objects.get(plan="PRO", feature="customers").limit_value is None


def test_all_relations_to_the_tenant_are_named_organization() -> None:
    for model in (Subscription, Usage, PaymentTransaction):
        assert model._meta.get_field("organization").remote_field.model is Organization


def test_usage_says_whether_an_invoice_can_be_created(organization: Organization) -> None:
    usage = Usage.objects.get()
    assert usage.can_create_invoice() == (True, None)
    assert usage.can_add_customer() == (True, None)
    assert usage.can_add_team_member() == (True, None)
    for feature, limit in (("invoices", 10), ("customers", 5), ("team_members", 1)):
        set_used(organization, feature, limit)
    assert usage.can_create_invoice() == (False, "Reached invoice limit (10). Upgrade your plan.")
    assert usage.can_add_customer() == (False, "Reached customer limit (5). Upgrade your plan.")
    assert usage.can_add_team_member() == (False, "Reached team member limit (1). Upgrade your plan.")


def test_usage_attributes_read_the_counters(organization: Organization) -> None:
    for number, feature in enumerate(("invoices", "customers", "team_members", "api_calls")):
        set_used(organization, feature, number + 1)
    usage = Usage.objects.get()
    read = (usage.invoices_created, usage.customers_created, usage.team_members_added, usage.api_calls_used)
    assert read == (1, 2, 3, 4)


def test_the_plan_of_each_usage_prints_its_code_without_a_further_query(
    organization: Organization, django_assert_num_queries: Any
) -> None:
    subscribe(Organization.objects.create(name="Second"), "PRO")
    with django_assert_num_queries(1):
        printed = [
            f"{usage.organization.subscription.plan}"
            for usage in Usage.objects.select_related("organization__subscription")
        ]
    assert sorted(printed) == ["FREE", "PRO"]


def test_activate_plan_is_safe_to_call_any_number_of_times(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    end = Subscription.objects.get().period_end
    for _time in range(3):
        payment.activate_plan()
    assert Subscription.objects.get().period_end == end
    named = (payment.reference, payment.status, payment.gateway, str(payment.plan), payment.amount_minor)
    assert named[1:] == ("paid", "khalti", "PRO", 390000)


# --- point 2: init_plan_limits ---------------------------------------------------------------------------------------


def test_init_plan_limits_prints_the_lines_of_the_guide_and_is_idempotent(db: None) -> None:
    out = StringIO()
    call_command("init_plan_limits", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["✓ Created: FREE - invoices: 10", "✓ Created: FREE - customers: 5"]
    assert "✓ Created: BASIC - invoices: 1000" in lines
    assert lines[-1] == "✓ Successfully initialized 15 new plan limits"
    again = StringIO()
    call_command("init_plan_limits", stdout=again)
    assert again.getvalue().splitlines() == ["✓ Successfully initialized 0 new plan limits"]


def test_the_catalogue_is_three_plans_by_five_features(catalogue: None) -> None:
    table = {
        plan: [limit.limit_value for limit in PlanLimit.objects.filter(plan=plan)] for plan in ("FREE", "BASIC", "PRO")
    }
    assert table == {
        "FREE": [10, 5, 1, 100, 0],
        "BASIC": [1000, 50, 3, 10000, 1],
        "PRO": [3000, None, None, None, 1],
    }


# --- point 3: settings and import paths ------------------------------------------------------------------------------


def test_the_flat_settings_of_the_guide_turn_khalti_on(settings: Any) -> None:
    assert gateway_aliases() == []
    settings.KHALTI_PUBLIC_KEY = "public"
    settings.KHALTI_SECRET_KEY = "secret"
    assert gateway_aliases() == ["khalti"]
    gateway = get_gateway("khalti")
    assert isinstance(gateway, KhaltiGateway)
    assert gateway.public_key == "public"


def test_the_flat_settings_of_the_guide_turn_esewa_on(settings: Any) -> None:
    settings.ESEWA_MERCHANT_CODE = "EPAYTEST"
    assert gateway_aliases() == []
    settings.ESEWA_MERCHANT_SECRET = "secret"
    assert gateway_aliases() == ["esewa"]
    gateway = get_gateway("esewa")
    assert isinstance(gateway, EsewaGateway)
    assert gateway.merchant_code == "EPAYTEST"
    parameters = ["self", "merchant_code", "merchant_secret", "form_url", "status_url"]
    assert list(inspect.signature(EsewaGateway.__init__).parameters) == parameters


@pytest.mark.parametrize(
    "path",
    [
        "quotas.check", "quotas.consume", "quotas.consuming", "quotas.release", "decorators.quota_required",
        "mixins.QuotaRequiredMixin", "exceptions.QuotaExceeded", "payments.start", "payments.settle",
        "gateways.base.Gateway", "gateways.khalti.KhaltiGateway", "gateways.esewa.EsewaGateway",
        "middleware.QuotaExceededMiddleware", "testing.subscribe", "models.Plan", "models.PlanLimit",
        "models.Subscription", "models.Usage", "models.PaymentTransaction",
    ],
)  # fmt: skip
def test_the_import_paths_of_the_contract_exist(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert hasattr(import_module(f"django_tenant_billing.{module}"), name)


def test_errors_carry_their_http_meaning() -> None:
    assert issubclass(QuotaExceeded, PermissionDenied)
    assert issubclass(CallbackRejected, SuspiciousOperation)


# --- point 4: URLs ---------------------------------------------------------------------------------------------------


def test_the_urls_under_the_include_are_those_of_the_contract() -> None:
    assert reverse("tenant_billing:usage") == "/billing/usage/"
    assert reverse("tenant_billing:gateway_init", args=["khalti"]) == "/billing/khalti/init/"
    assert reverse("tenant_billing:gateway_verify", args=["khalti"]) == "/billing/khalti/verify/"
    assert reverse("tenant_billing:gateway_callback", args=["khalti"]) == "/billing/khalti/callback/"
    assert reverse("tenant_billing:gateway_callback", args=["khalti", "TB-1"]) == "/billing/khalti/callback/TB-1/"
    assert reverse("tenant_billing:gateway_init", args=["esewa"]) == "/billing/esewa/init/"
    for name in ("success", "failure"):
        assert reverse(f"tenant_billing:gateway_{name}", args=["esewa"]) == f"/billing/esewa/{name}/"
        assert reverse(f"tenant_billing:gateway_{name}", args=["esewa", "TB-1"]) == f"/billing/esewa/{name}/TB-1/"
    assert reverse("tenant_billing:plans") == "/billing/plans/"
    assert reverse("tenant_billing:payments") == "/billing/payments/"


# --- point 5: the admin ----------------------------------------------------------------------------------------------


@pytest.fixture
def staff(organization: Organization) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


def test_a_limit_edited_in_the_admin_counts_from_the_very_next_request(
    staff: Client, organization: Organization
) -> None:
    set_used(organization, "invoices", 10)
    assert not quotas.check(organization, "invoices")
    limit = PlanLimit.objects.get(plan="FREE", feature="invoices")
    form = {"plan": "FREE", "feature": "invoices", "limit_value": "20", "grace_days": "0"}
    assert staff.post(f"/admin/tenant_billing/planlimit/{limit.pk}/change/", form).status_code == 302
    assert quotas.check(organization, "invoices").limit == 20


def test_the_admin_shows_the_usage_of_every_organization_in_a_constant_number_of_queries(
    staff: Client, organization: Organization, django_assert_max_num_queries: Any
) -> None:
    set_used(organization, "invoices", 7)
    for number in range(20):
        Organization.objects.create(name=f"Org {number}")
    Subscription.objects.filter(organization__name="Org 3").delete()
    with django_assert_max_num_queries(9):
        page = staff.get("/admin/tenant_billing/usage/").content.decode()
    assert "invoices 7" in page
    assert "Org 19" in page
    shown = staff.get(f"/admin/tenant_billing/usage/{Usage.objects.get(organization=organization).pk}/change/")
    assert "invoices: 7 / 10" in shown.content.decode()


def test_payment_transactions_are_filtered_by_status_and_gateway_and_searched_by_reference(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    unpaid, paid = start(organization, "BASIC"), start(organization, "PRO")
    pay(simulator, paid)
    payments.settle(paid)
    page = staff.get("/admin/tenant_billing/paymenttransaction/?status__exact=paid&gateway=khalti").content.decode()
    assert paid.reference in page
    assert unpaid.reference not in page
    page = staff.get(f"/admin/tenant_billing/paymenttransaction/?q={unpaid.reference}").content.decode()
    assert unpaid.reference in page
    assert paid.reference not in page
    page = staff.get(f"/admin/tenant_billing/paymenttransaction/{paid.pk}/change/").content.decode()
    assert "Completed" in page


def test_subscriptions_are_in_the_admin_and_can_be_moved_by_staff(staff: Client, organization: Organization) -> None:
    subscription = Subscription.objects.get()
    assert "Himal Traders" in staff.get("/admin/tenant_billing/subscription/").content.decode()
    url = f"/admin/tenant_billing/subscription/{subscription.pk}/change/"
    form = {"act": "set_by_staff", "plan": "PRO", "period_end_0": "", "period_end_1": "", "reason": "an old friend"}
    assert staff.post(url, form).status_code == 302
    event = SubscriptionEvent.objects.get()
    assert (event.change, event.reason) == ("comped", "an old friend")
    Subscription.objects.update(credit_minor=123_456_750, credit_currency="NPR")
    assert "NPR 12,34,567.50" in staff.get(url).content.decode()
    assert event.actor in staff.get("/admin/tenant_billing/subscriptionevent/").content.decode()
    assert quotas.check(organization, "customers").limit is None


@pytest.mark.parametrize("model", ["paymenttransaction", "paymentevent", "activation", "usage"])
def test_money_and_audit_rows_are_read_only(
    staff: Client, organization: Organization, simulator: Server, model: str
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payments.settle(payment)
    assert staff.get(f"/admin/tenant_billing/{model}/").status_code == 200
    assert staff.get(f"/admin/tenant_billing/{model}/add/").status_code == 403
    rows = apps.get_model("tenant_billing", model)._default_manager
    key = rows.first().pk
    before = list(rows.values())
    assert staff.get(f"/admin/tenant_billing/{model}/{key}/change/").status_code == 200
    assert staff.post(f"/admin/tenant_billing/{model}/{key}/change/", {"status": "paid"}).status_code == 403
    assert staff.post(f"/admin/tenant_billing/{model}/{key}/delete/", {"post": "yes"}).status_code == 403
    assert list(rows.values()) == before


def test_plans_features_and_limits_can_be_edited_but_not_what_a_feature_is(staff: Client, catalogue: None) -> None:
    for model in ("plan", "feature", "planlimit"):
        assert staff.get(f"/admin/tenant_billing/{model}/").status_code == 200
        assert staff.get(f"/admin/tenant_billing/{model}/add/").status_code == 200
    assert staff.get("/admin/tenant_billing/plan/PRO/change/").status_code == 200
    page = staff.get("/admin/tenant_billing/feature/invoices/change/").content.decode()
    assert 'name="singular"' in page
    assert 'name="kind"' not in page


def test_prices_are_typed_in_rupees_and_an_end_that_is_past_is_explained(
    staff: Client, organization: Organization
) -> None:
    price = PlanPrice.objects.get(plan="PRO")
    form = {
        "code": "PRO", "name": "Pro", "position": "2", "is_active": "on", "grace_days": "3", "trial_days": "0",
        "prices-TOTAL_FORMS": "2", "prices-INITIAL_FORMS": "1", "prices-0-id": str(price.pk), "prices-0-plan": "PRO",
        "prices-0-amount": "4200.50", "prices-0-currency": "NPR", "prices-0-interval": "month",
        "prices-0-interval_count": "1", "prices-0-is_default": "True",
        "prices-1-plan": "PRO", "prices-1-amount": "-1", "prices-1-currency": "NPR", "prices-1-interval": "year",
        "prices-1-interval_count": "1", "prices-1-is_default": "",
        "limits-TOTAL_FORMS": "0", "limits-INITIAL_FORMS": "0",
    }  # fmt: skip
    assert 'value="3900"' in staff.get("/admin/tenant_billing/plan/PRO/change/").content.decode()
    assert staff.post("/admin/tenant_billing/plan/PRO/change/", form).status_code == 200
    form["prices-1-amount"] = "42000"
    assert staff.post("/admin/tenant_billing/plan/PRO/change/", form).status_code == 302
    prices = PlanPrice.objects.filter(plan="PRO").values_list("interval", "amount_minor")
    assert dict(prices) == {"month": 420050, "year": 4200000}
    subscription = Subscription.objects.get()
    url = f"/admin/tenant_billing/subscription/{subscription.pk}/change/"
    given = {"act": "set_by_staff", "plan": "PRO", "period_end_0": "2001-01-01", "period_end_1": "00:00:00"}
    page = staff.post(url, given)
    assert "Name a moment that is still to come." in page.content.decode()


def test_subscription_and_usage_go_with_their_organization_and_not_alone(
    staff: Client, organization: Organization
) -> None:
    for model in ("subscription", "usage"):
        assert staff.get(f"/admin/tenant_billing/{model}/add/").status_code == 403
        key = apps.get_model("tenant_billing", model).objects.get().pk
        assert staff.post(f"/admin/tenant_billing/{model}/{key}/delete/", {"post": "yes"}).status_code == 403
    answer = staff.post(f"/admin/testapp/organization/{organization.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not Organization.objects.exists()
    assert not Subscription.objects.exists()
