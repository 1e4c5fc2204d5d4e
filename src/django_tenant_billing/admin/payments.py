"""Payments and their log: money and audit rows are only read; acts on a payment have a page, and a reason."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import PaymentTransaction
from ..models.plans import PERIODS
from ..money import format_money
from ..periods import Interval
from ..states import PaymentState
from ..views.shared import non_atomic
from .acting import REFUSALS, PaymentActForm
from .base import TOOLS, HasTools, ReadOnly, only_look, page
from .filters import GatewayFilter, SuspicionFilter
from .gateways import WatchesGateways
from .inbox import inbox, why
from .inlines import ActivationInline, PaymentEventInline, ReceiptInline, RefundInline
from .numbers import may_see_numbers
from .recording import RecordNewForm


@admin.register(PaymentTransaction)
class PaymentTransactionAdmin(HasTools, WatchesGateways, ReadOnly, admin.ModelAdmin):
    change_list_template = TOOLS
    change_form_template = "tenant_billing/admin/payment.html"
    list_display = (
        "reference", "organization_name", "plan_code", "asked", "status", "detail", "suspicion", "gateway",
        "created_at",
    )  # fmt: skip
    list_filter = ("status", SuspicionFilter, GatewayFilter, "plan", "created_at")
    # Nothing of another table is shown; without this Django would join every foreign key.
    list_select_related = ()
    search_fields = ("reference", "gateway_reference", "gateway_transaction_id", "organization_name")
    # The same order as by created_at, which has no index.
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("reference", "status", "detail", "suspicion")}),
        (gettext_lazy("What for"), {
            "fields": ("organization_name", "organization_key", "plan_code", "term", "asked", "credit", "actor"),
        }),
        (gettext_lazy("What came"), {"fields": ("came", "paid_at", "refunded")}),
        (gettext_lazy("At the gateway"), {
            "fields": ("gateway", "gateway_reference", "gateway_transaction_id", "created_at", "initiated_at",
                       "next_check_at", "unanswered", "leased_until", "purchase"),
        }),
    )  # fmt: skip
    inlines = (ActivationInline, ReceiptInline, RefundInline, PaymentEventInline)

    def tools(self, request: HttpRequest) -> dict[str, Any]:
        tools = {"tenant_billing_paymenttransaction_inbox": _("Payments in review")}
        if may_see_numbers(request):
            tools["tenant_billing_numbers"] = _("Numbers")
        if _may_act(request):
            tools["tenant_billing_paymenttransaction_record"] = _("Record money that came")
        return tools

    def get_urls(self) -> list[URLPattern]:
        # Acts may ask a gateway, which is never done inside a transaction.
        act = non_atomic(self.admin_site.admin_view(self.act_view))
        record = non_atomic(self.admin_site.admin_view(self.record_view))
        inbox_view = self.admin_site.admin_view(self.inbox_view)
        return [
            path("<int:pk>/act/", act, name="tenant_billing_paymenttransaction_act"),
            path("record/", record, name="tenant_billing_paymenttransaction_record"),
            path("review/", inbox_view, name="tenant_billing_paymenttransaction_inbox"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_act": _may_act(request)}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=gettext_lazy("plan"), ordering="plan")
    def plan_code(self, payment: PaymentTransaction) -> str:
        return payment.plan_id

    @admin.display(description=gettext_lazy("term"))
    def term(self, payment: PaymentTransaction) -> str:
        return str(PERIODS[Interval(payment.interval)] % {"number": payment.interval_count})

    @admin.display(description=gettext_lazy("amount"), ordering="amount_minor")
    def asked(self, payment: PaymentTransaction) -> str:
        return payment.formatted_amount

    @admin.display(description=gettext_lazy("paid by credit"))
    def credit(self, payment: PaymentTransaction) -> str:
        return format_money(payment.credit_minor, payment.currency) if payment.credit_minor else "-"

    @admin.display(description=gettext_lazy("received"))
    def came(self, payment: PaymentTransaction) -> str:
        return "-" if payment.received_minor is None else payment.formatted_money

    @admin.display(description=gettext_lazy("refunded"))
    def refunded(self, payment: PaymentTransaction) -> str:
        return format_money(payment.refunded_minor, payment.currency) if payment.refunded_minor else "-"

    def inbox_view(self, request: HttpRequest) -> HttpResponse:
        """Money that waits for a person."""
        only_look(request, may=self.has_view_permission(request))
        shown = {**inbox(request), "may_act": _may_act(request), "title": _("Payments in review")}
        return page(self, request, "inbox", **shown)

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Verify, record, refund, or decide a review."""
        if not _may_act(request):
            raise PermissionDenied
        payment = PaymentTransaction.objects.filter(pk=pk).first()
        if payment is None:
            raise Http404
        form = PaymentActForm(request.POST or None, initial={"act": request.GET.get("act")})
        if form.is_valid():
            try:
                payment = form.run(payment, request.user.get_username())
            except REFUSALS as error:
                messages.error(request, str(error))
            else:
                return self._done(request, payment)
        waits = {"why": why(payment)} if payment.status == PaymentState.REVIEW else {}
        title = _("Verify, record, refund or decide")
        return page(self, request, "payment_act", payment=payment, form=form, title=title, **waits)

    def record_view(self, request: HttpRequest) -> HttpResponse:
        """Record money that came without an attempt to pay."""
        if not _may_act(request):
            raise PermissionDenied
        form = RecordNewForm(request.POST or None)
        if form.is_valid():
            try:
                payment = form.run(request.user.get_username())
            except REFUSALS as error:
                messages.error(request, str(error))
            else:
                return self._done(request, payment)
        return page(self, request, "payment_act", form=form, title=_("Record money that came"))

    def _done(self, request: HttpRequest, payment: PaymentTransaction) -> HttpResponse:
        """Tell how the payment stands, on its page."""
        facts = {"reference": payment.reference, "status": payment.get_status_display()}
        messages.success(request, _("Payment %(reference)s is %(status)s.") % facts)
        name, site = "admin:tenant_billing_paymenttransaction_change", self.admin_site.name
        return HttpResponseRedirect(reverse(name, args=[payment.pk], current_app=site))


def _may_act(request: HttpRequest) -> bool:
    return request.user.has_perm("tenant_billing.change_paymenttransaction")
