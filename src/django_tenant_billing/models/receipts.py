"""Receipts: one for each payment that became paid, numbered from 1 without a gap.

A number is taken in the transaction that makes a payment paid and activates it, so that it is lost with that
transaction or kept with it. Whoever takes one makes all others wait until its commit: nothing is waited for after it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models, router
from django.db.models import F, Max, Q
from django.utils.translation import gettext, ngettext_lazy, override
from django.utils.translation import gettext_lazy as _

from .. import parties, vat
from ..fields import OrganizationForeignKey
from ..money import format_money
from ..periods import Interval
from ..states import PaymentState
from .append_only import AppendOnlyModel, AppendOnlyQuerySet
from .log import PaymentEvent
from .quotes import Terms
from .rows import insert_missing

SERIES = "receipts"

SPANS = {
    Interval.DAY: ngettext_lazy("%(number)d day", "%(number)d days", "number"),
    Interval.MONTH: ngettext_lazy("%(number)d month", "%(number)d months", "number"),
    Interval.YEAR: ngettext_lazy("%(number)d year", "%(number)d years", "number"),
}

NOT_MADE = frozenset({"refund_refused", "refund_not_made"})
"""Why a payment whose refund was asked for stands again where it stood: nothing went back."""


class Refund(NamedTuple):
    """Money that went back. ``amount_minor`` is None where nobody told how much it was."""

    at: datetime
    amount_minor: int | None
    currency: str

    @property
    def formatted_amount(self) -> str:
        return "" if self.amount_minor is None else format_money(self.amount_minor, self.currency)


def described(plan: str, interval: str, intervals: int) -> str:
    """The line of a receipt, in the language that is active."""
    span = SPANS[Interval(interval)] % {"number": intervals}
    return gettext("%(plan)s plan: %(span)s") % {"plan": plan, "span": span}


class ReceiptSequenceManager(models.Manager["ReceiptSequence"]):
    def take(self) -> int:
        """The next number, whose row stays locked until the transaction ends. The caller has one open."""
        rows = self.using(router.db_for_write(ReceiptSequence)).filter(name=SERIES)
        following = {"last": F("last") + 1}
        if not rows.update(**following):
            last = Receipt.objects.using(rows.db).aggregate(last=Max("number"))["last"] or 0
            insert_missing(ReceiptSequence, [ReceiptSequence(name=SERIES, last=last)], ["name"])
            rows.update(**following)
        return rows.values_list("last", flat=True).get()


class ReceiptSequence(models.Model):
    """The last number that was given. One row."""

    name = models.CharField(_("name"), max_length=20, unique=True)
    last = models.PositiveBigIntegerField(_("last number"), default=0)

    objects = ReceiptSequenceManager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("receipt sequence")
        verbose_name_plural = _("receipt sequences")

    def __str__(self) -> str:
        return f"{self.name} - {self.last}"


class ReceiptQuerySet(AppendOnlyQuerySet["Receipt"]):
    def issue(self, payment: Any, terms: Terms, now: datetime) -> Receipt:
        """Write the receipt of a locked payment that has just become paid. Only PaymentTransaction.activate_plan does.

        Of the settings only what can be used is read: money that came is applied whatever they say.
        """
        net, tax = vat.split(payment.money_minor)
        sells, buys = parties.seller(), parties.Party(**payment.buyer)
        with override(settings.LANGUAGE_CODE):
            description = described(terms.plan, terms.interval, terms.intervals)
        receipt = Receipt(
            payment=payment,
            organization_id=payment.organization_id,
            organization_key=payment.organization_key,
            organization_name=payment.organization_name,
            issued_at=now,
            seller_name=sells.name,
            seller_address=sells.address,
            seller_pan=sells.pan,
            buyer_name=buys.name or payment.organization_name,
            buyer_address=buys.address,
            buyer_pan=buys.pan,
            description=description,
            currency=payment.currency,
            net_minor=net,
            vat_minor=tax,
            total_minor=payment.money_minor,
            vat_percent=vat.percent(),
            number=ReceiptSequence.objects.take(),
        )
        receipt.save(force_insert=True)
        return receipt


class Receipt(AppendOnlyModel):
    """What a payer gets for money that came. Written once, as everything stood then, and kept when the money went back.

    ``vat_percent`` is 0 where there is no tax.
    """

    payment = models.OneToOneField(
        "tenant_billing.PaymentTransaction", models.PROTECT, related_name="receipt", verbose_name=_("payment")
    )
    # Without a constraint in the database: to check it, MariaDB would wait, with the number taken, for whoever changes
    # the organization's row.
    organization = OrganizationForeignKey(
        on_delete=models.SET_NULL, null=True, blank=True, db_constraint=False, verbose_name=_("organization")
    )
    organization_key = models.CharField(_("organization key"), max_length=64)
    organization_name = models.CharField(_("organization name"), max_length=200)
    number = models.PositiveBigIntegerField(_("number"), unique=True)
    issued_at = models.DateTimeField(_("issued at"))
    seller_name = models.CharField(_("seller"), max_length=200, blank=True)
    seller_address = models.CharField(_("seller's address"), max_length=500, blank=True)
    seller_pan = models.CharField(_("seller's PAN"), max_length=20, blank=True)
    buyer_name = models.CharField(_("buyer"), max_length=200)
    buyer_address = models.CharField(_("buyer's address"), max_length=500, blank=True)
    buyer_pan = models.CharField(_("buyer's PAN"), max_length=20, blank=True)
    description = models.CharField(_("description"), max_length=200)
    currency = models.CharField(_("currency"), max_length=3)
    net_minor = models.BigIntegerField(_("net in paisa"))
    vat_minor = models.BigIntegerField(_("VAT in paisa"))
    total_minor = models.BigIntegerField(_("total in paisa"))
    vat_percent = models.PositiveSmallIntegerField(_("VAT in percent"))

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [
            models.CheckConstraint(condition=Q(total_minor=F("net_minor") + F("vat_minor")), name="tb_receipt_adds_up"),
            models.CheckConstraint(condition=Q(number__gte=1), name="tb_receipt_numbered_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number} - {self.organization_name} - {self.formatted_total}"

    @property
    def formatted_net(self) -> str:
        return format_money(self.net_minor, self.currency)

    @property
    def formatted_vat(self) -> str:
        return format_money(self.vat_minor, self.currency)

    @property
    def formatted_total(self) -> str:
        return format_money(self.total_minor, self.currency)

    @property
    def refunds(self) -> list[Refund]:
        """What went back of its money since, oldest first. One query."""
        back: list[Refund] = []
        asked = None
        for step in self.payment.events.filter(kind=PaymentEvent.Kind.MOVED).order_by("pk"):
            if step.to_status == PaymentState.REFUND_PENDING:
                asked = step.data["amount_minor"]
            elif step.to_status == PaymentState.REFUNDED:
                before = [one.amount_minor for one in back]
                known = sum(amount for amount in before if amount is not None)
                rest = None if None in before else self.total_minor - known
                back.append(Refund(step.at, rest, self.currency))
            elif step.to_status == PaymentState.PARTIALLY_REFUNDED and step.detail not in NOT_MADE:
                part = asked if step.from_status == PaymentState.REFUND_PENDING else None
                back.append(Refund(step.at, part, self.currency))
        return back
