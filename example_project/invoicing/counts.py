"""What TENANT_BILLING_CATALOGUE counts here."""

from __future__ import annotations

from orgs.models import Organization


def count_customers(organization: Organization) -> int:
    return organization.customers.count()
