"""The JSON of what is for sale: each plan, what it costs and what it gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse

from .. import clock
from ..models import Feature, Plan, PlanPrice
from ..subscriptions import subscription_of
from .endpoints import endpoint
from .paging import page_json
from .shared import rupees_json


@endpoint("GET", "view", revalidated=True)
def plans(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET api/plans/``: the plans for sale, lowest first. Constant in queries, whatever their number."""
    current = subscription_of(organization).plan_in_force(clock.now())
    features = list(Feature.objects.all())
    rows = Plan.objects.filter(is_active=True).prefetch_related("prices", "limits")
    return JsonResponse(
        page_json(request, rows, ("position", "code"), lambda plan: _plan_json(plan, features, current))
    )


def _plan_json(plan: Plan, features: Iterable[Feature], current: str) -> dict[str, Any]:
    limits = {limit.feature_id: limit.limit_value for limit in plan.limits.all()}
    prices = sorted(plan.prices.all(), key=lambda price: not price.is_default)
    return {
        "code": plan.code,
        "name": plan.name,
        "position": plan.position,
        "current": plan.code == current,
        "trial_days": plan.trial_days,
        "grace_days": plan.grace_days,
        "prices": [_price_json(price) for price in prices],
        "limits": {
            feature.slug: {
                # No row is not included, as the gate has it.
                "limit": limits.get(feature.slug, 0),
                "singular": feature.unit,
                "plural": feature.label,
                "kind": feature.kind,
            }
            for feature in features
        },
    }


def _price_json(price: PlanPrice) -> dict[str, Any]:
    return {
        "amount": rupees_json(price.amount_minor),
        "amount_minor": price.amount_minor,
        "to_pay": rupees_json(price.to_pay_minor),
        "to_pay_minor": price.to_pay_minor,
        "currency": price.currency,
        "term": price.term,
        "interval": price.interval,
        "interval_count": price.interval_count,
        "is_default": bool(price.is_default),
    }
