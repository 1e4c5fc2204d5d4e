"""The receipt of a payment, to be printed, and who is shown the way to it."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..exceptions import NotAuthorized, OrganizationNotFound
from ..gateways.registry import usable_gateways
from ..models import PaymentTransaction, Receipt
from ..models.receipts import described
from ..organizations import authorize, organization_of
from ..refusals import admit, refuse


@never_cache
@require_safe
def receipt(request: HttpRequest, reference: str) -> HttpResponseBase:
    """The receipt of a payment of this organization, with what went back since; 404 for everybody else's."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    rows = Receipt.objects.select_related("payment__activation")
    found = rows.filter(payment__reference=reference, payment__organization_id=organization.pk).first()
    # To the letter: a database may not tell upper from lower case.
    if found is None or found.payment.reference != reference:
        text = _("There is no such receipt.")
        return refuse(request, HTTPStatus.NOT_FOUND, "not_found", text, json=False)
    payment, bought = found.payment, found.payment.activation
    gateway = usable_gateways().get(payment.gateway)
    context = {
        "here": "payments",
        "organization": organization,
        "receipt": found,
        "payment": payment,
        "line": described(bought.plan, bought.interval, bought.interval_count),
        "gateway": payment.gateway if gateway is None else gateway.label,
        "refunds": found.refunds,
    }
    return render(request, "tenant_billing/receipt.html", context)


def receipt_url(request: HttpRequest, payment: PaymentTransaction) -> str | None:
    """Where the receipt of this payment is, for somebody who may see it; None for others, and where there is none."""
    user = getattr(request, "user", None)
    if not hasattr(payment, "receipt") or user is None or not user.is_authenticated:
        return None
    try:
        organization = organization_of(request)
        authorize(request, organization, "view")
    except (OrganizationNotFound, NotAuthorized):
        return None
    if organization.pk != payment.organization_id:
        return None
    return reverse("tenant_billing:receipt", args=[payment.reference])
