"""The JSON of the contract."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import InsideTransaction
from django_tenant_billing.models import Feature, PaymentTransaction, PlanPrice, Subscription
from django_tenant_billing.states import PaymentState
from django_tenant_billing.testing import subscribe
from django_tenant_billing.views import api, endpoints
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.test_payments import fault, pay, start, tamper
from tests.testapp.models import Organization


@pytest.fixture
def client(organization: Organization, user: User) -> Client:
    """Logged in, of one organization; enforces CSRF as a real site does."""
    return member(organization, user)


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(f"/billing/{path}", data, content_type="application/json", headers=headers)


# --- usage -----------------------------------------------------------------------------------------------------------


def test_usage_answers_what_the_contract_lists(client: Client, organization: Organization) -> None:
    quotas.consume(organization, "invoices", 4)
    body = client.get("/billing/usage/").json()
    assert set(body) == {
        "organization", "plan", "invoices_created", "customers_created", "team_members_added", "api_calls_used",
        "updated_at", "features",
    }  # fmt: skip
    assert (body["organization"], body["plan"], body["invoices_created"]) == ("Himal Traders", "FREE", 4)
    resets_at = body["features"]["invoices"].pop("resets_at")
    assert resets_at is not None
    assert body["features"]["invoices"].pop("period_start") < resets_at
    assert body["features"]["invoices"] == {
        "used": 4, "held": 0, "limit": 10, "remaining": 6, "over": 0, "percent": 40, "allowed": True,
        "reason": "within_limit", "limit_source": "plan", "limit_until": None, "grace_ends_at": None,
        "retry_at": None, "unlocks": [],
    }  # fmt: skip
    assert body["features"]["reports"]["allowed"] is False
    assert body["features"]["customers"]["resets_at"] is None


def test_usage_of_an_untouched_organization_is_all_zero(client: Client) -> None:
    body = client.get("/billing/usage/").json()
    assert body["invoices_created"] == body["customers_created"] == body["api_calls_used"] == 0
    assert body["updated_at"]


def test_usage_of_a_site_with_other_features_still_has_the_guides_names(
    client: Client, organization: Organization
) -> None:
    Feature.objects.filter(pk="invoices").delete()
    assert client.get("/billing/usage/").json()["invoices_created"] == 0


def test_usage_shows_the_plan_in_force_and_costs_a_constant_number_of_queries(
    client: Client, organization: Organization
) -> None:
    subscribe(organization, "PRO")
    client.get("/billing/usage/")
    with CaptureQueriesContext(connection) as queries:
        body = client.get("/billing/usage/").json()
    assert body["plan"] == "PRO"
    assert len([query for query in queries if "tenant_billing" in query["sql"]]) == 4


def test_usage_names_the_plan_in_force_also_where_its_first_feature_is_not_kept_in_grace(
    client: Client, organization: Organization
) -> None:
    Feature.objects.filter(pk="invoices").update(kept_in_grace=False)
    subscribe(organization, "PRO", until=clock.now() - timedelta(hours=1))
    Subscription.objects.update(grace_ends_at=clock.now() + timedelta(days=3))
    body = client.get("/billing/usage/").json()
    assert (body["plan"], body["features"]["invoices"]["limit"], body["features"]["customers"]["limit"]) == (
        "PRO", 10, None,
    )  # fmt: skip


def test_usage_without_a_catalogue_says_what_to_run(client: Client, organization: Organization) -> None:
    Feature.objects.all().delete()
    answer = client.get("/billing/usage/")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")
    assert "init_plan_limits" in answer.json()["error"]


# --- refusals, in the ruled order ------------------------------------------------------------------------------------

ROUTES = [("GET", "usage/"), ("POST", "khalti/init/"), ("POST", "khalti/verify/")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_json_refusals_come_in_the_ruled_order(
    method: str, path: str, organization: Organization, user: User, simulator: Server, settings: Any
) -> None:
    client = Client()
    answer = client.generic(method, f"/billing/{path}", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    client.force_login(user)
    answer = client.generic(method, f"/billing/{path}")
    assert (answer.status_code, answer.json()) == (
        403, {"error": "Organization not found", "code": "organization_not_found"},
    )  # fmt: skip
    settings.TENANT_BILLING_AUTHORIZE = lambda request, organization, action: False
    mine = {"X-Organization": str(organization.pk)}
    answer = client.generic(method, f"/billing/{path}", headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    del settings.TENANT_BILLING_AUTHORIZE
    answer = client.generic("DELETE", f"/billing/{path}", headers=mine)
    assert (answer.status_code, answer.headers["Allow"]) == (405, {"GET": "GET, HEAD"}.get(method, method))
    assert answer.json()["code"] == "method_not_allowed"


def test_head_is_answered_like_get(client: Client) -> None:
    assert client.head("/billing/usage/").status_code == 200


def test_writing_without_a_csrf_token_is_refused_unless_a_bearer_token_came(
    organization: Organization, user: User, simulator: Server
) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"X-Organization": str(organization.pk)})
    strict.force_login(user)
    answer = post(strict, "khalti/init/", {"plan": "PRO"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert not PaymentTransaction.objects.exists()
    assert post(strict, "khalti/init/", {"plan": "PRO"}, Authorization="Basic abc").status_code == 403
    assert post(strict, "khalti/init/", {"plan": "PRO"}, Authorization="Bearer token").status_code == 200
    strict.get("/billing/checkout/?plan=PRO")
    token = strict.cookies["csrftoken"].value
    assert post(strict, "khalti/init/", {"plan": "PRO"}, **{"X-CSRFToken": token}).status_code == 200


# --- init ------------------------------------------------------------------------------------------------------------


def test_init_answers_what_the_contract_lists(client: Client, simulator: Server) -> None:
    body = post(client, "khalti/init/", {"plan": "PRO"}).json()
    payment = PaymentTransaction.objects.get()
    assert {name: body[name] for name in ("payment_id", "reference", "amount", "amount_minor", "currency", "plan")} == {
        "payment_id": payment.reference,
        "reference": payment.reference,
        "amount": 3900,
        "amount_minor": 390000,
        "currency": "NPR",
        "plan": "PRO",
    }
    assert body["payment_url"].startswith(simulator.url)
    assert payment.actor.endswith(": samir")


def test_init_reads_a_form_too(client: Client, simulator: Server) -> None:
    assert client.post("/billing/khalti/init/", {"plan": "BASIC"}).json()["amount"] == 1000


def test_the_client_chooses_the_plan_and_nothing_else(client: Client, simulator: Server) -> None:
    post(client, "khalti/init/", {"plan": "PRO", "amount": 1, "amount_minor": 1, "currency": "USD", "price": 0})
    assert PaymentTransaction.objects.get().amount_minor == 390000


@pytest.mark.parametrize(
    "body",
    [
        {"plan": "FREE"}, {"plan": "GOLD"}, {"plan": "pro"}, {}, {"plan": None}, {"plan": ["PRO"]}, {"plan": ""},
        {"plan": "P" * 101}, {"plan": "PRO\x00"}, [], "PRO", "{", "null", "[" * 6000, b"\xff", "9" * 5000,
    ],
)  # fmt: skip
def test_a_bad_body_is_a_400_and_stores_nothing(client: Client, simulator: Server, body: Any) -> None:
    answer = post(client, "khalti/init/", body)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("bad_request", "not_for_sale")
    assert not PaymentTransaction.objects.exists()


@pytest.mark.parametrize("path", ["paypal/init/", "paypal/verify/"])
def test_an_unknown_gateway_is_a_404(client: Client, simulator: Server, path: str) -> None:
    answer = post(client, path, {"plan": "PRO"})
    assert (answer.status_code, answer.json()["code"]) == (404, "gateway_not_found")


def test_a_gateway_that_is_down_or_silent_or_refuses_is_told_apart_and_charges_nothing(
    client: Client, simulator: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(simulator, "down", 1)
    answer = post(client, "khalti/init/", {"plan": "PRO"})
    assert (answer.status_code, answer.json()["code"]) == (502, "gateway_unavailable")
    monkeypatch.setattr("django_tenant_billing.gateways.http.post_json.__kwdefaults__", {"seconds": 0.3})
    fault(simulator, "silent", 1)
    answer = post(client, "khalti/init/", {"plan": "PRO"})
    assert (answer.status_code, answer.json()["code"]) == (504, "gateway_timeout")
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=100)
    assert post(client, "khalti/init/", {"plan": "PRO"}).status_code == 502
    assert set(PaymentTransaction.objects.values_list("status", flat=True)) == {"failed"}


def test_without_a_public_url_init_names_the_setting(client: Client, simulator: Server, settings: Any) -> None:
    del settings.TENANT_BILLING_PUBLIC_BASE_URL
    answer = post(client, "khalti/init/", {"plan": "PRO"})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")
    assert "TENANT_BILLING_PUBLIC_BASE_URL" in answer.json()["error"]
    settings.DEBUG = True
    assert post(client, "khalti/init/", {"plan": "PRO"}).status_code == 200


def test_an_error_that_is_a_bug_is_not_dressed_up(client: Client, organization: Organization, settings: Any) -> None:
    with pytest.raises(InsideTransaction):
        endpoints.meaning(InsideTransaction("settle"))


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_of_a_paid_payment_answers_success_and_the_subscription(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    answer = post(client, "khalti/verify/", {"reference": payment.reference})
    body = answer.json()
    assert (answer.status_code, body["status"], body["plan"]) == (200, "success", "PRO")
    assert body["message"]
    assert body["subscription"]["plan"] == "PRO"
    assert body["subscription"]["period_end"]


def test_what_begins_later_is_told_so(client: Client, simulator: Server, organization: Organization) -> None:
    subscribe(organization, "PRO", until=clock.now() + timedelta(days=9))
    payment = start(organization, "BASIC")
    pay(simulator, payment)
    body = post(client, "khalti/verify/", {"reference": payment.reference}).json()
    assert body["message"] == "Payment received. The plan begins when the time you have paid for ends."
    assert (body["subscription"]["plan"], body["subscription"]["next_plan"]) == ("PRO", "BASIC")
    page = client.get(result_url(payment)).content.decode()
    assert "The Basic plan begins when the time you have paid for ends: " in page
    Subscription.objects.all().delete()
    assert "The Basic plan is active." in client.get(result_url(payment)).content.decode()


def test_verify_takes_any_of_the_names_of_a_payment(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    for body in (
        {"pidx": payment.gateway_reference},
        {"payment_id": payment.reference},
        {"transaction_id": payment.reference},
    ):
        assert post(client, "khalti/verify/", body).status_code == 200


def test_verify_says_202_while_confirming_and_409_when_not_paid(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    answer = post(client, "khalti/verify/", {"reference": payment.reference})
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    fault(simulator, "down", 1)
    assert post(client, "khalti/verify/", {"reference": payment.reference}).status_code == 202
    pay(simulator, payment, Act.CANCEL)
    answer = post(client, "khalti/verify/", {"reference": payment.reference})
    assert (answer.status_code, answer.json()["status"]) == (409, "failed")
    tampered = start(organization, "BASIC")
    pay(simulator, tampered)
    tamper(simulator, tampered, total_amount=1)
    answer = post(client, "khalti/verify/", {"reference": tampered.reference})
    assert (answer.status_code, answer.json()["payment_status"]) == (202, "review")


@pytest.mark.parametrize("state", list(PaymentState))
def test_every_state_has_something_to_tell(state: PaymentState) -> None:
    status, http_status, message = api._told(state)
    assert {"success": 200, "pending": 202, "failed": 409}[status] == http_status
    assert message


def test_the_payment_of_another_organization_is_a_404_and_nothing_moves(
    client: Client, simulator: Server, organization: Organization
) -> None:
    other = Organization.objects.create(name="Other")
    payment = start(other)
    pay(simulator, payment)
    for name, value in (("reference", payment.reference), ("pidx", payment.gateway_reference)):
        answer = post(client, "khalti/verify/", {name: value})
        assert (answer.status_code, answer.json()["code"]) == (404, "payment_not_found")
    payment.refresh_from_db()
    assert payment.status == "initiated"
    assert not Subscription.objects.exclude(plan="FREE").exists()
    assert payments.settle(payment).status == "paid"


@pytest.mark.parametrize("body", [{"plan": "PRO"}, {"reference": ""}, {"pidx": 1, "payment_id": None}])
def test_verify_without_a_name_is_a_400(client: Client, simulator: Server, body: Any) -> None:
    answer = post(client, "khalti/verify/", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_verify_reads_the_whole_return_of_a_gateway_in_which_some_names_are_empty(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    body = {"transaction_id": "", "pidx": payment.gateway_reference, "payment_id": None}
    assert post(client, "khalti/verify/", body).json()["reference"] == payment.reference
