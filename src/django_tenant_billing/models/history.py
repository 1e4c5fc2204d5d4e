"""The history of subscriptions: every change, who made it and why, what stood before and after. Written once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _

from .. import clock, signals
from ..lifecycle import Change
from .append_only import AppendOnlyModel, AppendOnlyQuerySet

ITSELF = "time"
"""The actor of what happens by itself."""


class SubscriptionEventQuerySet(AppendOnlyQuerySet["SubscriptionEvent"]):
    def append(
        self,
        subscription: Any,
        change: Change,
        *,
        before: Mapping[str, Any],
        at: datetime,
        actor: str = ITSELF,
        reason: str = "",
        payment: Any = None,
        data: Mapping[str, Any] | None = None,
    ) -> SubscriptionEvent:
        """Write one line, and announce it after the commit. ``at`` is when it took effect."""
        event = SubscriptionEvent(
            subscription_key=subscription.pk,
            organization_key=str(subscription.organization_id),
            organization_name=str(subscription.organization)[:200],
            change=change,
            at=at,
            recorded_at=clock.now(),
            actor=actor[:200],
            reason=reason[:200],
            payment=payment,
            before=dict(before),
            after=subscription.snapshot(),
            data=dict(data or {}),
        )
        event.save(force_insert=True)
        announce = partial(
            signals.subscription_changed.send_robust, sender=type(subscription), subscription=subscription, event=event
        )
        transaction.on_commit(announce, using=router.db_for_write(SubscriptionEvent), robust=True)
        return event


class SubscriptionEvent(AppendOnlyModel):
    """One change of one subscription. No foreign key to it: the history outlives the organization."""

    subscription_key = models.BigIntegerField(_("subscription"), db_index=True)
    organization_key = models.CharField(_("organization key"), max_length=64)
    organization_name = models.CharField(_("organization name"), max_length=200)
    change = models.CharField(_("change"), max_length=20, choices=Change.choices)
    at = models.DateTimeField(_("in effect from"))
    recorded_at = models.DateTimeField(_("recorded at"))
    actor = models.CharField(_("actor"), max_length=200)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    payment = models.ForeignKey(
        "tenant_billing.PaymentTransaction", models.PROTECT, null=True, blank=True, related_name="+",
        verbose_name=_("payment"),
    )  # fmt: skip
    before = models.JSONField(_("before"), default=dict)
    after = models.JSONField(_("after"), default=dict)
    data = models.JSONField(_("data"), default=dict)

    objects = SubscriptionEventQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("subscription event")
        verbose_name_plural = _("subscription events")

    def __str__(self) -> str:
        return f"{self.organization_name} - {self.change}"
