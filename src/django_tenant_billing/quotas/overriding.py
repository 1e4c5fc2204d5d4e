"""Limits of one organization for a time: given and ended by a person, for a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model, Value
from django.db.models.functions import Greatest

from .. import clock
from ..exceptions import UnknownFeature
from ..models import Feature, LimitOverride
from .orders import text, whole


def override(
    organization: Model, feature: str, limit: int | None, *, reason: str, actor: Any,
    starts_at: datetime | None = None, ends_at: datetime | None = None,
) -> LimitOverride:  # fmt: skip
    """Let another limit hold for this organization, from ``starts_at`` (now) until ``ends_at`` (until ended by hand).

    None is unlimited, 0 is not included. The newest override in force decides; when it ends, what held before it is
    back. Raises UnknownFeature, ValueError.
    """
    if limit is not None:
        whole(limit, least=0)
    if not reason.strip() or not (by := text(actor, 150).strip()):
        raise ValueError("An override needs a reason and an actor: who did this to the organization, and why?")
    starts_at = starts_at or clock.now()
    if ends_at is not None and ends_at <= starts_at:
        raise ValueError("An override ends after it starts.")
    if not Feature.objects.filter(pk=feature).exists():
        raise UnknownFeature(feature)
    return LimitOverride.objects.create(
        organization_id=organization.pk, feature_id=feature, limit_value=limit, reason=reason.strip()[:200], actor=by,
        starts_at=starts_at, ends_at=ends_at,
    )  # fmt: skip


def end_override(given: LimitOverride) -> bool:
    """End an override now. False where it had ended; one that has not begun never will."""
    end = Greatest("starts_at", Value(clock.now()))
    return LimitOverride.objects.filter(pk=given.pk).exclude(ends_at__lte=end).update(ends_at=end) == 1
