"""The JSON of the contract. Always answers JSON; money in rupees as numbers and in paisa as integers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from .. import clock, payments, quotas
from ..exceptions import (
    BillingError,
    CatalogueMissing,
    GatewayNotConfigured,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    NotForSale,
)
from ..gateways.registry import gateway_aliases
from ..models import UsageCounter
from ..refusals import admit, has_bearer, refuse
from ..states import SETTLED, PaymentState
from ..subscriptions import subscription_of, usage_of
from .shared import actor_of, base_url, begins_later, moment_json, non_atomic, payment_json, subscription_json

P = ParamSpec("P")
MAX_BODY = 10_000
NAMES = ("reference", "payment_id", "pidx", "transaction_id")
"""What a client may call a payment in ``verify``: they are the same thing to us."""


class _BadBody(Exception):
    """A body that is not what the view needs; its text goes to the client."""


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def endpoint(
    method: str, action: str
) -> Callable[
    [Callable[Concatenate[HttpRequest, Model, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """One JSON view: its method, the ruled order of refusals, CSRF unless a Bearer token came, errors as JSON."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, Model, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method != method and (request.method, method) != ("HEAD", "GET"):
                refusal = _refuse(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Use {method}.")
                refusal.headers["Allow"] = method
                return refusal
            organization = admit(request, action, json=True)
            if not isinstance(organization, Model):
                return organization
            if method != "GET" and not has_bearer(request) and (reason := _csrf_problem(request)):
                return _refuse(request, HTTPStatus.FORBIDDEN, "csrf_failed", reason)
            try:
                return view(request, organization, *args, **kwargs)
            except (_BadBody, BillingError) as error:
                return _refuse(request, *_meaning(error))

        decorated: Any = never_cache(csrf_exempt(login_not_required(wrapped)))
        return decorated  # type: ignore[no-any-return]

    return decorate


@endpoint("GET", "view")
def usage(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET usage/``: every feature as the gate would judge it now."""
    decisions = {decision.feature: decision for decision in quotas.check_all(organization)}
    head = usage_of(organization)
    latest = UsageCounter.objects.filter(organization_id=organization.pk).order_by("-updated_at").first()

    def used(feature: str) -> int:
        return decisions[feature].used if feature in decisions else 0

    return JsonResponse(
        {
            "organization": str(organization),
            "plan": subscription_of(organization).plan_in_force(clock.now()),
            "invoices_created": used("invoices"),
            "customers_created": used("customers"),
            "team_members_added": used("team_members"),
            "api_calls_used": used("api_calls"),
            "updated_at": moment_json(max(head.updated_at, latest.updated_at) if latest else head.updated_at),
            "features": {slug: decision.facts() for slug, decision in decisions.items()},
        }
    )


@non_atomic
@endpoint("POST", "pay")
def init(request: HttpRequest, organization: Model, gateway: str) -> HttpResponse:
    """``POST <gateway>/init/ {"plan": "PRO"}``: start a payment; send the payer to ``payment_url``."""
    if gateway not in gateway_aliases():
        return _unknown_gateway(request, gateway)
    plan = _text(_body(request), "plan")
    payment, checkout = payments.start(organization, plan, gateway, base_url=base_url(request), actor=actor_of(request))
    return JsonResponse(
        {
            **payment_json(payment),
            "pidx": payment.gateway_reference,
            "payment_url": checkout.url,
            "method": checkout.method,
            "data": dict(checkout.fields),
            "expires_at": moment_json(checkout.expires_at),
        }
    )


@non_atomic
@endpoint("POST", "pay")
def verify(request: HttpRequest, organization: Model, gateway: str) -> HttpResponse:
    """``POST <gateway>/verify/ {"reference": ...}``: ask the gateway now. 200 paid, 202 confirming, 409 not paid."""
    if gateway not in gateway_aliases():
        return _unknown_gateway(request, gateway)
    body = _body(request)
    name = next((name for name in NAMES if name in body), None)
    if name is None:
        raise _BadBody(_('Name the payment: {"reference": "..."}.'))
    payment = payments.find(gateway, _text(body, name), organization)
    if payment is None:
        return _refuse(request, HTTPStatus.NOT_FOUND, "payment_not_found", _("There is no such payment."))
    payment = payments.settle(payment, actor=actor_of(request))
    status, http_status, message = _told(PaymentState(payment.status))
    if status == "success" and begins_later(payment):
        message = _("Payment received. The plan begins when the time you have paid for ends.")
    return JsonResponse(
        {
            "status": status,
            "message": message,
            **payment_json(payment),
            "payment_status": payment.status,
            "subscription": subscription_json(subscription_of(organization)),
        },
        status=http_status,
    )


def _told(state: PaymentState) -> tuple[str, HTTPStatus, str]:
    if state == PaymentState.PAID:
        return "success", HTTPStatus.OK, _("Payment received. Your plan is active.")
    if state == PaymentState.REVIEW:
        return "pending", HTTPStatus.ACCEPTED, _("Your payment arrived and is being looked at by a person.")
    if state in SETTLED:
        return "failed", HTTPStatus.CONFLICT, _("This payment was refunded.")
    if state in (PaymentState.CREATED, PaymentState.INITIATED, PaymentState.PENDING):
        return "pending", HTTPStatus.ACCEPTED, _("We are still confirming your payment.")
    return "failed", HTTPStatus.CONFLICT, _("The gateway told us that this was not paid. Nothing was charged for it.")


def _meaning(error: Exception) -> tuple[HTTPStatus, str, str]:
    if isinstance(error, _BadBody):
        return HTTPStatus.BAD_REQUEST, "bad_request", str(error)
    if isinstance(error, NotForSale):
        return HTTPStatus.BAD_REQUEST, "not_for_sale", str(error)
    if isinstance(error, GatewayTimeout):
        return HTTPStatus.GATEWAY_TIMEOUT, "gateway_timeout", _("The gateway does not answer. Try again in a minute.")
    if isinstance(error, GatewayUnavailable | GatewayRejected):
        return (
            HTTPStatus.BAD_GATEWAY,
            "gateway_unavailable",
            _("The gateway cannot take this payment now. Nothing was charged. Try again in a minute."),
        )
    if isinstance(error, GatewayNotConfigured | CatalogueMissing):
        return HTTPStatus.SERVICE_UNAVAILABLE, "not_configured", str(error)
    raise error


def _body(request: HttpRequest) -> dict[str, Any]:
    if request.content_type != "application/json":
        return dict(request.POST.items())
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        raise _BadBody(_("The body is too large."))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _BadBody(_("The body must be a JSON object."))
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 100 or not value.isprintable():
        raise _BadBody(_('"%(name)s" must be a text of 1 to 100 characters.') % {"name": name})
    return value


def _csrf_problem(request: HttpRequest) -> str:
    check = _CsrfCheck(lambda _request: HttpResponse())
    check.process_request(request)
    return check.process_view(request, None, (), {}) or ""  # type: ignore[arg-type, return-value]


def _unknown_gateway(request: HttpRequest, gateway: str) -> HttpResponse:
    text = _("There is no payment gateway %(gateway)r here.") % {"gateway": gateway}
    return _refuse(request, HTTPStatus.NOT_FOUND, "gateway_not_found", text)


def _refuse(request: HttpRequest, status: HTTPStatus, code: str, message: str) -> HttpResponse:
    return refuse(request, status, code, message, json=True)
