"""Who may do what in an organization."""

from __future__ import annotations

from .http import OrganizationRequest
from .models import Organization, Role


def may_bill(request: OrganizationRequest, organization: Organization, action: str) -> bool:
    """TENANT_BILLING_AUTHORIZE: every member sees usage and payments, owners pay."""
    if action == "view":
        return True
    return organization.memberships.filter(user=request.user, role=Role.OWNER).exists()
