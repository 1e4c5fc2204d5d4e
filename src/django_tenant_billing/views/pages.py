"""The HTML: what is used, what can be bought, how a payment stands. Works without JavaScript."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db.models import Model, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .. import clock, payments, quotas
from ..exceptions import (
    CatalogueMissing,
    GatewayNotConfigured,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    NotForSale,
)
from ..gateways.registry import usable_gateways
from ..models import PaymentTransaction, Plan, PlanLimit, PlanPrice
from ..money import format_money
from ..refusals import admit, refuse
from ..states import OPEN, PaymentState
from ..subscriptions import subscription_of
from .shared import actor_of, base_url, begins_later, non_atomic, result_url, see_other, token_fits

logger = logging.getLogger("tenant_billing")


def configured(view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """What is missing in the settings is for the log; the visitor is told that it is not their fault."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponseBase:
        try:
            return view(request)
        except (CatalogueMissing, GatewayNotConfigured) as error:
            logger.error("%s", error)
            text = _("Billing is not set up on this site yet. Nothing was charged.")
            return refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "not_configured", text, json=False)

    return wrapped


@never_cache
@require_safe
@configured
def overview(request: HttpRequest) -> HttpResponseBase:
    """The plan in force and how much of each feature is used."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    now = clock.now()
    subscription = subscription_of(organization).rolled(now)
    context = {
        "organization": organization,
        "plan": subscription.plan_in_force(now),
        "subscription": subscription,
        "state": subscription.state(now),
        "decisions": quotas.check_all(organization),
    }
    return render(request, "tenant_billing/overview.html", context)


@never_cache
@non_atomic
@require_http_methods(["GET", "HEAD", "POST"])
@configured
def plans(request: HttpRequest) -> HttpResponseBase:
    """What each plan gives and costs; a POST of ``plan`` and ``gateway`` sends the payer to the gateway."""
    organization = admit(request, "pay" if request.method == "POST" else "view", json=False)
    if not isinstance(organization, Model):
        return organization
    if request.method != "POST":
        return render(request, "tenant_billing/plans.html", _plans_context(organization))
    gateway = usable_gateways().get(alias := request.POST.get("gateway", ""))
    if gateway is None:
        return _sorry(request, organization, HTTPStatus.BAD_REQUEST, _("Choose how you want to pay."))
    try:
        _payment, checkout = payments.start(
            organization,
            request.POST.get("plan", ""),
            alias,
            base_url=base_url(request),
            actor=actor_of(request),
        )
    except NotForSale as error:
        return _sorry(request, organization, HTTPStatus.BAD_REQUEST, str(error))
    except GatewayTimeout:
        text = _("%(gateway)s does not answer. Nothing was charged. Try again in a minute.")
        return _sorry(request, organization, HTTPStatus.GATEWAY_TIMEOUT, text % {"gateway": gateway.label})
    except (GatewayUnavailable, GatewayRejected):
        text = _("%(gateway)s cannot take this payment now. Nothing was charged. Try again in a minute.")
        return _sorry(request, organization, HTTPStatus.BAD_GATEWAY, text % {"gateway": gateway.label})
    return see_other(checkout.url)


@never_cache
@require_safe
def payment_list(request: HttpRequest) -> HttpResponseBase:
    """The latest payments of the organization."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    rows = PaymentTransaction.objects.filter(organization_id=organization.pk)[:50]
    context = {"organization": organization, "payments": [(row, result_url(row)) for row in rows]}
    return render(request, "tenant_billing/payments.html", context)


@never_cache
@login_not_required
@require_safe
def result(request: HttpRequest, reference: str, token: str) -> HttpResponse:
    """How one payment stands, for whoever has its token. Reads only; the sweep and the callback ask."""
    payment = PaymentTransaction.objects.filter(reference=reference).first()
    if payment is None or payment.reference != reference or not token_fits(payment, token):
        raise Http404
    confirming = payment.status in OPEN or payment.status == PaymentState.CREATED
    context = {"payment": payment, "confirming": confirming, "begins": begins_later(payment)}
    return render(request, "tenant_billing/result.html", context)


def _plans_context(organization: Model) -> dict[str, Any]:
    """The compare table: constant in queries, whatever the number of plans and features."""
    rows = Plan.objects.filter(is_active=True).prefetch_related(
        Prefetch("limits", PlanLimit.objects.select_related("feature")),
        Prefetch("prices", PlanPrice.objects.filter(is_default=True), to_attr="default_prices"),
    )
    offers = []
    for plan in rows:
        price = next(iter(plan.default_prices), None)
        offers.append(
            {
                "plan": plan,
                "price": price,
                "price_text": format_money(price.amount_minor, price.currency) if price else "",
                "limits": list(plan.limits.all()),
                "for_sale": price is not None and price.amount_minor > 0,
            }
        )
    return {
        "organization": organization,
        "offers": offers,
        "current": subscription_of(organization).plan_in_force(clock.now()),
        "gateways": [(alias, gateway.label) for alias, gateway in usable_gateways().items()],
    }


def _sorry(request: HttpRequest, organization: Model, status: HTTPStatus, message: str) -> HttpResponse:
    context = {**_plans_context(organization), "error": message}
    return render(request, "tenant_billing/plans.html", context, status=status)


def not_found(request: HttpRequest, message: str) -> HttpResponse:
    """The page for something that is not there, or is somebody else's."""
    return refuse(request, HTTPStatus.NOT_FOUND, "not_found", message, json=False)
