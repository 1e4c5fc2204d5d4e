"""Time where ``clock.moved`` is not enough: as the database sees it, and of a machine that is never busy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from django.utils import timezone

from django_tenant_billing.clock import DatabaseNow
from django_tenant_billing.models import Hold


def expire_all() -> None:
    """Let every reservation have ended an hour ago, by the database's clock."""
    Hold.objects.update(expires_at=DatabaseNow() - timedelta(hours=1))


def only_looks_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on each look at the clock takes 20 us, and nothing else any time, whatever the machine is busy with."""
    ticks = count(int(timezone.now().timestamp() * 1e6), 20)
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(next(ticks) / 1e6, UTC))
