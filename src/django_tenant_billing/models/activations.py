"""What was bought: one span of paid time on one plan, and what of it came back as credit."""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..lifecycle import unused
from ..periods import Interval
from .subscriptions import Subscription


class ActivationQuerySet(models.QuerySet["Activation"]):
    def open_of(self, subscription: Subscription, now: datetime) -> ActivationQuerySet:
        """What this subscription still has to get of what it bought, in the order in which it gets it."""
        # Where the row was read: of one that is locked, a replica may not know the latest.
        rows = self.using(subscription._state.db)
        return rows.filter(subscription=subscription, closed_at=None, ends_at__gt=now).order_by("starts_at", "pk")


class Activation(models.Model):
    """The one time a purchase put its organization on a plan, from ``starts_at`` until ``ends_at``.

    ``value_minor`` is what was given for it: the payment and the credit spent. Closed before its end, the value of its
    unused days became credit. ``before`` is the subscription as it stood then, for taking the purchase back.
    """

    # NULL where credit paid for all of it: NULLs do not conflict.
    payment = models.OneToOneField(
        "tenant_billing.PaymentTransaction", models.PROTECT, null=True, blank=True, related_name="activation",
        verbose_name=_("payment"),
    )  # fmt: skip
    purchase = models.CharField(_("purchase"), max_length=32, null=True, blank=True, unique=True)
    subscription = models.ForeignKey(
        Subscription, models.SET_NULL, null=True, related_name="activations",
        verbose_name=_("subscription"),
    )  # fmt: skip
    plan = models.CharField(_("plan"), max_length=32)
    at = models.DateTimeField(_("at"))
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    value_minor = models.BigIntegerField(_("value in paisa"))
    spent_credit_minor = models.BigIntegerField(_("of it credit, in paisa"), default=0)
    currency = models.CharField(_("currency"), max_length=3)
    price_minor = models.BigIntegerField(_("price in paisa"))
    interval = models.CharField(_("interval"), max_length=8, choices=[(i.value, i.value) for i in Interval])
    interval_count = models.PositiveSmallIntegerField(_("intervals"))
    before = models.JSONField(_("before"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    credited_minor = models.BigIntegerField(_("credited in paisa"), default=0)
    replaced_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaced", verbose_name=_("replaced by")
    )
    taken_back_at = models.DateTimeField(_("taken back at"), null=True, blank=True)

    objects = ActivationQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("activation")
        verbose_name_plural = _("activations")
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="tb_activation_ordered"),
            models.CheckConstraint(
                condition=Q(credited_minor__gte=0, credited_minor__lte=F("value_minor")), name="tb_activation_credited"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} - {self.starts_at:%Y-%m-%d} - {self.ends_at:%Y-%m-%d}"

    def waits(self, now: datetime) -> bool:
        """Does another plan hold until this one begins?"""
        holds = self.subscription.plan_in_force(now) if self.subscription is not None else self.plan
        return self.starts_at > now and holds != self.plan

    def unused(self, now: datetime, zone: tzinfo) -> tuple[int, int, int]:
        """Unused days, all days, and the value of the unused ones in paisa, rounded down."""
        left, days = unused(self.starts_at, self.ends_at, now, zone)
        return left, days, self.value_minor * left // days
