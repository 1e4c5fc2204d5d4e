"""What organizations used, hold, and were granted beside their plan."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..conf import conf
from ..decisions import Decision, LimitSource
from ..models import Hold, LimitOverride, Usage, UsageCounter, UsageEntry
from ..quotas import check_all, end_override
from .base import GoesWithOrganization, ReadOnly


def _subscription() -> str:
    """Reverse name of the subscription on the organization."""
    return conf.related_prefix + "subscription"


class UsageList(ChangeList):
    """One more query for the counters of the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        now = clock.now()
        keys = [usage.organization_id for usage in self.result_list]
        numbers: dict[Any, list[str]] = {}
        for counter in UsageCounter.objects.filter(
            organization_id__in=keys, period_start__lte=now, period_end__gt=now
        ).order_by("feature__position"):
            numbers.setdefault(counter.organization_id, []).append(f"{counter.feature_id} {counter.used}")
        for usage in self.result_list:
            usage.in_words = ", ".join(numbers.get(usage.organization_id, ["-"]))


@admin.register(Usage)
class UsageAdmin(GoesWithOrganization, admin.ModelAdmin):
    list_display = ("organization", "plan_in_force", "used", "updated_at")
    readonly_fields = fields = ("organization", "plan_in_force", "limits", "updated_at")
    show_full_result_count = False
    ordering = ("-pk",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Usage]:
        return super().get_queryset(request).select_related(f"organization__{_subscription()}")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UsageList

    @admin.display(description=_("plan in force"))
    def plan_in_force(self, usage: Usage) -> str:
        subscription = getattr(usage.organization, _subscription(), None)
        return subscription.plan_in_force(clock.now()) if subscription else "-"

    @admin.display(description=_("used"))
    def used(self, usage: Any) -> str:
        return str(usage.in_words)

    @admin.display(description=_("used of limit"))
    def limits(self, usage: Usage) -> str:
        rows = (
            (d.label, d.used, _("no limit") if d.limit is None else d.limit, _details(d))
            for d in check_all(usage.organization)
        )
        return format_html_join(mark_safe("<br>"), "{}: {} / {}{}", rows)


def _details(decision: Decision) -> str:
    """What else decides of a feature: where another limit comes from, what is held, what is over."""
    parts = []
    if decision.limit_source not in (LimitSource.PLAN, LimitSource.NONE):
        parts.append(decision.limit_source.value)
    if decision.held:
        parts.append(_("%(held)d held") % {"held": decision.held})
    if decision.over:
        parts.append(_("%(over)d over") % {"over": decision.over})
    return f" ({', '.join(parts)})" if parts else ""


@admin.register(LimitOverride)
class LimitOverrideAdmin(admin.ModelAdmin):
    """Given with a reason, and ended; never changed or deleted, so that the reason for each limit stays."""

    list_display = ("__str__", "feature", "reason", "actor", "starts_at", "ends_at")
    list_filter = ("feature", "ends_at")
    list_select_related = ("feature",)
    search_fields = ("reason", "actor")
    ordering = ("-pk",)
    fields = ("organization", "feature", "limit_value", "reason", "starts_at", "ends_at")
    raw_id_fields = ("organization",)
    actions = ("end_now",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: LimitOverride, form: Any, change: Any) -> None:
        obj.actor = request.user.get_username()
        super().save_model(request, obj, form, change)

    @admin.action(description=_("End the selected overrides now"), permissions=["change"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[LimitOverride]) -> None:
        ended = sum(end_override(given) for given in queryset)
        self.message_user(request, _("%(number)d overrides ended.") % {"number": ended})


@admin.register(Hold)
class HoldAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "feature", "amount", "state", "committed", "expires_at", "actor", "subject")
    list_filter = ("state", "feature")
    list_select_related = ("feature",)
    ordering = ("-pk",)
    search_fields = ("key", "subject")


@admin.register(UsageEntry)
class UsageEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "organization", "feature", "change", "verb", "actor", "subject")
    list_filter = ("feature", "at")
    list_select_related = ("organization", "feature")
    ordering = ("-pk",)
    search_fields = ("actor", "subject")
