"""What was used in periods that are over: counter rows are never reset, so history is read and not written.

A period in which nothing was counted has no row. What the limit was then is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import F, Model, Q, Window
from django.db.models.functions import RowNumber

from .models import UsageCounter

PAGE = 1000
"""How many rows are in memory at once while all are read."""


def latest_past(organization: Model, number: int, now: datetime) -> dict[str, list[UsageCounter]]:
    """The last ``number`` periods of each feature that ended until ``now``, newest first, by slug. One query."""
    place = Window(RowNumber(), partition_by=F("feature_id"), order_by=F("period_start").desc())
    rows = UsageCounter.objects.history_of(organization).filter(period_end__lte=now).annotate(place=place)
    found: dict[str, list[UsageCounter]] = {}
    for row in rows.filter(place__lte=number).order_by("feature_id", "-period_start"):
        found.setdefault(row.feature_id, []).append(row)
    return found


def pages_of_all(organization: Model) -> Iterator[list[UsageCounter]]:
    """Every row of the organization, oldest first in each feature, at most PAGE at a time.

    Each page is a query of its own that goes on by key: whoever reads slowly holds no cursor and no transaction, and
    no driver loads the rest meanwhile.
    """
    rows = UsageCounter.objects.filter(organization_id=organization.pk).order_by("feature_id", "period_start")
    page = list(rows[:PAGE])
    while page:
        yield page
        last = page[-1]
        later = Q(feature_id__gt=last.feature_id) | Q(period_start__gt=last.period_start)
        page = list(rows.filter(later, feature_id__gte=last.feature_id)[:PAGE]) if len(page) == PAGE else []
