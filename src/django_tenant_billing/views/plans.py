"""What each plan gives and costs."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import Model, Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import clock
from ..models import Plan, PlanLimit, PlanPrice
from ..refusals import admit
from ..subscriptions import may_try, subscription_of
from .pages import configured


@never_cache
@require_safe
@configured
def plans(request: HttpRequest) -> HttpResponseBase:
    """What each plan gives and costs."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    return plans_page(request, organization)


def plans_page(
    request: HttpRequest, organization: Model, *, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    """The compare table: constant in queries, whatever the number of plans and features."""
    rows = Plan.objects.filter(is_active=True).prefetch_related(
        Prefetch("limits", PlanLimit.objects.select_related("feature")),
        Prefetch("prices", PlanPrice.objects.filter(amount_minor__gt=0)),
    )
    context = {
        "organization": organization,
        "offers": [(plan, sorted(plan.prices.all(), key=lambda price: not price.is_default)) for plan in rows],
        "current": subscription_of(organization).plan_in_force(clock.now()),
        "may_try": any(plan.trial_days for plan in rows) and may_try(organization),
        "error": error,
    }
    return render(request, "tenant_billing/plans.html", context, status=status)
