"""Which plan an organization bought, from when, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, router
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..exceptions import CatalogueMissing
from ..fields import OrganizationOneToOneField
from ..periods import Interval, add, extended
from ..zones import zone_for
from .counters import UsageCounter
from .plans import Plan
from .rows import insert_missing


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """First touch and the lock that orders everything an organization may change at once."""

    def ensure(self, organization_id: Any, now: datetime) -> Subscription:
        """The organization's subscription; created on the fallback plan, anchored now, when it has none.

        Raises CatalogueMissing where there is no such plan yet.
        """
        found = self.filter(organization_id=organization_id).first()
        if found is None:
            if not Plan.objects.filter(pk=conf.fallback_plan).exists():
                raise CatalogueMissing
            row = Subscription(
                organization_id=organization_id, plan_id=conf.fallback_plan, anchor=now, period_start=now
            )
            insert_missing(Subscription, [row], ["organization"])
            # Where the row was written: a replica may not have it yet.
            found = self.using(router.db_for_write(Subscription)).get(organization_id=organization_id)
        return found

    def lock(self, organization_id: Any, now: datetime) -> Subscription:
        """The same, locked until the transaction ends. Taken after a payment's row and before any counter's."""
        found = self.select_for_update().filter(organization_id=organization_id).first()
        if found is None:
            self.ensure(organization_id, now)
            found = self.select_for_update().get(organization_id=organization_id)
        return found


class Subscription(models.Model):
    """What one organization bought. What it may use is ``plan_in_force(now)``."""

    organization = OrganizationOneToOneField(
        on_delete=models.CASCADE, related_name="subscription", verbose_name=_("organization")
    )
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions", verbose_name=_("plan"))
    anchor = models.DateTimeField(_("anchor"), help_text=_("Billing months are counted from here."))
    period_start = models.DateTimeField(_("period start"))
    period_end = models.DateTimeField(
        _("paid until"), null=True, blank=True, help_text=_("Empty for a plan that does not end.")
    )
    trial_ends_at = models.DateTimeField(
        _("trial ends at"), null=True, blank=True, help_text=_("While it lasts, limits of a trial hold.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["organization"]
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.CheckConstraint(
                condition=Q(period_end=None) | Q(period_end__gt=F("period_start")),
                name="tb_subscription_period_ordered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} - {self.plan_id}"

    def clean(self) -> None:
        if self.period_end is not None and self.period_end <= self.period_start:
            raise ValidationError({"period_end": _("Name a moment after the period's start.")})

    def plan_in_force(self, now: datetime) -> str:
        """Code of the plan whose limits hold: what was bought while its paid period lasts, else the fallback."""
        return self.plan_id if self.period_end is None or self.period_end > now else conf.fallback_plan

    def extend(self, plan_id: str, interval: Interval, count: int, now: datetime) -> None:
        """Add a bought period. The caller holds the lock and its transaction.

        The same plan, still in force, gets a later end and nothing else. Any other purchase starts a period now,
        with a new anchor and fresh counters. Counted by the calendar of the organization's zone. Raises
        ImproperlyConfigured, and changes nothing, where the site tells no zone.
        """
        zone = zone_for(self)
        if self.plan_id == plan_id and self.period_end is not None and self.period_end > now:
            self.period_end = extended(self.anchor, self.period_end, interval, count, zone)
        else:
            UsageCounter.objects.close(self.organization_id, now)
            self.plan_id = plan_id
            self.anchor = self.period_start = now
            self.period_end = add(now, interval, count, zone)
        # Whoever pays is on no trial any more.
        self.trial_ends_at = None
        self.save(update_fields=["plan", "anchor", "period_start", "period_end", "trial_ends_at", "updated_at"])
