"""Receipts in the admin: found by number, reference and name, and only read."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_tenant_billing.models import Receipt
from tests.manual import begin, came, use_bank
from tests.test_admin_payments import staff
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

LIST = "/admin/tenant_billing/receipt/"


@pytest.fixture
def receipts(organization: Organization, settings: Any) -> list[Receipt]:
    use_bank(settings)
    settings.TENANT_BILLING_VAT = "inclusive"
    first = came(begin(organization))
    settings.TENANT_BILLING_VAT = "exempt"
    second = came(begin(Organization.objects.create(name="Pahad Foods"), "BASIC"), number="SLIP-2")
    return [first.receipt, second.receipt]


def shown(staff: Client, query: str) -> list[bool]:
    page = staff.get(LIST, {"q": query}).content.decode()
    return ["Himal Traders" in page, "Pahad Foods" in page]


def test_the_list_shows_money_and_tax_and_finds_by_number_reference_and_name(
    staff: Client, receipts: list[Receipt]
) -> None:
    page = staff.get(LIST).content.decode()
    for told in ("NPR 3,900", "NPR 448.67", "NPR 1,000"):
        assert told in page
    assert shown(staff, "") == [True, True]
    assert shown(staff, "1") == shown(staff, receipts[0].payment.reference) == shown(staff, "himal") == [True, False]
    assert shown(staff, "Pahad") == [False, True]  # references may have a 2, never a 1


def test_a_receipt_is_read_and_nothing_else(staff: Client, receipts: list[Receipt]) -> None:
    one = f"{LIST}{receipts[0].pk}/"
    assert staff.get(f"{one}change/").status_code == 200
    for path in (f"{one}change/", f"{one}delete/", f"{LIST}add/"):
        assert staff.post(path, {"number": 7}).status_code == 403
    assert list(Receipt.objects.values_list("number", flat=True)) == [2, 1]
