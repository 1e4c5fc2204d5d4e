"""The JSON of what was used in each period."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse

from ..models import UsageCounter
from .endpoints import endpoint
from .paging import page_json
from .shared import moment_json


@endpoint("GET", "view", revalidated=True)
def history(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET api/usage/history/``: of each feature that starts again, each period with its use, newest first."""
    rows = UsageCounter.objects.history_of(organization)
    return JsonResponse(page_json(request, rows, ("-period_start", "feature_id"), _counter_json))


def _counter_json(counter: UsageCounter) -> dict[str, Any]:
    return {
        "feature": counter.feature_id,
        "period_start": moment_json(counter.period_start),
        "period_end": moment_json(counter.period_end),
        "used": counter.used,
    }
