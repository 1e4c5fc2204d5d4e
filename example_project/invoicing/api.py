"""The same for programs: JSON in, JSON out, a Bearer token instead of a session."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django_tenant_billing.decorators import quota_required

from orgs.decorators import bearer_token_required
from orgs.http import OrganizationRequest

from .forms import InvoiceForm
from .models import Invoice


@bearer_token_required
@require_http_methods(["GET", "POST"])
def invoices(request: OrganizationRequest) -> HttpResponse:
    return create_invoice(request) if request.method == "POST" else list_invoices(request)


@quota_required("api_calls", methods=["GET"])
def list_invoices(request: OrganizationRequest) -> HttpResponse:
    """A GET that counts: safe methods only check, unless ``methods`` says otherwise."""
    latest = request.organization.invoices.select_related("customer")[:100]
    return JsonResponse({"invoices": [_as_json(invoice) for invoice in latest]})


@quota_required("invoices")
def create_invoice(request: OrganizationRequest) -> HttpResponse:
    """``{"customer": 1, "amount": "1500.00"}``. Whatever is not 201 is not counted."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return JsonResponse({"error": _("The body must be a JSON object."), "code": "bad_request"}, status=400)
    form = InvoiceForm(body, organization=request.organization)
    if not form.is_valid():
        problems = {"error": _("The invoice is not valid."), "code": "bad_request", "fields": form.errors}
        return JsonResponse(problems, status=400)
    return JsonResponse(_as_json(form.issue()), status=201)


def _as_json(invoice: Invoice) -> dict[str, Any]:
    return {"number": str(invoice), "customer": invoice.customer.name, "amount": str(invoice.amount)}
