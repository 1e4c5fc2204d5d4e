"""The HTML: what is used, what can be bought, how a payment stands. Works without JavaScript."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.db.models import Model, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .. import clock, payments, quotas
from ..exceptions import GatewayNotConfigured, GatewayRejected, GatewayTimeout, GatewayUnavailable, NotForSale
from ..gateways.registry import gateway_aliases, get_gateway
from ..models import PaymentTransaction, Plan, PlanLimit, PlanPrice
from ..money import format_money
from ..refusals import admit, refuse
from ..states import OPEN, PaymentState
from ..subscriptions import subscription_of
from .shared import actor_of, base_url, result_url, token_fits


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponseBase:
    """The plan in force and how much of each feature is used."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    subscription = subscription_of(organization)
    context = {
        "organization": organization,
        "plan": subscription.plan_in_force(clock.now()),
        "subscription": subscription,
        "lapsed": subscription.plan_in_force(clock.now()) != subscription.plan_id,
        "decisions": quotas.check_all(organization),
    }
    return render(request, "tenant_billing/overview.html", context)


@never_cache
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
def plans(request: HttpRequest) -> HttpResponseBase:
    """What each plan gives and costs; a POST of ``plan`` and ``gateway`` sends the payer to the gateway."""
    organization = admit(request, "pay" if request.method == "POST" else "view", json=False)
    if not isinstance(organization, Model):
        return organization
    if request.method != "POST":
        return render(request, "tenant_billing/plans.html", _plans_context(organization))
    alias = request.POST.get("gateway", "")
    if alias not in gateway_aliases():
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
        return _sorry(request, organization, HTTPStatus.GATEWAY_TIMEOUT, text % {"gateway": get_gateway(alias).label})
    except (GatewayUnavailable, GatewayRejected):
        text = _("%(gateway)s cannot take this payment now. Nothing was charged. Try again in a minute.")
        return _sorry(request, organization, HTTPStatus.BAD_GATEWAY, text % {"gateway": get_gateway(alias).label})
    except GatewayNotConfigured as error:
        return _sorry(request, organization, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    response = HttpResponseRedirect(checkout.url)
    response.status_code = HTTPStatus.SEE_OTHER
    return response


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
    return render(request, "tenant_billing/result.html", {"payment": payment, "confirming": confirming})


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
        "gateways": [(alias, get_gateway(alias).label) for alias in gateway_aliases()],
    }


def _sorry(request: HttpRequest, organization: Model, status: HTTPStatus, message: str) -> HttpResponse:
    context = {**_plans_context(organization), "error": message}
    return render(request, "tenant_billing/plans.html", context, status=status)


def not_found(request: HttpRequest, message: str) -> HttpResponse:
    """The page for something that is not there, or is somebody else's."""
    return refuse(request, HTTPStatus.NOT_FOUND, "not_found", message, json=False)
