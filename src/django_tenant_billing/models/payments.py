"""One attempt to pay for one plan."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from django.apps import apps
from django.db import models, router, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from .. import clock, signals
from ..exceptions import NotProven
from ..fields import OrganizationForeignKey
from ..money import format_money, to_major
from ..periods import Interval
from ..states import SETTLED, PaymentState
from .activations import Activation
from .plans import INTERVALS, Plan
from .purchases import buy
from .quotes import Terms
from .subscriptions import Subscription

PAYER = "payer"
"""The actor of a payment that nobody is known to have started."""

REFERENCE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_reference() -> str:
    """A fresh reference: 20 characters that every gateway accepts and nobody misreads. Not a capability."""
    return "TB-" + "".join(secrets.choice(REFERENCE_ALPHABET) for _position in range(17))


def new_purchase() -> str:
    return secrets.token_hex(16)


class PaymentTransaction(models.Model):
    """One attempt to pay for one plan at one gateway. ``status`` is written by payments.py alone."""

    organization = OrganizationForeignKey(
        on_delete=models.SET_NULL, null=True, blank=True, verbose_name=_("organization")
    )
    organization_key = models.CharField(_("organization key"), max_length=64)
    organization_name = models.CharField(_("organization name"), max_length=200)
    reference = models.CharField(_("reference"), max_length=20, unique=True)
    purchase = models.CharField(_("purchase"), max_length=32, db_index=True)
    gateway = models.CharField(_("gateway"), max_length=50)
    # NULL until the gateway named it: NULLs do not conflict.
    gateway_reference = models.CharField(_("gateway's reference"), max_length=100, null=True, blank=True)
    gateway_transaction_id = models.CharField(_("gateway's transaction id"), max_length=100, null=True, blank=True)
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="payments", verbose_name=_("plan"))
    # The price as it was when the attempt began; a later change of the catalogue changes no open payment.
    amount_minor = models.BigIntegerField(_("amount in paisa"))
    credit_minor = models.BigIntegerField(_("paid by credit, in paisa"), default=0)
    # NULL until money came: what the gateway says, which in a review may not be what was asked for.
    received_minor = models.BigIntegerField(_("received in paisa"), null=True, blank=True)
    refunded_minor = models.BigIntegerField(_("refunded in paisa"), default=0)
    currency = models.CharField(_("currency"), max_length=3)
    interval = models.CharField(_("interval"), max_length=8, choices=INTERVALS)
    interval_count = models.PositiveSmallIntegerField(_("intervals"))
    status = models.CharField(_("status"), max_length=20, choices=PaymentState.choices, default=PaymentState.CREATED)
    detail = models.CharField(_("detail"), max_length=50, blank=True)
    # As the site told it when the attempt began, for the receipt; empty: the organization's name.
    buyer = models.JSONField(_("buyer"), default=dict, blank=True)
    suspicion = models.CharField(_("suspicion"), max_length=30, blank=True)
    actor = models.CharField(_("started by"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"))
    initiated_at = models.DateTimeField(_("initiated at"), null=True, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    unanswered = models.PositiveSmallIntegerField(_("unanswered checks"), default=0)
    next_check_at = models.DateTimeField(_("next check at"), null=True, blank=True, db_index=True)
    leased_until = models.DateTimeField(_("being asked until"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("payment transaction")
        verbose_name_plural = _("payment transactions")
        indexes = [models.Index(fields=["organization", "-created_at"], name="tb_payment_by_organization")]
        constraints = [
            models.UniqueConstraint(fields=["gateway", "gateway_reference"], name="tb_payment_gateway_reference"),
            models.UniqueConstraint(fields=["gateway", "gateway_transaction_id"], name="tb_payment_gateway_txn"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="tb_payment_amount_positive"),
            models.CheckConstraint(condition=Q(credit_minor__gte=0), name="tb_payment_credit_not_negative"),
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=Coalesce("received_minor", "amount_minor")),
                name="tb_payment_refunded_in_range",
            ),
            models.CheckConstraint(condition=Q(status__in=PaymentState.values), name="tb_payment_status_known"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(SETTLED), paid_at__isnull=False)
                | Q(~Q(status__in=sorted(SETTLED)), paid_at__isnull=True),
                name="tb_payment_paid_at_iff_settled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} - {self.plan_id} - {self.get_status_display()}"

    @property
    def amount(self) -> object:
        """The amount in rupees."""
        return to_major(self.amount_minor)

    @property
    def money_minor(self) -> int:
        """What came, in paisa; before anything did, what is asked for."""
        return self.amount_minor if self.received_minor is None else self.received_minor

    @property
    def terms(self) -> Terms:
        """What it pays for, at the full price."""
        return Terms(
            self.plan_id, self.money_minor + self.credit_minor, self.currency, Interval(self.interval),
            self.interval_count,
        )  # fmt: skip

    @property
    def formatted_amount(self) -> str:
        """The amount as people read it."""
        return format_money(self.amount_minor, self.currency)

    @property
    def formatted_money(self) -> str:
        """What came, as people read it."""
        return format_money(self.money_minor, self.currency)

    def activate_plan(self, *, days: int | None = None) -> Activation:
        """Put the organization on the plan this payment paid for, and issue the receipt, in one transaction.

        Repeating it changes nothing.

        For so many ``days`` where a person decided so, otherwise for what was ordered. Acts on ``paid`` alone, which
        settle() saves first; raises NotProven otherwise.
        """
        using = router.db_for_write(PaymentTransaction)
        with transaction.atomic(using=using):
            locked = PaymentTransaction.objects.using(using).select_for_update().get(pk=self.pk)
            done = Activation.objects.using(using).filter(payment=locked).first()
            if done is not None:
                return done
            if locked.status != PaymentState.PAID:
                raise NotProven(locked.reference, locked.status)
            now = clock.now()
            terms = locked.terms if days is None else locked.terms._replace(interval=Interval.DAY, intervals=days)
            activation = buy(
                Subscription.objects.lock(locked.organization_id, now), terms, now,
                paid_minor=locked.money_minor, actor=locked.actor or PAYER, payment=locked,
                purchase_key=locked.purchase,
            )  # fmt: skip
            # By name, so that it comes after this model: an organization that is deleted lets go of its payments first,
            # and then, when nobody adds one any more, of its receipts.
            receipts: Any = apps.get_model("tenant_billing", "Receipt")
            receipts.objects.issue(locked, terms, now)
            transaction.on_commit(
                partial(signals.plan_activated.send_robust, sender=PaymentTransaction, payment=locked),
                using=using,
                robust=True,
            )
            return activation
