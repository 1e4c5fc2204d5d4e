"""Lists of what was written once: the log of payments, what they gave, the history of subscriptions."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import Activation, PaymentEvent, SubscriptionEvent
from ..money import format_money
from .base import ReadOnly
from .filters import GatewayFilter


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "reference", "organization_name", "gateway", "kind", "to_status", "detail", "actor")
    list_filter = ("kind", GatewayFilter, "at")
    list_select_related = ()
    # The latest first, by the key: no date of a log has an index.
    ordering = ("-pk",)
    search_fields = ("reference", "organization_name", "organization_key", "actor")


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "organization_name", "change", "actor", "reason", "payment")
    list_filter = ("change", "at")
    list_select_related = ("payment",)
    ordering = ("-pk",)
    search_fields = ("organization_name", "organization_key", "actor", "reason")


@admin.register(Activation)
class ActivationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "payment", "at", "starts_at", "ends_at", "value", "closed_at", "taken_back_at")
    list_filter = ("at", "ends_at")
    list_select_related = ("payment",)
    ordering = ("-pk",)
    search_fields = ("payment__reference", "payment__organization_name")

    @admin.display(description=_("value"))
    def value(self, activation: Activation) -> str:
        return format_money(activation.value_minor, activation.currency)
