"""The front page: what visitors are sold, and what a member sees first."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_tenant_billing.models import Plan, PlanLimit, PlanPrice

from orgs.http import OrganizationRequest


def index(request: OrganizationRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return landing(request)
    if request.organization is None:
        return render(request, "no_organization.html")
    return dashboard(request)


def landing(request: HttpRequest) -> HttpResponse:
    """Plans, prices and limits as they stand in the admin: three queries, however many there are."""
    plans = Plan.objects.filter(is_active=True).prefetch_related(
        Prefetch("prices", PlanPrice.objects.filter(is_default=True)),
        Prefetch("limits", PlanLimit.objects.select_related("feature")),
    )
    return render(request, "landing.html", {"plans": plans})


def dashboard(request: OrganizationRequest) -> HttpResponse:
    """Usage comes from the package's template tags, which share one query."""
    latest = request.organization.invoices.select_related("customer")[:5]
    return render(request, "dashboard.html", {"latest": latest})
