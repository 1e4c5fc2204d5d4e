"""Subscriptions. Staff acts on one, or on several at once, with a reason; nothing of it is written by hand."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..exceptions import NotForSale, NotPossible
from ..models import Subscription
from ..money import format_money
from ..organizations import organization_model
from ..quotas import check_all
from .base import TOOLS, GoesWithOrganization, HasTools, WatchesBilling
from .bulk import act_on_several
from .filters import StateFilter
from .inlines import PaymentInline, SubscriptionEventInline
from .numbers import may_see_numbers, numbers_page
from .subscription_acts import CALLED, ActForm, perform

HOW_IT_STANDS = (
    "organization", "in_force", "state", "anchor", "period_start", "next_plan", "next_period_end", "trial_ends_at",
    "grace_ends_at", "canceled_at", "credit", "created_at", "updated_at",
)  # fmt: skip


@admin.register(Subscription)
class SubscriptionAdmin(HasTools, WatchesBilling, GoesWithOrganization, admin.ModelAdmin):
    """Everything is an act with a reason, or comes from payments."""

    change_list_template = TOOLS
    form = ActForm
    list_display = ("organization", "plan", "in_force", "state", "period_start", "period_end")
    list_filter = (StateFilter, "plan", "period_end")
    list_select_related = ("organization", "plan")
    show_full_result_count = False
    ordering = ("-pk",)
    readonly_fields = (*HOW_IT_STANDS, "usage")
    inlines = (PaymentInline, SubscriptionEventInline)
    actions = ("extend_trials", "give_days", "cancel_them")

    def tools(self, request: HttpRequest) -> dict[str, Any]:
        return {"tenant_billing_numbers": _("Numbers")} if may_see_numbers(request) else {}

    def get_urls(self) -> list[URLPattern]:
        numbers = self.admin_site.admin_view(self.numbers_view)
        return [path("numbers/", numbers, name="tenant_billing_numbers"), *super().get_urls()]

    def numbers_view(self, request: HttpRequest) -> HttpResponse:
        """The numbers of the whole site."""
        return numbers_page(self, request)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        # What an organization is known by, the site's own admin of organizations says.
        model, site = organization_model(), self.admin_site
        fields = site.get_model_admin(model).get_search_fields(request) if site.is_registered(model) else ()
        return ("=organization__pk", *(re.sub(r"^([\^=@]?)", r"\1organization__", field) for field in fields))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        standing: tuple[str, ...] = HOW_IT_STANDS
        shown: list[Any] = []
        if self.has_change_permission(request, obj):
            shown.append((_("What to do"), {"fields": ("act", "plan", "period_end", "days", "reason")}))
        else:
            standing = ("organization", "plan", "period_end", *HOW_IT_STANDS[1:])
        shown.append((_("How it stands"), {"fields": standing}))
        if request.user.has_perm("tenant_billing.view_usage"):
            shown.append((_("What is used"), {"fields": ("usage",)}))
        return shown

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (NotPossible, NotForSale) as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: Any) -> None:
        perform(obj, form, request.user.get_username())

    @admin.action(description=CALLED["extend_trial"], permissions=["change"])
    def extend_trials(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        return act_on_several(self, request, queryset, "extend_trial")

    @admin.action(description=CALLED["extend"], permissions=["change"])
    def give_days(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        return act_on_several(self, request, queryset, "extend")

    @admin.action(description=CALLED["cancel"], permissions=["change"])
    def cancel_them(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        return act_on_several(self, request, queryset, "cancel")

    @admin.display(description=_("plan in force"))
    def in_force(self, subscription: Subscription) -> str:
        return subscription.plan_in_force(clock.now())

    @admin.display(description=_("state"))
    def state(self, subscription: Subscription) -> str:
        return str(subscription.state().label)

    @admin.display(description=_("credit"))
    def credit(self, subscription: Subscription) -> str:
        if not subscription.credit_minor:
            return "-"
        return format_money(subscription.credit_minor, subscription.credit_currency)

    @admin.display(description=_("used"))
    def usage(self, subscription: Subscription) -> str:
        decisions = check_all(subscription.organization)
        return render_to_string("tenant_billing/admin/_usage.html", {"decisions": decisions})
