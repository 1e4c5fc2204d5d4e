"""How one payment stands, for the person who made it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from ..gateways.registry import usable_gateways
from ..models import PaymentTransaction
from ..states import OPEN, PaymentState
from ..tokens import token_fits
from .shared import begins_later, private


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
    }
    return render(request, "tenant_billing/result.html", context)
