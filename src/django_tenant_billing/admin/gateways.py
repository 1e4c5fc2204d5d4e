"""Gateways that are not asked, because they do not answer or refuse our key."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import Breaker
from .base import ReadOnly


@admin.register(Breaker)
class BreakerAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("gateway", "failures", "opened_at", "probe_at", "halted")
    actions = ("ask_again",)

    @admin.action(description=gettext_lazy("Ask the selected gateways again"), permissions=["resume"])
    def ask_again(self, request: HttpRequest, queryset: QuerySet[Breaker]) -> None:
        """What ``reconcile_payments --resume`` does."""
        number = sum(Breaker.objects.resume(breaker.gateway) for breaker in queryset)
        told = ngettext("%(number)d gateway is asked again.", "%(number)d gateways are asked again.", number)
        messages.success(request, told % {"number": number})

    def has_resume_permission(self, request: HttpRequest) -> bool:
        """Asked by ``ask_again``."""
        return request.user.has_perm("tenant_billing.change_breaker")


class WatchesGateways:
    """Above the list stands a warning for each gateway that is not asked."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        for breaker in Breaker.objects.closed_to_us():
            text = _("Gateway %(gateway)s is not asked but by a probe: %(why)s. See Breakers.")
            messages.warning(request, text % {"gateway": breaker.gateway, "why": breaker.why})
        return super().changelist_view(request, extra_context)  # type: ignore[misc]
