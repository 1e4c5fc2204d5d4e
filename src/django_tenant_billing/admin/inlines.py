"""What belongs to the object of a page, shown below it and never posted: logs, payments, refunds."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.checks import InlineModelAdminChecks
from django.db.models import Model, QuerySet
from django.forms import BaseModelFormSet, modelformset_factory
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import Activation, PaymentEvent, PaymentTransaction, Receipt, Subscription, SubscriptionEvent
from ..money import format_money
from ..states import PaymentState as S
from .base import ReadOnly

LATEST = 20
"""How many rows of a log stand on a page; the log's own list has the rest."""


class ShownChecks(InlineModelAdminChecks):
    """As of an inline, but that no foreign key leads to the page's object."""

    def _check_exclude_of_parent_model(self, obj: Any, parent_model: type[Model]) -> list[Any]:
        return []

    def _check_relation(self, obj: Any, parent_model: type[Model]) -> list[Any]:
        return []


class ShownFormSet(BaseModelFormSet):
    """Rows that are found by something else than a foreign key to the page's object."""

    def __init__(
        self, data: Any = None, files: Any = None, instance: Any = None, save_as_new: Any = None, **kwargs: Any
    ) -> None:
        # Nothing of what is posted is read: rows may have come since the page was made.
        super().__init__(**kwargs)
        self.new_objects, self.changed_objects, self.deleted_objects = [], [], []

    @classmethod
    def get_default_prefix(cls) -> str:
        return str(cls.model._meta.model_name)  # type: ignore[union-attr]

    def is_valid(self) -> bool:
        return True

    def save(self, commit: Any = None) -> list[Any]:
        return []


class ShownInline(ReadOnly, admin.TabularInline):
    """An inline that shows ``rows`` of the page's object."""

    formset = ShownFormSet  # type: ignore[assignment]
    checks_class = ShownChecks
    extra = 0
    can_delete = False

    rows: Any
    """A method of the page's object: what is shown of it, in one query."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        rows = list(self.rows(obj))
        shown = modelformset_factory(self.model, fields=(), formset=self.formset, extra=0, max_num=0)
        return type("Shown", (shown,), {"get_queryset": lambda formset: rows})


class SubscriptionEventInline(ShownInline):
    """The log of a subscription."""

    model = SubscriptionEvent
    verbose_name_plural = _("latest events")
    fields = readonly_fields = ("at", "change", "actor", "reason", "payment")

    def rows(self, shown: Subscription) -> QuerySet[SubscriptionEvent]:
        events = SubscriptionEvent.objects.filter(subscription_key=shown.pk)
        return events.select_related("payment").order_by("-pk")[:LATEST]


class PaymentInline(ShownInline):
    """What an organization paid, or tried to."""

    model = PaymentTransaction
    verbose_name_plural = _("latest payments")
    fields = readonly_fields = ("payment", "created_at", "gateway", "plan_code", "formatted_amount", "status", "detail")

    def rows(self, shown: Subscription) -> QuerySet[PaymentTransaction]:
        payments = PaymentTransaction.objects.filter(organization=shown.organization_id)
        return payments.order_by("-created_at", "-pk")[:LATEST]

    @admin.display(description=_("reference"))
    def payment(self, payment: PaymentTransaction) -> str:
        name, site = "admin:tenant_billing_paymenttransaction_change", self.admin_site.name
        return format_html('<a href="{}">{}</a>', reverse(name, args=[payment.pk], current_app=site), payment.reference)

    @admin.display(description=_("plan"))
    def plan_code(self, payment: PaymentTransaction) -> str:
        return payment.plan_id

    @admin.display(description=_("amount"))
    def formatted_amount(self, payment: PaymentTransaction) -> str:
        return payment.formatted_amount


class PaymentEventInline(ReadOnly, admin.TabularInline):
    model = PaymentEvent
    verbose_name_plural = _("log")
    fields = readonly_fields = ("at", "kind", "from_status", "to_status", "detail", "actor", "data")
    extra = 0
    can_delete = False


class RefundInline(ShownInline):
    """What was asked to go back, and what did."""

    model = PaymentEvent
    verbose_name_plural = _("refunds")
    fields = readonly_fields = ("at", "to_status", "amount", "detail", "actor", "reason")

    def rows(self, shown: PaymentTransaction) -> QuerySet[PaymentEvent]:
        return shown.events.filter(to_status__in=(S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED)).order_by("pk")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        # The lines of the log do not know the currency.
        self.currency = obj.currency
        return super().get_formset(request, obj, **kwargs)

    @admin.display(description=_("amount"))
    def amount(self, event: PaymentEvent) -> str:
        minor = event.data.get("amount_minor")
        return "-" if minor is None else format_money(minor, self.currency)

    @admin.display(description=_("reason"))
    def reason(self, event: PaymentEvent) -> str:
        return str(event.data.get("reason", "-"))


class ActivationInline(ReadOnly, admin.TabularInline):
    """What a payment gave."""

    model = Activation
    fields = readonly_fields = ("plan", "starts_at", "ends_at", "value", "spent_credit", "closed_at", "taken_back_at")
    extra = 0
    can_delete = False

    @admin.display(description=_("value"))
    def value(self, activation: Activation) -> str:
        return format_money(activation.value_minor, activation.currency)

    @admin.display(description=_("of it credit"))
    def spent_credit(self, activation: Activation) -> str:
        return format_money(activation.spent_credit_minor, activation.currency)


class ReceiptInline(ReadOnly, admin.TabularInline):
    """What the payer was given for the books."""

    model = Receipt
    fields = readonly_fields = ("number", "issued_at", "buyer_name", "total", "vat")
    extra = 0
    can_delete = False
    show_change_link = True

    @admin.display(description=_("total"))
    def total(self, receipt: Receipt) -> str:
        return receipt.formatted_total

    @admin.display(description=_("VAT"))
    def vat(self, receipt: Receipt) -> str:
        return receipt.formatted_vat if receipt.vat_percent else "-"
