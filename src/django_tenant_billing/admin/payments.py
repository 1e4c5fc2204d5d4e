"""Payments and their log: money and audit rows are only read."""

from __future__ import annotations

from django.contrib import admin

from ..models import Activation, PaymentEvent, PaymentTransaction
from .base import ReadOnly


class PaymentEventInline(ReadOnly, admin.TabularInline):
    model = PaymentEvent
    fields = readonly_fields = ("at", "kind", "from_status", "to_status", "detail", "actor", "data")
    extra = 0
    can_delete = False


@admin.register(PaymentTransaction)
class PaymentTransactionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("reference", "organization_name", "plan", "formatted_amount", "status", "gateway", "created_at")
    list_filter = ("status", "gateway", "plan", "created_at")
    list_select_related = ("plan",)
    search_fields = ("reference", "gateway_reference", "gateway_transaction_id", "organization_name")
    inlines = (PaymentEventInline,)


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "reference", "organization_name", "gateway", "kind", "to_status", "detail", "actor")
    list_filter = ("kind", "gateway")
    search_fields = ("reference",)


@admin.register(Activation)
class ActivationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "payment", "at", "starts_at", "ends_at", "credited_minor")
    list_select_related = ("payment",)
