"""The HTML that tells where an organization stands: what is used, what was paid. Works without JavaScript."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import clock, quotas
from ..exceptions import Busy, CatalogueMissing, GatewayNotConfigured
from ..lifecycle import State
from ..models import PaymentTransaction
from ..money import format_money
from ..refusals import admit, refuse
from ..subscriptions import subscription_of
from .shared import come_again, result_url

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
def payment_list(request: HttpRequest) -> HttpResponseBase:
    """The latest payments of the organization."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    rows = PaymentTransaction.objects.filter(organization_id=organization.pk)[:50]
    context = {"organization": organization, "payments": [(row, result_url(row)) for row in rows]}
    return render(request, "tenant_billing/payments.html", context)


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


def not_found(request: HttpRequest, message: str) -> HttpResponse:
    """The page for something that is not there, or is somebody else's."""
    return refuse(request, HTTPStatus.NOT_FOUND, "not_found", message, json=False)
