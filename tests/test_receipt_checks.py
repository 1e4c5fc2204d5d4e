"""What ``check`` says of the settings of receipts."""

from __future__ import annotations

from typing import Any

import pytest

from django_tenant_billing.receipt_checks import check_receipts

SELLER = {"name": "Himal Software Pvt. Ltd.", "address": "New Road, Kathmandu", "pan": "301234567"}


@pytest.mark.parametrize(
    ("seller", "vat", "told"),
    [
        (None, None, []),
        ({}, "exempt", []),
        ({"name": "Himal"}, "exempt", []),
        (SELLER, "inclusive", []),
        (SELLER, "exclusive", []),
        (SELLER, "VAT", [("E027", "TENANT_BILLING_VAT is 'VAT': prices are sold without VAT.")]),
        ("Himal", "exempt", [("E026", "TENANT_BILLING_SELLER is 'Himal'.")]),
        (
            {"names": "Himal"},
            "exempt",
            [("E026", "TENANT_BILLING_SELLER must have texts of name, address, pan, and nothing else.")],
        ),
        (
            {**SELLER, "name": "n" * 201},
            "exempt",
            [("E026", "TENANT_BILLING_SELLER has a name of more than 200 characters.")],
        ),
        (
            {**SELLER, "pan": "30123456"},
            "inclusive",
            [("E026", "TENANT_BILLING_SELLER has the pan '30123456', which is not 9 digits.")],
        ),
        (
            {"name": "Himal"},
            "inclusive",
            [("E028", "TENANT_BILLING_VAT is 'inclusive', but TENANT_BILLING_SELLER names no seller with a PAN.")],
        ),
        (
            {"pan": "301234567"},
            "exclusive",
            [("E028", "TENANT_BILLING_VAT is 'exclusive', but TENANT_BILLING_SELLER names no seller with a PAN.")],
        ),
    ],
)
def test_what_is_wrong_with_seller_and_tax_is_told_with_a_hint(
    settings: Any, seller: Any, vat: str | None, told: list[tuple[str, str]]
) -> None:
    if vat is not None:
        settings.TENANT_BILLING_SELLER, settings.TENANT_BILLING_VAT = seller, vat
    messages = check_receipts()
    assert [(str(message.id), message.msg) for message in messages] == [
        (f"tenant_billing.{id_}", text) for id_, text in told
    ]
    assert all(message.hint for message in messages)
