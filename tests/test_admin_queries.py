"""What each list and each row of the admin costs, to the statement, and that it stays so however much there is."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.models import Breaker, Feature, Plan, PlanLimit, UsageEntry
from tests.manual import begin, came, use_bank
from tests.test_admin_payments import staff
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

COSTS = {
    "plan": (5, 7), "feature": (5, 3), "planlimit": (7, 5), "breaker": (4, 3), "paymentevent": (4, 4),
    "subscriptionevent": (4, 4), "activation": (4, 5), "usage": (5, 4), "limitoverride": (6, 5), "hold": (5, 5),
    "usageentry": (5, 5), "paymenttransaction": (6, 7), "receipt": (5, 5), "subscription": (7, 8),
}  # fmt: skip
"""The list and the page of one row, session and user included."""


def something_of_everything(organization: Organization) -> None:
    """One more row in every table that the admin shows."""
    feature = Feature.objects.create(slug=f"more-{organization.pk}", singular="more", plural="more", kind="exists")
    for plan in Plan.objects.all():
        PlanLimit.objects.create(plan=plan, feature=feature, limit_value=1)
    quotas.reserve(organization, "invoices", 1)
    quotas.override(organization, "invoices", 20, reason="a friend", actor="anna")
    UsageEntry.objects.create(
        organization=organization, feature_id="invoices", change=1, verb="consume", at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip
    Breaker.objects.unanswered(f"gateway {organization.pk}", clock.now())
    payment = begin(organization)
    came(payment, number=f"SLIP-{payment.pk}")
    payments.refund(payment, 1_000, actor="anna", reason="a little")


def cost(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def pages() -> dict[str, tuple[str, str]]:
    """The list of each table, and the page of its first row."""
    found = {}
    for model in admin.site._registry:
        if model._meta.app_label == "tenant_billing":
            name, row = f"admin:tenant_billing_{model._meta.model_name}", model._base_manager.order_by("pk")[0]
            listed = reverse(f"{name}_changelist")
            found[str(model._meta.model_name)] = listed, reverse(f"{name}_change", args=[row.pk])
    return found


@pytest.fixture
def filled(organization: Organization, settings: Any) -> dict[str, tuple[str, str]]:
    use_bank(settings)
    something_of_everything(organization)
    return pages()


def costs(client: Client, addresses: dict[str, tuple[str, str]]) -> dict[str, tuple[int, int]]:
    return {name: (cost(client, listed), cost(client, row)) for name, (listed, row) in addresses.items()}


def fill() -> None:
    for number in range(12):
        something_of_everything(Organization.objects.create(name=f"Another {number}"))


def test_lists_and_rows_cost_what_is_said_here_however_many_rows_there_are(
    staff: Client, filled: dict[str, tuple[str, str]]
) -> None:
    assert costs(staff, filled) == COSTS
    fill()
    assert costs(staff, filled) == COSTS


def test_for_who_may_only_look_they_cost_the_same_however_many_rows_there_are(
    filled: dict[str, tuple[str, str]],
) -> None:
    looker = User.objects.create_user("kiran", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(looker)
    few = costs(client, filled)
    fill()
    assert costs(client, filled) == few
