"""The HTML that tells where an organization stands: what is used, what was paid. Works without JavaScript."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import clock, quotas
from ..conf import conf
from ..exceptions import Busy, CatalogueMissing, GatewayNotConfigured
from ..lifecycle import State
from ..models import PaymentTransaction, Plan, PlanLimit, Subscription
from ..models.quotes import excess_under
from ..money import format_money
from ..organizations import may
from ..refusals import admit, refuse
from ..states import PaymentState
from ..subscriptions import subscription_of
from .badges import PAYMENT, SUBSCRIPTION
from .offers import Benefit
from .shared import come_again, result_url

P = ParamSpec("P")
PER_PAGE = 25
logger = logging.getLogger("tenant_billing")


def configured(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """What is missing in the settings is for the log; the visitor is told that it is not their fault."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except (CatalogueMissing, GatewayNotConfigured) as error:
            logger.error("%s", error)
            text = _("Billing is not set up on this site yet. Nothing was charged.")
            return refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "not_configured", text, json=False)
        except Busy as error:
            text = _("Somebody else is changing this right now. Nothing was changed. Try again in a few seconds.")
            return come_again(refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "busy", text, json=False), error)

    return wrapped


@never_cache
@require_safe
@configured
def overview(request: HttpRequest) -> HttpResponseBase:
    """The plan in force and how much of each feature is used."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    return overview_page(request, organization)


@never_cache
@require_safe
@configured
def cancel(request: HttpRequest) -> HttpResponseBase:
    """What canceling would end and when, before anybody does it."""
    organization = admit(request, "pay", json=False)
    if not isinstance(organization, Model):
        return organization
    now = clock.now()
    subscription = subscription_of(organization).rolled(now)
    if not _runs(subscription, now):
        return overview_page(request, organization)
    names = dict(Plan.objects.values_list("pk", "name"))
    limits = PlanLimit.objects.filter(plan=conf.fallback_plan).select_related("feature")
    context = {
        "here": "overview",
        "organization": organization,
        "subscription": subscription,
        "plan_name": names[subscription.plan_id],
        "then_name": names.get(conf.fallback_plan, conf.fallback_plan),
        "benefits": [Benefit(feature=limit.feature, limit=limit.limit_value) for limit in limits],
        "excess": excess_under(subscription, conf.fallback_plan),
    }
    return render(request, "tenant_billing/cancel.html", context)


@never_cache
@require_safe
def payment_list(request: HttpRequest) -> HttpResponseBase:
    """The payments of the organization, the latest first; ``?page=2`` turns the page."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    rows = PaymentTransaction.objects.filter(organization_id=organization.pk).select_related("plan", "receipt")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "here": "payments",
        "organization": organization,
        "page": page,
        "payments": [(row, result_url(row), PAYMENT[PaymentState(row.status)]) for row in page],
    }
    return render(request, "tenant_billing/payments.html", context)


def overview_page(
    request: HttpRequest, organization: Model, *, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    """Where the subscription stands, what can be done to it, and how much of each feature is used."""
    now = clock.now()
    subscription = subscription_of(organization).rolled(now)
    state = subscription.state(now)
    decisions = quotas.check_all(organization)
    names = dict(Plan.objects.values_list("pk", "name"))
    in_force = subscription.plan_in_force(now)
    context = {
        "here": "overview",
        "organization": organization,
        "plan": in_force,
        "plan_name": names.get(in_force, in_force),
        "bought_name": names[subscription.plan_id],
        "next_name": names.get(str(subscription.next_plan_id), ""),
        "subscription": subscription,
        "state": state,
        "badge": SUBSCRIPTION[state],
        "credit": format_money(subscription.credit_minor, subscription.credit_currency),
        "may_pay": may(request, organization, "pay"),
        "may_cancel": _runs(subscription, now),
        "may_renew": subscription.period_end is not None,
        "decisions": decisions,
        "near": sorted((one for one in decisions if one.is_near), key=lambda decision: decision.remaining != 0),
        "error": error,
    }
    return render(request, "tenant_billing/overview.html", context, status=status)


def _runs(subscription: Subscription, now: datetime) -> bool:
    """Is there something that goes on and could be canceled?"""
    return subscription.state(now) in (State.ACTIVE, State.TRIALING) and subscription.period_end is not None


def not_found(request: HttpRequest, message: str) -> HttpResponse:
    """The page for something that is not there, or is somebody else's."""
    return refuse(request, HTTPStatus.NOT_FOUND, "not_found", message, json=False)
