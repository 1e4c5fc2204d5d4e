"""Every page of the admin that is ours, for whoever may not, for whoever may look, and for those who may everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import (
    Activation,
    Breaker,
    PaymentEvent,
    PaymentTransaction,
    SubscriptionEvent,
    UsageEntry,
)
from tests.routes import every_row
from tests.test_payments import pay, start
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

OURS = {
    model: site_admin for model, site_admin in admin.site._registry.items() if model._meta.app_label == "tenant_billing"
}
MONEY = (PaymentTransaction, PaymentEvent, Activation, SubscriptionEvent, UsageEntry)


@pytest.fixture(autouse=True)
def _organization(organization: Organization) -> None:
    """Every test has one; conftest.py reads the log after it."""


@pytest.fixture
def paid(simulator: Server, organization: Organization) -> PaymentTransaction:
    """A paid payment, in a site that has a row of everything that the admin shows."""
    quotas.reserve(organization, "invoices", 1)
    quotas.override(organization, "invoices", 20, reason="a friend", actor="anna")
    UsageEntry.objects.create(
        organization=organization, feature_id="invoices", change=1, verb="consume", at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip
    Breaker.objects.unanswered("esewa", clock.now())
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    assert [model for model in OURS if not model._base_manager.exists()] == []
    return payment


def anonymous() -> Client:
    return Client()


def a_member() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("samir"))
    return client


def staff_without_rights() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("bina", is_staff=True))
    return client


def staff_who_may_look() -> Client:
    looker = User.objects.create_user("kiran", is_staff=True)
    looker.user_permissions.set(
        Permission.objects.filter(content_type__app_label="tenant_billing", codename__startswith="view_")
    )
    client = Client()
    client.force_login(looker)
    return client


def superuser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("asha"))
    return client


def pages() -> list[tuple[type[Any], str, str]]:
    """Model, kind (changelist, add, change, delete, history, act and so on) and path of every named address."""
    found = []
    for model, site_admin in OURS.items():
        row = model._base_manager.all()[0]
        for pattern in site_admin.get_urls():
            if pattern.name is not None:
                names = list(pattern.pattern.regex.groupindex)
                keywords = dict.fromkeys(names, row.pk)
                kind = pattern.name.rpartition("_")[2]
                found.append((model, kind, reverse(f"admin:{pattern.name}", kwargs=keywords)))
    return found


def forms(path: str) -> dict[str, str]:
    """What a hostile form might carry to any page."""
    return {
        "status": "paid", "amount_minor": "1", "amount": "1", "organization": "1", "plan": "PRO", "detail": "x",
        "kind": "moved", "act": "apply_review", "reason": "", "post": "yes", "action": "delete_selected",
        "_selected_action": "1", "from": path,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "status"),
    [(anonymous, {302}), (a_member, {302}), (staff_without_rights, {403})],
    ids=["anonymous", "member", "staff without rights"],
)
def test_a3_who_has_no_right_sees_and_does_nothing_on_any_page(
    paid: PaymentTransaction, role: Callable[[], Client], status: set[int]
) -> None:
    client = role()
    before, everything = every_row(), pages()
    assert len(everything) >= 5 * len(OURS)
    for _model, _kind, path in everything:
        for answer in (client.get(path), client.post(path, forms(path))):
            assert answer.status_code in status, path
            assert paid.reference not in answer.content.decode()
            assert "/admin/login/" in answer.headers.get("Location", "/admin/login/")
    assert every_row() == before


def test_a3_who_may_look_sees_lists_and_rows_and_changes_nothing(paid: PaymentTransaction) -> None:
    client = staff_who_may_look()
    before, shown = every_row(), set()
    for model, kind, path in pages():
        answer = client.get(path)
        if kind == "changelist":
            assert answer.status_code == 200, path
            shown.add(model)
        assert answer.status_code in (200, 302, 403), path
        posted = client.post(path, forms(path))
        # A list without actions takes any form for a search that it does not do.
        assert posted.status_code == 403 or kind in ("changelist", "history"), path
    assert every_row() == before
    assert shown == set(OURS)


def test_a3_money_and_audit_rows_are_never_added_changed_or_deleted_by_anybody(paid: PaymentTransaction) -> None:
    client = superuser()
    before, refused = every_row(), 0
    for model, kind, path in pages():
        if model not in MONEY:
            continue
        assert client.get(path).status_code == (403 if kind in ("add", "delete") else 200), path
        posted = client.post(path, forms(path))
        if kind in ("add", "delete", "change"):
            assert posted.status_code == 403, path
            refused += 1
    assert refused == 3 * len(MONEY)
    assert every_row() == before


def test_a3_acts_need_their_own_right_and_a_reason_and_are_logged_with_their_actor(
    paid: PaymentTransaction, simulator: Server
) -> None:
    act = reverse("admin:tenant_billing_paymenttransaction_act", args=[paid.pk])
    looker, asha = staff_who_may_look(), superuser()
    assert looker.post(act, {"act": "refund", "reason": "x", "amount": ""}).status_code == 403
    for reason in ("", "   "):
        page = asha.post(act, {"act": "refund", "reason": reason, "amount": ""})
        assert "This field is required." in page.content.decode()
    paid.refresh_from_db()
    assert paid.status == "paid"
    assert asha.post(act, {"act": "refund", "reason": "paid twice", "amount": ""}).status_code == 302
    paid.refresh_from_db()
    assert paid.status == "refunded"
    event = PaymentEvent.objects.get(payment=paid, to_status="refund_pending")
    assert (event.actor, event.data["reason"]) == ("asha", "paid twice")


def test_a3_lists_cost_the_same_number_of_queries_whatever_their_length(
    paid: PaymentTransaction, simulator: Server
) -> None:
    client = superuser()
    lists = [path for _model, kind, path in pages() if kind == "changelist"]
    assert len(lists) == len(OURS)
    short = {path: queries_of(client, path) for path in lists}
    for number in range(12):
        another = start(Organization.objects.create(name=f"Another {number}"), "BASIC")
        if number % 2:
            pay(simulator, another)
            payments.settle(another)
    for path in lists:
        assert queries_of(client, path) <= short[path] + 1, path


def queries_of(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)
