"""What TENANT_BILLING_CATALOGUE counts here."""

from __future__ import annotations

from .models import Organization, Role


def count_team_members(organization: Organization) -> int:
    return organization.memberships.exclude(role=Role.ACCOUNTANT).count()
