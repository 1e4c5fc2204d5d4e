"""The JSON of the contract. Always answers JSON; money in rupees as numbers and in paisa as integers."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from .. import clock, payments, quotas
from ..gateways.registry import gateway_aliases
from ..models import UsageCounter
from ..payments.throttling import may_initiate, may_verify
from ..states import SETTLED, PaymentState
from ..subscriptions import subscription_of, usage_of
from .endpoints import BadBody, body_of, chosen, endpoint, refused, text_of
from .shared import actor_of, base_url, begins_later, moment_json, non_atomic, payment_json, subscription_json

NAMES = ("reference", "payment_id", "pidx", "transaction_id", "transaction_uuid")
"""What a client may call a payment in ``verify``: they are the same thing to us."""


@endpoint("GET", "view", revalidated=True)
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
    """``POST <gateway>/init/ {"plan": "PRO", "term": "year"}``: start a payment; send the payer to ``payment_url``."""
    if gateway not in gateway_aliases():
        return _unknown_gateway(request, gateway)
    plan, term = chosen(body_of(request))
    may_initiate(organization, request.user.pk)
    payment, checkout = payments.start(
        organization, plan, gateway, base_url=base_url(request), price=term, actor=actor_of(request)
    )
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
    body = body_of(request)
    # Khalti's own return has an empty transaction_id beside its pidx.
    named = next((text for name in NAMES if (text := text_of(body, name))), None)
    if named is None:
        raise BadBody(_('Name the payment: {"reference": "..."}.'))
    payment = payments.find(gateway, named, organization)
    if payment is None:
        return refused(request, HTTPStatus.NOT_FOUND, "payment_not_found", _("There is no such payment."))
    may_verify(payment)
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


def _unknown_gateway(request: HttpRequest, gateway: str) -> HttpResponse:
    text = _("There is no payment gateway %(gateway)r here.") % {"gateway": gateway}
    return refused(request, HTTPStatus.NOT_FOUND, "gateway_not_found", text)
