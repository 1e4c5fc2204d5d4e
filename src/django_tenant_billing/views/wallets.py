"""Sending the payer to a gateway: by a redirect, or by a form with one visible button and no script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..gateways.base import Checkout, Gateway
from ..models import PaymentTransaction
from .shared import see_other


def send_payer(request: HttpRequest, payment: PaymentTransaction, gateway: Gateway, checkout: Checkout) -> HttpResponse:
    """The answer that takes the payer to where this payment is made."""
    if checkout.method == "GET":
        return see_other(checkout.url)
    context = {"payment": payment, "gateway": gateway, "checkout": checkout}
    return render(request, "tenant_billing/handoff.html", context)
