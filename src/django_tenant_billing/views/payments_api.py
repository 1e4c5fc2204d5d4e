"""The JSON of the organization's payments. Reads only: ``verify/`` asks the gateway."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from ..models import PaymentTransaction
from .endpoints import endpoint, refused
from .paging import page_json
from .shared import moment_json, payment_json, rupees_json


@endpoint("GET", "view")
def payment_list(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET api/payments/``: every attempt to pay, newest first."""
    return JsonResponse(page_json(request, _payments_of(organization), ("-created_at", "-pk"), _full_json))


@endpoint("GET", "view")
def payment(request: HttpRequest, organization: Model, reference: str) -> HttpResponse:
    """``GET api/payments/<reference>/``: how one stands; 404 for one of somebody else."""
    # What cannot be a reference is not asked for: PostgreSQL refuses a NUL. To the letter: MariaDB has no upper case.
    asked = _payments_of(organization).filter(reference=reference) if reference.isprintable() else ()
    found = next((row for row in asked if row.reference == reference), None)
    if found is None:
        return refused(request, HTTPStatus.NOT_FOUND, "payment_not_found", _("There is no such payment."))
    return JsonResponse(_full_json(found))


def _payments_of(organization: Model) -> QuerySet[PaymentTransaction]:
    return PaymentTransaction.objects.filter(organization_id=organization.pk).select_related("receipt")


def _full_json(row: PaymentTransaction) -> dict[str, Any]:
    return {
        **payment_json(row),
        "status": row.status,
        "interval": row.interval,
        "interval_count": row.interval_count,
        "credit": rupees_json(row.credit_minor),
        "credit_minor": row.credit_minor,
        "refunded": rupees_json(row.refunded_minor),
        "refunded_minor": row.refunded_minor,
        "created_at": moment_json(row.created_at),
        "paid_at": moment_json(row.paid_at),
        "receipt": row.receipt.number if hasattr(row, "receipt") else None,
    }
