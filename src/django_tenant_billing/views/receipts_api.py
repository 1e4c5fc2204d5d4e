"""The JSON of the organization's receipts, each as it was written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import BigIntegerField, Model, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from ..models import Receipt
from .endpoints import endpoint, refused
from .paging import page_json
from .shared import moment_json, rupees_json


@endpoint("GET", "view")
def receipt_list(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET api/receipts/``: every receipt, newest first."""
    return JsonResponse(page_json(request, _receipts_of(organization), ("-number",), _receipt_json))


@endpoint("GET", "view")
def receipt(request: HttpRequest, organization: Model, number: str) -> HttpResponse:
    """``GET api/receipts/<number>/``: 404 for one of somebody else."""
    # As it is written, and no larger than a database can hold: isdigit alone knows digits of many scripts.
    plain = number.isascii() and number.isdigit() and len(number) < len(str(BigIntegerField.MAX_BIGINT))
    found = _receipts_of(organization).filter(number=number).first() if plain else None
    if found is None or str(found.number) != number:
        return refused(request, HTTPStatus.NOT_FOUND, "receipt_not_found", _("There is no such receipt."))
    return JsonResponse(_receipt_json(found))


def _receipts_of(organization: Model) -> QuerySet[Receipt]:
    return Receipt.objects.filter(organization_id=organization.pk).select_related("payment")


def _receipt_json(row: Receipt) -> dict[str, Any]:
    return {
        "number": row.number,
        "issued_at": moment_json(row.issued_at),
        "payment": row.payment.reference,
        "description": row.description,
        "seller": {"name": row.seller_name, "address": row.seller_address, "pan": row.seller_pan},
        "buyer": {"name": row.buyer_name, "address": row.buyer_address, "pan": row.buyer_pan},
        "currency": row.currency,
        "net": rupees_json(row.net_minor),
        "net_minor": row.net_minor,
        "vat": rupees_json(row.vat_minor),
        "vat_minor": row.vat_minor,
        "vat_percent": row.vat_percent,
        "total": rupees_json(row.total_minor),
        "total_minor": row.total_minor,
    }
