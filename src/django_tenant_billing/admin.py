"""The admin: limits are edited here and count from the next request; money and its log are only read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from . import clock
from .conf import conf
from .models import (
    Activation,
    Feature,
    PaymentEvent,
    PaymentTransaction,
    Plan,
    PlanLimit,
    PlanPrice,
    Subscription,
    Usage,
    UsageCounter,
)
from .money import to_minor
from .quotas import check_all


def _subscription() -> str:
    """Reverse name of the subscription on the organization."""
    return conf.related_prefix + "subscription"


class ReadOnly:
    """Nothing is added, changed or deleted here, by anybody: money and audit rows."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PlanPriceForm(forms.ModelForm):
    """People type rupees; the column is paisa."""

    amount = forms.DecimalField(label=_("price in rupees"), min_value=0, max_digits=15, decimal_places=2)

    class Meta:
        model = PlanPrice
        fields = ("currency", "interval", "interval_count", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["amount"].initial = self.instance.amount

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        self.instance.amount_minor = to_minor(amount)
        return amount


class PlanPriceInline(admin.TabularInline):
    model = PlanPrice
    form = PlanPriceForm
    fields = ("amount", "currency", "interval", "interval_count", "is_default")
    extra = 0


class PlanLimitInline(admin.TabularInline):
    model = PlanLimit
    extra = 0


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    list_display = ("code", "name", "position", "is_active")
    list_editable = ("position", "is_active")
    inlines = (PlanPriceInline, PlanLimitInline)


@admin.register(Feature)
class FeatureAdmin(admin.ModelAdmin):
    list_display = ("slug", "singular", "plural", "kind", "position")

    def get_readonly_fields(self, request: HttpRequest, obj: Feature | None = None) -> tuple[str, ...]:
        # Another kind would count the same feature in other rows.
        return ("slug", "kind") if obj is not None else ()


@admin.register(PlanLimit)
class PlanLimitAdmin(admin.ModelAdmin):
    list_display = ("__str__", "plan", "feature", "limit_value")
    list_editable = ("limit_value",)
    list_filter = ("plan", "feature")
    list_select_related = ("plan", "feature")


class GoesWithOrganization:
    """Rows that appear and go with their organization: never added or deleted by themselves."""

    opts: Any

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Asked from the organization's own delete page too, where the cascade must stay possible.
        match = request.resolver_match
        here = match is not None and (match.url_name or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return not here and bool(super().has_delete_permission(request, obj))  # type: ignore[misc]


@admin.register(Subscription)
class SubscriptionAdmin(GoesWithOrganization, admin.ModelAdmin):
    list_display = ("organization", "plan", "period_start", "period_end")
    list_filter = ("plan",)
    list_select_related = ("organization", "plan")
    readonly_fields = ("organization", "anchor", "period_start", "created_at", "updated_at")


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
            (d.plural, d.used, _("no limit") if d.limit is None else d.limit) for d in check_all(usage.organization)
        )
        return format_html_join(mark_safe("<br>"), "{}: {} / {}", rows)


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
    list_display = ("payment", "at", "before_plan", "after_period_end")
    list_select_related = ("payment",)
