"""The JSON of what is for sale."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing.models import Plan, PlanLimit, PlanPrice
from django_tenant_billing.testing import subscribe
from tests.members import member
from tests.testapp.models import Organization


@pytest.fixture
def client(organization: Organization, user: User) -> Client:
    return member(organization, user)


def plans(client: Client) -> dict[str, Any]:
    return {plan["code"]: plan for plan in client.get("/billing/api/plans/").json()["results"]}


def test_a_plan_is_told_with_its_prices_and_with_what_it_gives_of_every_feature(
    client: Client, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_VAT = "exclusive"
    PlanPrice.objects.create(plan_id="PRO", amount_minor=1_000_050, interval="month", interval_count=3)
    PlanLimit.objects.filter(plan="PRO", feature="reports").delete()
    found = plans(client)
    assert list(found) == ["FREE", "BASIC", "PRO"]
    limits = found["PRO"].pop("limits")
    assert found["PRO"] == {
        "code": "PRO", "name": "Pro", "position": 2, "current": False, "trial_days": 0, "grace_days": 0,
        "prices": [
            {"amount": 3900, "amount_minor": 390_000, "to_pay": 4407, "to_pay_minor": 440_700, "currency": "NPR",
             "term": "month", "interval": "month", "interval_count": 1, "is_default": True},
            {"amount": 10000.5, "amount_minor": 1_000_050, "to_pay": 11300.57, "to_pay_minor": 1_130_057,
             "currency": "NPR", "term": "3-month", "interval": "month", "interval_count": 3, "is_default": False},
        ],
    }  # fmt: skip
    assert list(limits) == ["invoices", "customers", "team_members", "api_calls", "reports"]
    assert limits["invoices"] == {"limit": 3000, "singular": "invoice", "plural": "invoices", "kind": "happens"}
    assert (limits["customers"]["limit"], limits["reports"]["limit"]) == (None, 0)


def test_the_plan_in_force_is_marked_and_one_that_is_not_for_sale_is_not_there(
    client: Client, organization: Organization
) -> None:
    assert {code for code, plan in plans(client).items() if plan["current"]} == {"FREE"}
    subscribe(organization, "BASIC")
    assert {code for code, plan in plans(client).items() if plan["current"]} == {"BASIC"}
    Plan.objects.filter(pk="BASIC").update(is_active=False)
    assert {code: plan["current"] for code, plan in plans(client).items()} == {"FREE": False, "PRO": False}
