"""Where gateways send payers back: one route for all of them. A claim is logged, then the gateway is asked."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from .. import payments
from ..exceptions import Busy, CallbackRejected, GatewayNotConfigured, SignatureRejected
from ..gateways.base import Claim
from ..gateways.registry import gateway_aliases, get_gateway
from ..models import PaymentTransaction
from ..payments.claims import claim_fits
from ..payments.suspecting import suspect
from ..payments.throttling import may_look_up
from .clients import client_address
from .pages import not_found
from .shared import actor_of, non_atomic, private, result_url, see_other

logger = logging.getLogger("tenant_billing")


@private
@csrf_exempt
@login_not_required
@non_atomic
@require_GET
def callback(request: HttpRequest, gateway: str, reference: str | None = None) -> HttpResponse:
    """Needs no cookie and believes nothing: whatever the query says, only the gateway's own answer settles.

    A browser that brings the gateway's own reference, or its signature, is shown how the payment stands. Anybody else
    learns nothing: our reference is no capability.
    """
    if gateway not in gateway_aliases():
        raise Http404
    try:
        claim = get_gateway(gateway).read_callback(request)
    except CallbackRejected as error:
        _reject(request, gateway, reference, error)
        raise
    except GatewayNotConfigured as error:
        # Somebody may just have paid: the claim is kept, and the sweep asks when the settings are mended.
        _reject(request, gateway, reference, error)
        logger.error("%s", error)
        return see_other(reverse("tenant_billing:payments"))
    payment, fits = _ask(request, gateway, reference, claim)
    if payment is None:
        return not_found(request, _("There is no such payment."))
    return see_other(result_url(payment) if fits else reverse("tenant_billing:payments"))


@private
@csrf_exempt
@login_not_required
@non_atomic
@require_GET
def failure(request: HttpRequest, gateway: str, reference: str | None = None) -> HttpResponse:
    """Where a gateway sends whoever did not pay, or paid and was not told yet. It makes us ask, and fails no payment.

    What comes with such a browser is documented nowhere; whatever it is, its payer is shown a page.
    """
    if gateway not in gateway_aliases():
        raise Http404
    claim = Claim(reference=None, gateway_reference=None, status="")
    try:
        claim = get_gateway(gateway).read_callback(request)
    except (CallbackRejected, GatewayNotConfigured) as error:
        _reject(request, gateway, reference, error)
    payment, fits = _ask(request, gateway, reference, claim)
    return see_other(result_url(payment) if payment and fits else reverse("tenant_billing:payments"))


def _ask(
    request: HttpRequest, gateway: str, reference: str | None, claim: Claim
) -> tuple[PaymentTransaction | None, bool]:
    """Log the claim and ask the gateway about the payment it names: how that stands now, and whether the claim fits.

    Asked too often, or while somebody else holds the payment, nobody is asked here: the sweep does it soon.
    """
    named = reference or claim.reference or ""
    payment = payments.find(gateway, named) if named else None
    try:
        fits = payments.record_claim(gateway, claim, payment, actor=actor_of(request))
    except Busy:
        return payment, claim_fits(claim, payment)
    if payment is None:
        return None, fits
    if not may_look_up(payment, client_address(request)):
        suspect(payment, gateway, "burst")
        return payment, fits
    with suppress(Busy):
        payment = payments.settle(payment, actor="callback")
    return payment, fits


def _reject(request: HttpRequest, gateway: str, reference: str | None, error: Exception) -> None:
    payments.record_rejected(
        gateway,
        reference or "",
        str(error),
        actor=actor_of(request),
        forged=isinstance(error, SignatureRejected),
    )
