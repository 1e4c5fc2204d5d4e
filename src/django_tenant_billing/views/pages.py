"""The HTML: what is used, what can be bought, how a payment stands. Works without JavaScript."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.db.models import Model, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import clock, quotas
from ..exceptions import Busy, CatalogueMissing, GatewayNotConfigured
from ..gateways.registry import usable_gateways
from ..lifecycle import State
from ..models import PaymentTransaction, Plan, PlanLimit, PlanPrice
from ..money import format_money
from ..refusals import admit, refuse
from ..states import OPEN, PaymentState
from ..subscriptions import may_try, subscription_of
from ..tokens import token_fits
from .receipts import receipt_url
from .shared import begins_later, come_again, private, result_url

P = ParamSpec("P")
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
def plans(request: HttpRequest) -> HttpResponseBase:
    """What each plan gives and costs."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    return plans_page(request, organization)


@never_cache
@require_safe
def payment_list(request: HttpRequest) -> HttpResponseBase:
    """The latest payments of the organization."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    rows = PaymentTransaction.objects.filter(organization_id=organization.pk).select_related("receipt")[:50]
    context = {"organization": organization, "payments": [(row, result_url(row)) for row in rows]}
    return render(request, "tenant_billing/payments.html", context)


@private
@login_not_required
@require_safe
def result(request: HttpRequest, reference: str, token: str) -> HttpResponse:
    """How one payment stands, for whoever has its token. Reads only; the sweep and the callback ask."""
    # The token first: whoever guesses learns nothing from the time that a look for the payment takes.
    if not token_fits(reference, token):
        raise Http404
    payment = get_object_or_404(PaymentTransaction, reference=reference)
    created = payment.status == PaymentState.CREATED
    gateway = usable_gateways().get(payment.gateway) if created else None
    by_hand = gateway if gateway is not None and gateway.by_hand else None
    context = {
        "payment": payment,
        "by_hand": by_hand,
        "confirming": payment.status in OPEN or (created and by_hand is None),
        "begins": begins_later(payment),
        "receipt_url": receipt_url(request, payment),
    }
    return render(request, "tenant_billing/result.html", context)


def overview_page(
    request: HttpRequest, organization: Model, *, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    """Where the subscription stands, what can be done to it, and how much of each feature is used."""
    now = clock.now()
    subscription = subscription_of(organization).rolled(now)
    state = subscription.state(now)
    running = state in (State.ACTIVE, State.TRIALING) and subscription.period_end is not None
    context = {
        "organization": organization,
        "plan": subscription.plan_in_force(now),
        "subscription": subscription,
        "state": state,
        "credit": format_money(subscription.credit_minor, subscription.credit_currency),
        "may_cancel": running,
        "may_renew": subscription.period_end is not None,
        "decisions": quotas.check_all(organization),
        "error": error,
    }
    return render(request, "tenant_billing/overview.html", context, status=status)


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


def not_found(request: HttpRequest, message: str) -> HttpResponse:
    """The page for something that is not there, or is somebody else's."""
    return refuse(request, HTTPStatus.NOT_FOUND, "not_found", message, json=False)
