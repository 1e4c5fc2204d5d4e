"""Payments that stand in each way that the portal has words for."""

from __future__ import annotations

from datetime import datetime, timedelta

from django_tenant_billing import clock
from django_tenant_billing.models import PaymentTransaction
from django_tenant_billing.states import SETTLED, PaymentState
from django_tenant_billing.views.outcomes import BY_STATE, IN_REVIEW, NOT_PAID
from tests.testapp.models import Organization


def ahead(days: float) -> datetime:
    return clock.now() + timedelta(days=days)


def attempt(organization: Organization, status: str, detail: str = "", gateway: str = "khalti") -> PaymentTransaction:
    """A payment that stands so, whatever its log says."""
    number = PaymentTransaction.objects.count()
    return PaymentTransaction.objects.create(
        organization=organization, organization_key=str(organization.pk), organization_name=str(organization),
        reference=f"TB-{number:04}", purchase=f"{number:032}", gateway=gateway, plan_id="PRO", amount_minor=390_000,
        currency="NPR", interval="month", interval_count=1, status=status, detail=detail,
        created_at=ahead(-number), paid_at=ahead(-number) if status in SETTLED else None,
        refunded_minor=100_000 if status == PaymentState.PARTIALLY_REFUNDED else 0,
    )  # fmt: skip


STANDINGS = [
    *((state, "") for state in PaymentState),
    *((PaymentState.REVIEW, detail) for detail in IN_REVIEW),
    *((state, detail) for state in BY_STATE for detail in NOT_PAID),
]
"""Each state of a payment, with each detail that changes what is said."""
