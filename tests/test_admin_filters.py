"""Filters of the admin's lists: by words that the code knows, so that no list asks its table for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import subscriptions
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import PaymentTransaction, Plan
from tests.manual import begin, came, use_bank
from tests.sales import START, pay
from tests.test_admin_payments import staff
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

LISTS = "/admin/tenant_billing/"


@pytest.fixture(autouse=True)
def _bank(settings: Any) -> None:
    use_bank(settings)


def read(client: Client, query: str) -> str:
    answer = client.get(f"{LISTS}{query}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("state", State)
def test_subscriptions_are_filtered_by_where_they_stand_now(
    staff: Client, organization: Organization, state: State
) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    names = {State.ACTIVE: "Himal Traders", State.TRIALING: "Tries", State.CANCELED: "Leaves", State.EXPIRED: "Ended"}
    tries, leaves, ended = (Organization.objects.create(name=names[here]) for here in list(names)[1:])
    subscriptions.start_trial(tries, "PRO", actor="user 1")
    came(begin(leaves))
    subscriptions.cancel(leaves, actor="user 1")
    pay(ended, "PRO", START)
    page = read(staff, f"subscription/?state={state.value}")
    expected = [names[state]] if state in names else []
    assert [name for name in names.values() if f">{name}</a>" in page] == expected
    assert all(f">{name}</a>" in read(staff, "subscription/") for name in names.values())


def test_subscriptions_are_searched_by_what_the_sites_admin_of_organizations_searches_by(
    staff: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Organization.objects.create(name="Everest Crafts")

    def found(words: str) -> list[bool]:
        page = read(staff, f"subscription/?q={words}")
        return [f">{one}</a>" in page for one in (organization, other)]

    assert found(str(other.pk)) == [False, True]
    assert found("everest") == [False, False]
    plain = admin.site.get_model_admin(Organization)
    monkeypatch.setattr(plain, "search_fields", ("name",))
    assert found("everest") == [False, True]
    monkeypatch.setattr(plain, "search_fields", ("^name",))
    assert (found("crafts"), found("himal")) == ([False, False], [True, False])
    monkeypatch.setattr(admin.site, "is_registered", lambda model: False)
    assert found(str(organization.pk)) == [True, False]


def test_payments_and_their_log_are_filtered_by_the_gateways_that_are_on(
    staff: Client, organization: Organization
) -> None:
    payment = came(begin(organization))
    for name in ("paymenttransaction", "paymentevent"):
        assert payment.reference in read(staff, f"{name}/?gateway=bank")
        assert payment.reference not in read(staff, f"{name}/?gateway=khalti")
        assert "?gateway=khalti" in read(staff, f"{name}/")


@pytest.mark.parametrize(("query", "shown"), [("any", True), ("amount", True), ("replay", False)])
def test_payments_are_filtered_by_suspicion(staff: Client, organization: Organization, query: str, shown: bool) -> None:
    suspicious, honest = begin(organization), begin(organization, "BASIC")
    PaymentTransaction.objects.filter(pk=suspicious.pk).update(suspicion="amount")
    page = read(staff, f"paymenttransaction/?suspicion={query}")
    assert (suspicious.reference in page, honest.reference in page) == (shown, False)


def test_no_list_asks_its_table_for_every_word_in_a_column(staff: Client, organization: Organization) -> None:
    came(begin(organization))
    for name in ("paymenttransaction", "paymentevent", "subscription", "subscriptionevent", "activation"):
        with CaptureQueriesContext(connection) as queries:
            read(staff, f"{name}/")
        assert [query["sql"] for query in queries if "DISTINCT" in query["sql"]] == []
