"""What every page of the frame needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def memberships(request: HttpRequest) -> dict[str, Any]:
    """The user's own memberships, for the switcher; one query, on pages that show it."""
    if not request.user.is_authenticated:
        return {}
    return {"memberships": request.user.memberships.select_related("organization").order_by("organization__name")}
