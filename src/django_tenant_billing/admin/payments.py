"""Payments and their log: money and audit rows are only read; acts on a payment have a page, and a reason."""

from __future__ import annotations

from collections.abc import Callable
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
from ..exceptions import Busy, GatewayError, NotForSale, NotInReview, NotRefundable
from ..models import Activation, PaymentEvent, PaymentTransaction
from ..money import to_minor
from ..views.shared import non_atomic
from .base import ReadOnly

ACTS = (
    ("verify", gettext_lazy("Ask the gateway now")),
    ("refund", gettext_lazy("Send the money back")),
    ("apply_review", gettext_lazy("Apply it, though it was in doubt")),
    ("dismiss_review", gettext_lazy("Close the review; nothing is applied")),
)


class PaymentActForm(forms.Form):
    """What is done about a payment, and why."""

    act = forms.ChoiceField(label=gettext_lazy("Act"), choices=ACTS)
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"), required=False, min_value=0, decimal_places=2, max_digits=15,
        help_text=gettext_lazy("Of a refund; empty sends all of it back."),
    )  # fmt: skip
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def run(self, payment: PaymentTransaction, actor: str) -> PaymentTransaction:
        """Do it. Raises NotRefundable, NotInReview, NotForSale, GatewayError."""
        act, amount, reason = (self.cleaned_data[name] for name in ("act", "amount", "reason"))
        if act == "verify":
            return payments.verify(payment, actor=f"{actor}: {reason}")
        if act == "refund":
            part = None if amount is None else to_minor(amount)
            return payments.refund(payment, part, actor=actor, reason=reason)
        decide: Callable[..., PaymentTransaction] = getattr(payments, act)
        return decide(payment, actor=actor, reason=reason)


class PaymentEventInline(ReadOnly, admin.TabularInline):
    model = PaymentEvent
    fields = readonly_fields = ("at", "kind", "from_status", "to_status", "detail", "actor", "data")
    extra = 0
    can_delete = False


@admin.register(PaymentTransaction)
class PaymentTransactionAdmin(ReadOnly, admin.ModelAdmin):
    change_form_template = "tenant_billing/admin/payment.html"
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
        view = non_atomic(self.admin_site.admin_view(self.act_view))
        return [path("<int:pk>/act/", view, name="tenant_billing_paymenttransaction_act"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_act": _may_act(request)}
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Verify, refund, or decide a review."""
        if not _may_act(request):
            raise PermissionDenied
        payment = PaymentTransaction.objects.filter(pk=pk).first()
        if payment is None:
            raise Http404
        form = PaymentActForm(request.POST or None)
        if form.is_valid():
            try:
                payment = form.run(payment, request.user.get_username())
            except (NotRefundable, NotInReview, NotForSale, GatewayError, Busy) as error:
                messages.error(request, str(error))
            else:
                told = _("Payment %(reference)s is %(status)s.")
                facts = {"reference": payment.reference, "status": payment.get_status_display()}
                messages.success(request, told % facts)
                return HttpResponseRedirect(reverse("admin:tenant_billing_paymenttransaction_change", args=[pk]))
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "payment": payment, "form": form,
            "title": _("Verify, refund or decide"),
        }  # fmt: skip
        return render(request, "tenant_billing/admin/payment_act.html", context)


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
