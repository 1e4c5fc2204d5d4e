"""Receipts, as they were issued."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import Receipt
from .base import ReadOnly


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("number", "issued_at", "organization_name", "total", "vat", "payment")
    list_filter = ("issued_at", "currency")
    list_select_related = ("payment",)
    # References from their beginning: a number may stand anywhere in one.
    search_fields = ("=number", "^payment__reference", "organization_name", "buyer_name")

    @admin.display(description=_("total"), ordering="total_minor")
    def total(self, receipt: Receipt) -> str:
        return receipt.formatted_total

    @admin.display(description=_("VAT"), ordering="vat_minor")
    def vat(self, receipt: Receipt) -> str:
        return receipt.formatted_vat if receipt.vat_percent else "-"
