"""The JSON of a subscription."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction, Plan, PlanPrice
from django_tenant_billing.testing import set_used
from tests.members import member
from tests.quota_tools import at
from tests.sales import START, on, pay, row
from tests.test_views_api import post
from tests.testapp.models import Organization


@pytest.fixture
def client(sold: Organization, user: User) -> Client:
    return member(sold, user)


def test_the_subscription_is_told_as_of_now_whatever_was_written_down(client: Client, sold: Organization) -> None:
    pay(sold, "PRO", START)
    pay(sold, "BASIC", on(10, 2))
    with at(on(11, 2)):
        body = client.get("/billing/subscription/").json()
    assert body == {
        "plan": "PRO", "bought_plan": "PRO", "state": "active",
        "period_start": START.isoformat(), "period_end": on(28, 2).isoformat(),
        "next_plan": "BASIC", "next_period_end": on(31, 3).isoformat(), "trial_ends_at": None,
        "ends_at": on(3, 4).isoformat(), "renews_at": on(31, 3).isoformat(),
        "credit": 0, "credit_minor": 0, "credit_currency": "",
    }  # fmt: skip
    with at(on(1, 3)):
        body = client.get("/billing/subscription/").json()
    assert (body["plan"], body["bought_plan"], body["next_plan"]) == ("BASIC", "BASIC", None)


def test_a_preview_has_every_number_and_changes_nothing(client: Client, sold: Organization) -> None:
    pay(sold, "BASIC", START)
    set_used(sold, "customers", 7)
    before = row().snapshot()
    with at(on(10, 2)):
        body = client.get("/billing/subscription/preview/?plan=PRO&term=year").json()
    assert body.pop("starts_at").startswith("2026-02-10T06:00")
    assert body.pop("ends_at").startswith("2027-02-10T06:00")
    assert body == {
        "plan": "PRO", "purchase": "upgrades", "currency": "NPR",
        "price": 39000, "price_minor": 3_900_000, "balance": 0, "balance_minor": 0,
        "credit_spent": 642.85, "credit_spent_minor": 64_285, "due": 38357.15, "due_minor": 3_835_715,
        "credits": [{"plan": "BASIC", "unused_days": 18, "days": 28, "amount": 642.85, "amount_minor": 64_285}],
        "excess": [],
    }  # fmt: skip
    with at(on(10, 2)):
        excess = client.get("/billing/subscription/preview/?plan=BASIC").json()["excess"]
        assert excess == []
        Plan.objects.get(pk="BASIC").limits.filter(feature="customers").update(limit_value=5)
        excess = client.get("/billing/subscription/preview/?plan=BASIC").json()["excess"]
    assert excess == [{"feature": "customers", "used": 7, "limit": 5}]
    assert row().snapshot() == before
    for query, code in (("", "bad_request"), ("?plan=GOLD", "not_for_sale"), ("?plan=PRO&term=week", "not_for_sale")):
        answer = client.get(f"/billing/subscription/preview/{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_people_act_by_json_and_are_told_what_is_not_possible(client: Client, sold: Organization) -> None:
    pay(sold, "PRO", START)

    def acted(path: str, body: Any, status: int = 200) -> Any:
        with at(on(10, 2)):
            answer = post(client, f"subscription/{path}/", body)
        assert answer.status_code == status
        return answer.json()

    assert acted("cancel", {})["state"] == "canceled"
    assert acted("resume", {})["state"] == "active"
    told = acted("resume", {}, 409)
    assert told["code"] == "not_possible"
    assert "it was not canceled" in told["error"]
    assert acted("schedule-change", {"plan": "BASIC"})["next_plan"] == "BASIC"
    assert acted("undo-change", {})["next_plan"] is None
    assert acted("schedule-change", {}, 400)["code"] == "bad_request"
    assert acted("buy-with-credit", {"plan": "PRO", "term": "year"}, 400)["code"] == "not_for_sale"
    assert acted("start-trial", {"plan": "PRO"}, 400)["code"] == "not_for_sale"
    Plan.objects.filter(pk="PRO").update(trial_days=7)
    assert acted("start-trial", {"plan": "PRO"}, 409)["code"] == "not_possible"
    assert client.post("/billing/subscription/delete/").status_code == 404
    assert client.get("/billing/subscription/cancel/").status_code == 405


def test_a_payment_is_started_for_the_term_that_is_named(client: Client, simulator: Server) -> None:
    answer = post(client, "khalti/init/", {"plan": "PRO", "term": "year"})
    assert (answer.status_code, answer.json()["amount"]) == (200, 39000)
    assert post(client, "khalti/init/", {"plan": "PRO", "term": "week"}).json()["code"] == "not_for_sale"
    assert post(client, "khalti/init/", {"plan": "PRO", "term": 12}).json()["code"] == "bad_request"
    assert PaymentTransaction.objects.count() == 1


def test_an_amount_that_is_not_whole_is_a_number_too(client: Client, sold: Organization, simulator: Server) -> None:
    PlanPrice.objects.filter(plan="BASIC").update(amount_minor=100_050)
    assert post(client, "khalti/init/", {"plan": "BASIC"}).json()["amount"] == 1000.5


def test_a_term_means_the_price_in_the_currency_of_the_default_one(sold: Organization) -> None:
    PlanPrice.objects.create(plan_id="BASIC", amount_minor=9_900, currency="USD", interval="year")
    PlanPrice.objects.create(plan_id="BASIC", amount_minor=1_000_000, interval="year")
    offer, _excess = subscriptions.preview(sold, "BASIC", "year")
    assert (offer.terms.currency, offer.due_minor) == ("NPR", 1_000_000)
    # Without a default price it is sold by its terms alone.
    PlanPrice.objects.filter(plan="BASIC", is_default=True).delete()
    offer, _excess = subscriptions.preview(sold, "BASIC", "year")
    assert offer.terms.currency == "USD"
