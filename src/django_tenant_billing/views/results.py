"""How one payment stands, for the person who made it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from ..models import PaymentTransaction
from ..tokens import token_fits
from .outcomes import told
from .receipts import receipt_url
from .shared import private, result_url, term_of

REFRESH_SECONDS = 30


@private
@login_not_required
@require_safe
def result(request: HttpRequest, reference: str, token: str) -> HttpResponse:
    """How one payment stands, for whoever has its token. Reads only; the sweep and the callback ask.

    While it is being confirmed the page looks again by itself, which ``?still`` stops.
    """
    # The token first: whoever guesses learns nothing from the time that a look for the payment takes.
    if not token_fits(reference, token):
        raise Http404
    payment = get_object_or_404(PaymentTransaction.objects.select_related("plan", "receipt"), reference=reference)
    said = told(payment)
    watching = said.confirming and "still" not in request.GET
    context = {
        "here": "payments",
        "payment": payment,
        "receipt_url": receipt_url(request, payment),
        "term": term_of(payment),
        "told": said,
        "url": result_url(payment),
        "watching": watching,
    }
    response = render(request, "tenant_billing/result.html", context)
    if watching:
        response.headers["Refresh"] = str(REFRESH_SECONDS)
    return response
