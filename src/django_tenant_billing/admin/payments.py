"""Payments and their log: money and audit rows are only read; acts on a payment have a page, and a reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import payments
from ..exceptions import Busy, GatewayError, NotForSale, NotInReview, NotRecordable, NotRefundable
from ..models import Activation, PaymentEvent, PaymentTransaction
from ..money import to_minor
from ..views.shared import non_atomic
from .base import ReadOnly
from .gateways import WatchesGateways
from .recording import RecordNewForm

ACTS = (
    ("verify", gettext_lazy("Ask the gateway now")),
    ("record", gettext_lazy("Record that the money came")),
    ("refund", gettext_lazy("Send the money back")),
    ("apply_review", gettext_lazy("Apply it, though it was in doubt")),
    ("dismiss_review", gettext_lazy("Close the review; nothing is applied")),
)


REFUSALS = (Busy, NotRecordable, NotRefundable, NotInReview, NotForSale, GatewayError)
"""What an act may answer instead of being done."""


class PaymentActForm(forms.Form):
    """What is done about a payment, and why."""

    act = forms.ChoiceField(label=gettext_lazy("Act"), choices=ACTS)
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"), required=False, min_value=0, decimal_places=2, max_digits=15,
        help_text=gettext_lazy("Of a refund: empty sends all of it back. Of money that came: what came."),
    )  # fmt: skip
    number = forms.CharField(
        label=gettext_lazy("Number"), required=False, max_length=100,
        help_text=gettext_lazy("Of the bank's slip or the receipt, where money came."),
    )  # fmt: skip
    days = forms.IntegerField(
        label=gettext_lazy("Days"), required=False, min_value=1, max_value=payments.MOST_DAYS,
        help_text=gettext_lazy("Of applying: so many days of the plan; empty gives what was ordered."),
    )  # fmt: skip
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def clean(self) -> None:
        super().clean()
        for name in ("amount", "number"):
            if self.cleaned_data.get("act") == "record" and not self.cleaned_data.get(name) and name not in self.errors:
                self.add_error(name, _("Of money that came this is needed."))

    def run(self, payment: PaymentTransaction, actor: str) -> PaymentTransaction:
        """Do it. Raises NotRecordable, NotRefundable, NotInReview, NotForSale, GatewayError."""
        act, amount, reason = (self.cleaned_data[name] for name in ("act", "amount", "reason"))
        if act == "verify":
            return payments.verify(payment, actor=f"{actor}: {reason}")
        if act == "record":
            number = self.cleaned_data["number"]
            return payments.record(payment, amount_minor=to_minor(amount), number=number, actor=actor, reason=reason)
        if act == "refund":
            part = None if amount is None else to_minor(amount)
            return payments.refund(payment, part, actor=actor, reason=reason)
        if act == "apply_review":
            return payments.apply_review(payment, actor=actor, reason=reason, days=self.cleaned_data["days"])
        return payments.dismiss_review(payment, actor=actor, reason=reason)


class PaymentEventInline(ReadOnly, admin.TabularInline):
    model = PaymentEvent
    fields = readonly_fields = ("at", "kind", "from_status", "to_status", "detail", "actor", "data")
    extra = 0
    can_delete = False


@admin.register(PaymentTransaction)
class PaymentTransactionAdmin(WatchesGateways, ReadOnly, admin.ModelAdmin):
    change_form_template = "tenant_billing/admin/payment.html"
    change_list_template = "tenant_billing/admin/payment_list.html"
    list_display = (
        "reference", "organization_name", "plan", "formatted_amount", "status", "detail", "suspicion", "gateway",
        "created_at",
    )  # fmt: skip
    list_filter = ("status", "suspicion", "gateway", "plan", "created_at")
    list_select_related = ("plan",)
    search_fields = ("reference", "gateway_reference", "gateway_transaction_id", "organization_name")
    inlines = (PaymentEventInline,)

    def get_urls(self) -> list[URLPattern]:
        # Acts may ask a gateway, which is never done inside a transaction.
        act = non_atomic(self.admin_site.admin_view(self.act_view))
        record = non_atomic(self.admin_site.admin_view(self.record_view))
        return [
            path("<int:pk>/act/", act, name="tenant_billing_paymenttransaction_act"),
            path("record/", record, name="tenant_billing_paymenttransaction_record"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "may_act": _may_act(request)})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_act": _may_act(request)}
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Verify, record, refund, or decide a review."""
        if not _may_act(request):
            raise PermissionDenied
        payment = PaymentTransaction.objects.filter(pk=pk).first()
        if payment is None:
            raise Http404
        form = PaymentActForm(request.POST or None)
        if form.is_valid():
            try:
                payment = form.run(payment, request.user.get_username())
            except REFUSALS as error:
                messages.error(request, str(error))
            else:
                return _done(request, payment)
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "payment": payment, "form": form,
            "title": _("Verify, record, refund or decide"),
        }  # fmt: skip
        return render(request, "tenant_billing/admin/payment_act.html", context)

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
                return _done(request, payment)
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "form": form,
            "title": _("Record money that came"),
        }  # fmt: skip
        return render(request, "tenant_billing/admin/payment_act.html", context)


def _done(request: HttpRequest, payment: PaymentTransaction) -> HttpResponse:
    """Tell how the payment stands, on its page."""
    facts = {"reference": payment.reference, "status": payment.get_status_display()}
    messages.success(request, _("Payment %(reference)s is %(status)s.") % facts)
    return HttpResponseRedirect(reverse("admin:tenant_billing_paymenttransaction_change", args=[payment.pk]))


def _may_act(request: HttpRequest) -> bool:
    return request.user.has_perm("tenant_billing.change_paymenttransaction")


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "reference", "organization_name", "gateway", "kind", "to_status", "detail", "actor")
    list_filter = ("kind", "gateway")
    search_fields = ("reference",)


@admin.register(Activation)
class ActivationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "payment", "at", "starts_at", "ends_at", "credited_minor")
    list_select_related = ("payment",)
