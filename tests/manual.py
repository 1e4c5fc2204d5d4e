"""A site that takes bank transfers beside a wallet, and the payments that its tests begin and record."""

from __future__ import annotations

from typing import Any

from django_tenant_billing import payments
from django_tenant_billing.models import PaymentTransaction
from tests.testapp.models import Organization

BASE = "http://testserver"
INSTRUCTIONS = "Account 0123456789 at Himal Bank,\nNew Road <branch> & others"
BANK = {
    "BACKEND": "django_tenant_billing.gateways.manual.ManualGateway",
    "OPTIONS": {"label": "Bank transfer", "instructions": INSTRUCTIONS},
}


def use_bank(settings: Any) -> None:
    settings.TENANT_BILLING_PUBLIC_BASE_URL = BASE
    settings.TENANT_BILLING_GATEWAYS = {
        "bank": BANK,
        "khalti": {
            "BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway",
            "OPTIONS": {"secret_key": "simulated_secret_key"},
        },
    }


def begin(organization: Organization, plan: str = "PRO") -> PaymentTransaction:
    payment, _checkout = payments.start(organization, plan, "bank", base_url=BASE, actor="user 1: samir")
    return payment


def came(payment: PaymentTransaction, **changes: Any) -> PaymentTransaction:
    """Staff has seen the money."""
    facts = {"amount_minor": payment.amount_minor, "number": "SLIP-1", "actor": "anna", "reason": "on the account"}
    return payments.record(payment, **{**facts, **changes})
