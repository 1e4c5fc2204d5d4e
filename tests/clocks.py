"""Time as the database sees it, where no test can move it: what was held is given an end in its past."""

from __future__ import annotations

from datetime import timedelta

from django_tenant_billing.clock import DatabaseNow
from django_tenant_billing.models import Hold


def expire_all() -> None:
    """Let every reservation have ended an hour ago, by the database's clock."""
    Hold.objects.update(expires_at=DatabaseNow() - timedelta(hours=1))
