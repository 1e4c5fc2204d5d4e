"""Confused deputies: whoever is not of an organization changes nothing of it, whatever they send to wherever."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import Http404
from django.test import Client, RequestFactory

from django_tenant_billing import clock
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from django_tenant_billing.payments import settle
from django_tenant_billing.tokens import result_token
from django_tenant_billing.urls import urlpatterns
from django_tenant_billing.views import results
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.routes import RETURNS, Rows, addresses, every_row
from tests.test_esewa import booked, data, decide
from tests.test_payments import pay, plan_of, start
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _organization(organization: Organization) -> None:
    """Every test has one; conftest.py reads the log after it."""


@pytest.fixture
def victims(simulator: Server, organization: Organization) -> list[PaymentTransaction]:
    """An open payment at each gateway, that was asked about once already."""
    return [settle(start(organization)), settle(booked(organization, "BASIC"))]


def send(client: Client, name: str, path: str, method: str, victim: PaymentTransaction) -> Any:
    form: dict[str, Any] = {
        "plan": "PRO", "gateway": victim.gateway, "reference": victim.reference, "organization": victim.organization_id,
    }  # fmt: skip
    if method == "GET":
        return client.get(path, {"pidx": "other", "purchase_order_id": victim.reference, **form})
    if name.startswith(("gateway_", "subscription")):
        return client.post(path, form, content_type="application/json")
    return client.post(path, form)


# --- C6 --------------------------------------------------------------------------------------------------------------


def nobody(_own: Organization) -> Client:
    return Client()


def stranger(_own: Organization) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("stranger"))
    return client


def other_member(own: Organization) -> Client:
    return member(own, User.objects.create_user("bina"))


def staff_of_another(own: Organization) -> Client:
    staff = User.objects.create_user("asha", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="tenant_billing"))
    return member(own, staff)


def not_of(own: Organization, rows: Rows) -> Rows:
    """Without what belongs to this organization: its members may change that."""
    of_it = {key[1] for key, row in rows.items() if key[0] == "tenant_billing.Subscription" and is_of(own, row)}
    return {key: row for key, row in rows.items() if not is_of(own, row) and row.get("subscription_id") not in of_it}


def is_of(own: Organization, row: dict[str, Any]) -> bool:
    return row.get("organization_id") == own.pk


@pytest.mark.parametrize("actor", [nobody, stranger, other_member, staff_of_another])
def test_c6_no_route_lets_anybody_change_or_see_what_is_of_another_organization(
    victims: list[PaymentTransaction], actor: Callable[[Organization], Client]
) -> None:
    own = Organization.objects.create(name="Elsewhere")
    client = actor(own)
    before = not_of(own, every_row())
    visited = set()
    for victim in victims:
        for name, path in addresses(victim.reference):
            for method in ("GET", "POST"):
                answer = send(client, name, path, method, victim)
                visited.add(name)
                told = answer.getvalue().decode() + answer.headers.get("Location", "")
                assert "Himal Traders" not in told
                assert result_token(victim.reference) not in told
                assert answer.status_code < 500
    assert not_of(own, every_row()) == before
    assert visited == {pattern.name for pattern in urlpatterns}
    assert PaymentEvent.objects.filter(kind="claim", payment__in=victims).exists()
    assert not PaymentEvent.objects.filter(kind="moved", payment__in=victims, to_status="paid").exists()


def test_c6_the_same_done_by_a_member_changes_rows_which_the_snapshot_sees(
    victims: list[PaymentTransaction], organization: Organization, simulator: Server, user: User
) -> None:
    before = every_row()
    own = member(organization, user)
    pay(simulator, victims[0])
    answer = send(own, "gateway_verify", "/billing/khalti/verify/", "POST", victims[0])
    assert (answer.status_code, answer.json()["plan"]) == (200, "PRO")
    changed = {key[0] for key, row in every_row().items() if before.get(key) != row}
    assert {"tenant_billing.PaymentTransaction", "tenant_billing.Activation", "tenant_billing.Subscription"} <= changed


# --- C7, C8 ----------------------------------------------------------------------------------------------------------

FORGERIES = [
    {}, {"status": "User canceled"}, {"status": "Failed"}, {"status": "Expired"}, {"status": "Refunded"},
    {"data": "e30="}, {"q": "fu"},
]  # fmt: skip


def test_c7_a_forged_failure_or_cancellation_changes_no_payment_by_any_route(
    victims: list[PaymentTransaction], simulator: Server, organization: Organization
) -> None:
    before = every_row()
    tried = 0
    for victim in victims:
        signed = data("guessed", transaction_uuid=victim.reference, status="CANCELED")
        for name, path in addresses(victim.reference):
            for forged in [*FORGERIES, {"data": signed}, {"pidx": victim.gateway_reference or "x", "status": "Failed"}]:
                if name in RETURNS:
                    assert Client().get(path, forged).status_code in (303, 400, 404)
                    tried += 1
    assert tried == 2 * 12 * 9
    assert every_row() == before
    pay(simulator, victims[0])
    with clock.moved(timedelta(minutes=2)):
        Client().get(f"/billing/khalti/failure/{victims[0].reference}/", {"status": "User canceled"})
    assert plan_of(organization) == "PRO"


def test_c8_browsing_to_success_without_paying_is_told_not_confirmed_and_grants_nothing(
    victims: list[PaymentTransaction], simulator: Server, organization: Organization, user: User
) -> None:
    browser = member(organization, user)
    khalti, esewa = victims
    complete = {"pidx": khalti.gateway_reference or "", "status": "Completed", "transaction_id": "x"}
    back = browser.get(f"/billing/khalti/callback/{khalti.reference}/", complete)
    assert "We are confirming your payment" in browser.get(back.headers["Location"]).content.decode()
    assert browser.get(f"/billing/esewa/success/{esewa.reference}/").headers["Location"] == "/billing/payments/"
    assert "We are confirming your payment" in browser.get(result_url(esewa)).content.decode()
    assert browser.get(f"/billing/payments/{khalti.reference}/{'0' * 64}/").status_code == 404
    assert (plan_of(organization), Activation.objects.exists()) == ("FREE", False)
    with clock.moved(timedelta(minutes=2)):
        assert browser.get(decide(simulator, esewa)).status_code == 303
    assert "Payment received" in browser.get(result_url(esewa)).content.decode()


# --- C9 --------------------------------------------------------------------------------------------------------------

NAMES = [
    "pidx", "status", "purchase_order_id", "data", "transaction_id", "mobile", "amount", "pidx[]", "\u202e", "a" * 60,
]  # fmt: skip
VALUES = [
    "", "x", "Completed", "%00", "%0d%0aSet-Cookie:a=b", "%E2%80%AE", "%ff%fe", "%", "A" * 8192, "[]", '{"a":1}',
    "e30=", "4111111111111111", "%F0%9F%92%B8", "0x1", "' OR 1=1 --", "../../etc/passwd", "1&2", "%252e", "{{7*7}}",
]  # fmt: skip


def query(draw: random.Random) -> str:
    pairs = [f"{draw.choice(NAMES)}={draw.choice(VALUES)}" for _pair in range(draw.randint(0, 6))]
    return draw.choice(["&", "&", ";", "?", "&&"]).join(pairs)


def test_c9_of_five_hundred_polluted_queries_none_breaks_anything_and_each_is_logged_short(
    victims: list[PaymentTransaction],
) -> None:
    draw, before, answers = random.Random(20261123), every_row(), []
    paths = [
        path for victim in victims for reference in (victim.reference, "TB-NOBODY")
        for name, path in addresses(reference) if name in RETURNS
    ]  # fmt: skip
    for _time in range(500):
        answers.append(Client().get(f"{draw.choice(paths)}?{query(draw)}").status_code)
    assert set(answers) == {303, 400, 404}
    assert answers.count(400) > 100
    assert every_row() == before
    rows = PaymentEvent.objects.exclude(kind__in=["asked", "proof", "moved", "started", "no_answer"])
    assert rows.count() >= 500
    for row in rows.values():
        assert len(json.dumps(row, default=str)) <= 4096
        assert "4111111111111111" not in repr(row)


@pytest.mark.parametrize("query", ["pidx=a&pidx=b", "status=x&status=x", "data=e30%3D&data=e30%3D", "pidx=%00"])
def test_c9_a_repeated_parameter_is_a_400_and_the_same_once_is_not(
    victims: list[PaymentTransaction], query: str
) -> None:
    path = f"/billing/khalti/callback/{victims[0].reference}/"
    assert Client().get(f"{path}?{query}").status_code == 400
    assert Client().get(f"{path}?pidx=a&status=x").status_code == 303


# --- C10 -------------------------------------------------------------------------------------------------------------

GIVEN: list[dict[str, Any]] = [
    {name: value}
    for name in ("amount", "amount_minor", "price", "price_minor", "quantity", "credit_minor", "discount", "currency")
    for value in (0, -1, 1, "1", 1e9)
] + [
    {"plan_id": "BASIC"}, {"period": 120}, {"interval": "year"}, {"interval_count": 12}, {"organization": 1},
    {"status": "paid"}, {"reference": "TB-MINE"}, {"purchase": "mine"}, {"data": {"total_amount": "1"}},
    {"return_url": "https://evil.example/"},
]  # fmt: skip


def test_c10_of_fifty_bodies_that_name_money_or_time_none_moves_the_price(simulator: Server, user: User) -> None:
    assert len(GIVEN) == 50
    for number, given in enumerate(GIVEN):
        buyer = member(Organization.objects.create(name=f"Buyer {number}"), User.objects.create_user(f"buyer {number}"))
        body: dict[str, Any] = {"plan": "PRO", **given}
        answer = buyer.post("/billing/esewa/init/", body, content_type="application/json")
        assert (answer.status_code, answer.json()["amount_minor"]) == (200, 390_000), given
        assert answer.json()["data"]["total_amount"] == "3900"
    assert set(PaymentTransaction.objects.values_list("amount_minor", "currency", "interval", "interval_count")) == {
        (390_000, "NPR", "month", 1)
    }
    assert set(PaymentTransaction.objects.values_list("status", flat=True)) == {"initiated"}


def test_c10_only_a_price_that_is_sold_can_be_chosen(organization: Organization, user: User, simulator: Server) -> None:
    buyer = member(organization, user)
    for term in ("week", "0-month", "-1-month", "year", "month; DROP", ""):
        body = {"plan": "PRO", "term": term}
        assert buyer.post("/billing/esewa/init/", body, content_type="application/json").status_code == 400
    assert not PaymentTransaction.objects.exists()
    body = {"plan": "PRO", "term": "month"}
    assert buyer.post("/billing/esewa/init/", body, content_type="application/json").status_code == 200


# --- C12 -------------------------------------------------------------------------------------------------------------


def test_c12_a_token_has_256_bits_that_no_other_payment_shares_and_only_the_secret_key_makes(
    victims: list[PaymentTransaction], settings: Any
) -> None:
    tokens = [result_token(f"TB-{number}") for number in range(2000)]
    assert len(set(tokens)) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{64}", token) for token in tokens)
    counts = [sum(token.count(digit) for token in tokens) for digit in "0123456789abcdef"]
    total = sum(counts)
    entropy = -sum(count / total * math.log2(count / total) for count in counts) * 64
    assert entropy > 255.9
    known = result_token(victims[0].reference)
    settings.SECRET_KEY = "another"
    assert result_token(victims[0].reference) != known


def test_c12_unknown_and_foreign_are_the_same_404(
    victims: list[PaymentTransaction], user: User, django_assert_num_queries: Any
) -> None:
    foreign, unknown = victims[0].reference, "TB-" + "X" * 17
    browser = member(Organization.objects.create(name="Elsewhere"), user)
    bodies = set()
    for reference in (foreign, unknown):
        answer = browser.post("/billing/khalti/verify/", {"reference": reference}, content_type="application/json")
        bodies.add((answer.status_code, answer.content))
    assert len(bodies) == 1
    assert bodies.pop()[0] == 404
    for reference in (foreign, unknown):
        with django_assert_num_queries(0):
            assert Client().get(f"/billing/payments/{reference}/{'0' * 64}/").status_code == 404
    assert Client().get(result_url(victims[0])).status_code == 200


def test_c12_guessing_at_a_payment_that_is_there_takes_as_long_as_at_one_that_is_not(
    victims: list[PaymentTransaction],
) -> None:
    """The fastest of many: what else the machine does makes a try slower, never faster."""
    right = result_token(victims[0].reference)
    guesses = {
        "unknown": ("TB-" + "X" * 17, "0" * 64),
        "foreign": (victims[0].reference, "0" * 64),
        "nearly": (victims[0].reference, right[:-1] + ("0" if right[-1] != "0" else "1")),
    }
    fastest = dict.fromkeys(guesses, math.inf)
    request = RequestFactory().get("/")
    for _time in range(400):
        for name, guess in guesses.items():
            begun = time.perf_counter()
            with pytest.raises(Http404):
                results.result(request, *guess)
            fastest[name] = min(fastest[name], time.perf_counter() - begun)
    assert max(fastest.values()) / min(fastest.values()) < 1.2, fastest
    assert Subscription.objects.exists()
