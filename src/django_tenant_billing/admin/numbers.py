"""The page of numbers: what staff looks at first. Everything on it is read by metrics.py."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import clock, metrics
from ..charts import Bar, BarChart, bar_chart
from ..lifecycle import State
from ..money import format_money
from .base import only_look, page

LISTED = 10
"""How many trials that end soon are named."""


class Takings(NamedTuple):
    """What came in one currency: days with their bars, and the same in a sentence."""

    currency: str
    chart: BarChart
    days: list[tuple[Bar, metrics.Day, str]]
    summary: str

    @property
    def ends(self) -> tuple[date, date]:
        """The first day and the last."""
        return self.days[0][1].day, self.days[-1][1].day


def may_see_numbers(request: HttpRequest) -> bool:
    return request.user.has_perms(("tenant_billing.view_subscription", "tenant_billing.view_paymenttransaction"))


def numbers_page(site_admin: Any, request: HttpRequest) -> HttpResponse:
    """The page, for whoever may see subscriptions and payments. The same number of queries however many there are."""
    only_look(request, may=may_see_numbers(request))
    now, zone = clock.now(), timezone.get_current_timezone()
    plans = metrics.subscriptions_by_plan(now)
    trials = list(metrics.trials_ending(now).select_related("organization")[: LISTED + 1])
    shown = {
        "now": now,
        "states": [state.label for state in State],
        "plans": [(plan, _by_state(states), sum(states.values())) for plan, states in plans.items()],
        "months": [_month(month) for month in metrics.monthly_revenue(now)],
        "trials": trials[:LISTED],
        "more_trials": len(trials) > LISTED,
        "review": metrics.in_review(),
        "attempts": [(state.label, number) for state, number in metrics.attempts(now, zone).items()],
        "takings": [_takings(currency, days) for currency, days in metrics.takings(now, zone).items()],
        "beats": metrics.heartbeats(now),
        "days": metrics.DAYS,
        "trial_days": metrics.TRIALS_WITHIN.days,
    }
    return page(site_admin, request, "numbers", title=_("Numbers"), **shown)


def _by_state(states: dict[State, int]) -> list[tuple[str, int]]:
    return [(str(state.label), states.get(state, 0)) for state in State]


def _month(month: metrics.Month) -> dict[str, Any]:
    return {
        "currency": month.currency,
        "plans": [(plan, format_money(worth, month.currency)) for plan, worth in month.by_plan.items()],
        "total": format_money(month.total_minor, month.currency),
    }


def _takings(currency: str, days: list[metrics.Day]) -> Takings:
    chart = bar_chart([day.money_minor for day in days])
    number = sum(day.payments for day in days)
    facts = {"money": format_money(sum(day.money_minor for day in days), currency), "number": number}
    told = ngettext("%(money)s came in %(number)d payment.", "%(money)s came in %(number)d payments.", number)
    bars = [(bar, day, format_money(day.money_minor, currency)) for bar, day in zip(chart.bars, days, strict=True)]
    return Takings(currency, chart, bars, told % facts)
