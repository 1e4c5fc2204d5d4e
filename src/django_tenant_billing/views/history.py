"""What was used period by period: a page with charts and tables, and everything as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import quotas
from ..catalogue import FeatureKind
from ..charts import Bar, BarChart, bar_chart
from ..decisions import Decision
from ..models import UsageCounter
from ..money import format_count
from ..periods import FOREVER
from ..refusals import admit
from ..spreadsheets import BOM, lines
from ..usage_history import latest_past, pages_of_all
from ..zones import zone_of
from .pages import configured

PERIODS = 12
"""How many periods of each feature the page shows, the present one included."""

# For programs, so the same in every language.
HEADER = ("feature", "label", "period_start", "period_end", "used")


class Span(NamedTuple):
    """One period of one feature, as it is shown."""

    first: date
    last: date
    used: int
    present: bool

    @property
    def label(self) -> str:
        """Its first and last day."""
        days = date_format(self.first)
        if self.first != self.last:
            days = _("%(first)s to %(last)s") % {"first": days, "last": date_format(self.last)}
        return _("%(period)s, so far") % {"period": days} if self.present else days


class Story(NamedTuple):
    """The periods of one feature that happens, newest first, and the same as a chart, oldest first."""

    decision: Decision
    spans: list[Span]
    chart: BarChart
    bars: list[tuple[Bar, Span]]
    top: int
    """What the highest bar stands for."""
    ends: list[str]
    """The first and the last day of all."""
    summary: str
    """The chart in words; empty where nothing was counted in any of them."""


@never_cache
@require_safe
@configured
def history(request: HttpRequest) -> HttpResponseBase:
    """The last periods of each feature that happens, and what there is now of those that exist."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    zone, decisions = zone_of(organization), quotas.check_all(organization)
    # By the clock of the decisions: a period that ends meanwhile is there once, as the present one or as a past one.
    past = latest_past(organization, PERIODS - 1, decisions[0].as_of)
    told = [(decision, _spans(decision, past.get(decision.feature, []), zone)) for decision in decisions]
    context = {
        "here": "history",
        "organization": organization,
        "zone": str(zone),
        "periods": PERIODS,
        "stories": [_story(decision, spans) for decision, spans in told if spans],
        "existing": [decision for decision in decisions if decision.kind == FeatureKind.EXISTS],
    }
    return render(request, "tenant_billing/history.html", context)


@never_cache
@require_safe
@configured
def history_csv(request: HttpRequest) -> HttpResponseBase:
    """Every period of every feature; what exists has none. Moments are ISO 8601 in the organization's zone."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    # This starts the counters of what exists too, as the page does. Later nobody knows the reader's language.
    labels = {decision.feature: decision.label for decision in quotas.check_all(organization)}
    parts = _parts(organization, labels, zone_of(organization))
    # Django would first read all that a plain iterator gives under ASGI.
    content = _in_turn(parts) if isinstance(request, ASGIRequest) else parts
    headers = {"Content-Disposition": 'attachment; filename="usage-history.csv"'}
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def _spans(decision: Decision, past: list[UsageCounter], zone: tzinfo) -> list[Span]:
    """Newest first: the present one as the gate sees it, then those that are over."""
    start, end = decision.period_start, decision.period_end
    if start is None or end is None:
        return []
    present = Span(*_days(start, end, zone), decision.used, present=True)
    return [present, *(Span(*_days(row.period_start, row.period_end, zone), row.used, present=False) for row in past)]


def _story(decision: Decision, spans: list[Span]) -> Story:
    drawn = spans[::-1]
    chart = bar_chart([span.used for span in drawn])
    return Story(
        decision,
        spans,
        chart,
        bars=list(zip(chart.bars, drawn, strict=True)),
        top=max(span.used for span in spans),
        ends=[date_format(drawn[0].first), date_format(drawn[-1].last)],
        summary=_summary(drawn),
    )


def _summary(spans: list[Span]) -> str:
    """What the chart shows, for whoever does not see it."""
    high, low = max(spans, key=lambda span: span.used), min(spans, key=lambda span: span.used)
    if not high.used:
        return ""
    if high.used == low.used:
        return _("%(used)s in each period.") % {"used": format_count(high.used)}
    return _("Highest: %(high)s (%(high_period)s). Lowest: %(low)s (%(low_period)s).") % {
        "high": format_count(high.used),
        "high_period": high.label,
        "low": format_count(low.used),
        "low_period": low.label,
    }


def _days(start: datetime, end: datetime, zone: tzinfo) -> tuple[date, date]:
    """The first and the last day of a period, by the calendar of this zone."""
    return start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()


def _parts(organization: Model, labels: Mapping[str, str], zone: tzinfo) -> Iterator[str]:
    yield BOM + lines([HEADER])
    for page in pages_of_all(organization):
        yield lines(
            (
                row.feature_id,
                labels.get(row.feature_id, row.feature_id),
                None if row.period_start == FOREVER.start else row.period_start.astimezone(zone).isoformat(),
                None if row.period_end == FOREVER.end else row.period_end.astimezone(zone).isoformat(),
                row.used,
            )
            for row in page
        )


async def _in_turn(parts: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(parts, None))
    while (part := await following()) is not None:
        yield part
