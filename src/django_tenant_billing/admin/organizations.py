"""What organizations bought, used, hold, and were granted beside their plan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
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
from ..models import Hold, LimitOverride, Subscription, SubscriptionEvent, Usage, UsageCounter, UsageEntry
from ..money import format_money
from ..quotas import check_all, end_override
from ..subscriptions import set_by_staff
from .base import GoesWithOrganization, ReadOnly, WatchesBilling


def _subscription() -> str:
    """Reverse name of the subscription on the organization."""
    return conf.related_prefix + "subscription"


class GiveForm(forms.ModelForm):
    """What staff may change of a subscription, and why."""

    reason = forms.CharField(label=_("Reason"), max_length=200)

    def clean_period_end(self) -> datetime | None:
        end: datetime | None = self.cleaned_data["period_end"]
        if end is not None and end <= clock.now():
            raise forms.ValidationError(_("Name a moment that is still to come."))
        return end


@admin.register(Subscription)
class SubscriptionAdmin(WatchesBilling, GoesWithOrganization, admin.ModelAdmin):
    """A plan and its end are given by staff, with a reason; everything else comes from payments and acts."""

    form = GiveForm
    list_display = ("organization", "plan", "state", "period_start", "period_end")
    list_filter = ("plan",)
    list_select_related = ("organization", "plan")
    readonly_fields = (
        "organization", "state", "anchor", "period_start", "next_plan", "next_period_end", "trial_ends_at",
        "grace_ends_at", "canceled_at", "credit", "created_at", "updated_at",
    )  # fmt: skip
    fields = ("plan", "period_end", "reason", *readonly_fields)

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: Any) -> None:
        # Forms know no microseconds: an end that nobody touched is not to come a moment earlier.
        until = obj.period_end if "period_end" in form.changed_data else form.initial["period_end"]
        set_by_staff(
            obj.organization, obj.plan_id, until, actor=request.user.get_username(),
            reason=form.cleaned_data["reason"],
        )  # fmt: skip

    @admin.display(description=_("state"))
    def state(self, subscription: Subscription) -> str:
        return str(subscription.state().label)

    @admin.display(description=_("credit"))
    def credit(self, subscription: Subscription) -> str:
        if not subscription.credit_minor:
            return "-"
        return format_money(subscription.credit_minor, subscription.credit_currency)


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "organization_name", "change", "actor", "reason", "payment")
    list_filter = ("change",)
    list_select_related = ("payment",)
    search_fields = ("organization_name", "organization_key", "actor", "reason")


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
            (d.plural, d.used, _("no limit") if d.limit is None else d.limit, _details(d))
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
    list_filter = ("feature",)
    list_select_related = ("feature",)
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
    search_fields = ("key", "subject")


@admin.register(UsageEntry)
class UsageEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "organization_id", "feature", "change", "verb", "actor", "subject")
    list_filter = ("feature", "verb")
    search_fields = ("actor", "subject")
