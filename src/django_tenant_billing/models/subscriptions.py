"""Which plan an organization bought, from when, until when, and what comes after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..conf import conf
from ..fields import OrganizationOneToOneField
from ..lifecycle import Change, State
from ..periods import Interval, add
from ..zones import zone_for
from .history import SubscriptionEvent
from .plans import Plan
from .standing import SubscriptionQuerySet

SNAPSHOT = (
    "plan_id", "anchor", "period_start", "period_end", "next_plan_id", "next_period_end", "trial_ends_at",
    "grace_ends_at", "canceled_at", "credit_minor", "credit_currency",
)  # fmt: skip
"""What history keeps of a row, before and after."""


class Subscription(models.Model):
    """What one organization bought. What it may use is ``plan_in_force(now)``: decided by this row and the clock alone.

    ``period_end`` NULL never ends. Then comes ``next_plan``, if any: prepaid until ``next_period_end``, or to be paid.
    Written by whoever holds its lock: a purchase (purchases.py) or an act of a person (the subscriptions service).
    """

    organization = OrganizationOneToOneField(
        on_delete=models.CASCADE, related_name="subscription", verbose_name=_("organization")
    )
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions", verbose_name=_("plan"))
    anchor = models.DateTimeField(_("anchor"), help_text=_("Billing months are counted from here."))
    period_start = models.DateTimeField(_("period start"))
    period_end = models.DateTimeField(
        _("paid until"), null=True, blank=True, help_text=_("Empty for a plan that does not end.")
    )
    next_plan = models.ForeignKey(
        Plan, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("next plan")
    )
    next_period_end = models.DateTimeField(
        _("next plan paid until"), null=True, blank=True, help_text=_("Empty while the next plan is not paid.")
    )
    trial_ends_at = models.DateTimeField(
        _("trial ends at"), null=True, blank=True, help_text=_("While it lasts, limits of a trial hold.")
    )
    grace_ends_at = models.DateTimeField(
        _("grace ends at"), null=True, blank=True, help_text=_("Until then what was paid for goes on after its end.")
    )
    canceled_at = models.DateTimeField(_("canceled at"), null=True, blank=True)
    credit_minor = models.BigIntegerField(_("credit in paisa"), default=0)
    credit_currency = models.CharField(_("currency of the credit"), max_length=3, blank=True)
    caught_up_at = models.DateTimeField(_("caught up at"), null=True, blank=True)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True, db_index=True)
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
            models.CheckConstraint(
                condition=Q(next_period_end=None)
                | Q(next_plan__isnull=False, period_end__isnull=False, next_period_end__gt=F("period_end")),
                name="tb_subscription_next_ordered",
            ),
            models.CheckConstraint(
                condition=Q(next_plan=None) | Q(period_end__isnull=False), name="tb_subscription_next_comes"
            ),
            models.CheckConstraint(condition=Q(credit_minor__gte=0), name="tb_subscription_credit_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} - {self.plan_id}"

    def save(self, **kwargs: Any) -> None:
        since = self.caught_up_at or self.period_start
        moments = [moment for moment, _change in self._moments()] + [moment for moment, _days in self._reminders()]
        self.due_at = min((moment for moment in moments if moment > since), default=None)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "due_at", "updated_at"}
        super().save(**kwargs)

    def plan_in_force(self, now: datetime) -> str:
        """Code of the plan whose limits hold; in grace, of the features that are kept then."""
        if self.period_end is None or self.period_end > now:
            return self.plan_id
        if self.next_period_end is not None and self.next_period_end > now:
            return str(self.next_plan_id)
        if self.grace_ends_at is not None and self.grace_ends_at > now:
            return self.next_plan_id or self.plan_id
        return conf.fallback_plan

    def state(self, now: datetime | None = None) -> State:
        """Where it stands at ``now`` (the present)."""
        now = now or clock.now()
        if self.paid_until is None or self.paid_until > now:
            if self.canceled_at is not None:
                return State.CANCELED
            return State.TRIALING if self.on_trial(now) else State.ACTIVE
        return State.GRACE if self.on_grace_period(now) else State.EXPIRED

    def on_trial(self, now: datetime | None = None) -> bool:
        return self.trial_ends_at is not None and self.trial_ends_at > (now or clock.now())

    def follows_trial(self, now: datetime) -> bool:
        """Would what is paid next be the first after a trial? Months are counted from there then."""
        return self.on_trial(now) and self.next_period_end is None

    def on_grace_period(self, now: datetime | None = None) -> bool:
        """Is the paid time over, and does access go on all the same?"""
        now = now or clock.now()
        return (
            self.paid_until is not None
            and self.paid_until <= now
            and self.grace_ends_at is not None
            and self.grace_ends_at > now
        )

    @property
    def paid_until(self) -> datetime | None:
        """The end of what was paid or given, the next plan included; None without an end."""
        return self.next_period_end or self.period_end

    @property
    def ends_at(self) -> datetime | None:
        """When the fallback plan holds if nobody pays any more; None: never."""
        return self.paid_until and max(self.paid_until, self.grace_ends_at or self.paid_until)

    @property
    def renews_at(self) -> datetime | None:
        """When the next payment is due; None where none is: no end, a trial, or canceled."""
        only_tried = self.trial_ends_at is not None and self.next_period_end is None
        return None if self.canceled_at or only_tried else self.paid_until

    @property
    def zone(self) -> tzinfo:
        """Whose calendar counts. Raises ImproperlyConfigured where the site tells no zone."""
        return zone_for(self)

    def grant_grace(self) -> None:
        """Set the days of grace that the plan at the end of what was paid gives; not after a trial, nor once canceled.

        Does not save.
        """
        plan_id, end = self.next_plan_id or self.plan_id, self.renews_at
        days = Plan.objects.values_list("grace_days", flat=True).get(pk=plan_id) if end else 0
        self.grace_ends_at = add(end, Interval.DAY, days, self.zone) if end and days else None

    def snapshot(self) -> dict[str, Any]:
        """The row as plain JSON values, for history."""
        return {
            name.removesuffix("_id"): value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
            for name in SNAPSHOT
            for value in (getattr(self, name),)
        }

    def restore(self, snapshot: Mapping[str, Any], since: datetime, now: datetime) -> None:
        """Stand as in a snapshot of ``since``, with what happened by itself until ``now``. Does not save.

        Credit stays as it is: its way is its own.
        """
        for name in SNAPSHOT:
            if not name.startswith("credit"):
                value = snapshot[name.removesuffix("_id")]
                field = self._meta.get_field(name.removesuffix("_id"))
                setattr(self, name, field.to_python(value) if isinstance(field, models.DateTimeField) else value)
        self.caught_up_at = since
        self._roll(now)

    def rolled(self, now: datetime) -> Subscription:
        """A copy as catch_up would leave it. Writes nothing."""
        row = copy(self)
        row._roll(now)
        return row

    def catch_up(self, now: datetime, *, remind: bool = False) -> list[SubscriptionEvent]:
        """Note what happened by itself until ``now``, each thing once, in the row (saved) and in history.

        The caller holds the lock. Changes nothing of what anybody may use. With ``remind`` the latest reminder that
        became due is one of the things, while there is still time to pay.
        """
        before, since = self.snapshot(), self.caught_up_at or self.period_start
        passed = self._roll(now)
        reminders = [(moment, days) for moment, days in self._reminders() if since < moment <= now] if remind else []
        if not passed and (self.due_at is None or self.due_at > now):
            return []
        self.save()
        append = SubscriptionEvent.objects.append
        events = [append(self, change, at=moment, before=before) for moment, change in passed]
        if reminders and self.paid_until is not None and self.paid_until > now:
            moment, days = max(reminders)
            events.append(append(self, Change.REMINDED, at=moment, before=before, data={"days": days}))
        return events

    def _roll(self, now: datetime) -> list[tuple[datetime, Change]]:
        since = self.caught_up_at or self.period_start
        passed = [(moment, change) for moment, change in self._moments() if since < moment <= now]
        if any(change is Change.CHANGED for _moment, change in passed):
            self.plan_id, self.next_plan_id = str(self.next_plan_id), None
            if self.next_period_end is not None and self.period_end is not None:
                self.period_start, self.period_end = self.period_end, self.next_period_end
                self.next_period_end = None
        if any(change is Change.TRIAL_ENDED for _moment, change in passed):
            self.trial_ends_at = None
        self.caught_up_at = max(now, since)
        return passed

    def _reminders(self) -> Iterator[tuple[datetime, int]]:
        """When to remind of the end of what was paid or tried, and of how many days that are left then."""
        end = self.paid_until
        if end is not None and self.canceled_at is None:
            for days in conf.reminder_days:
                yield end - timedelta(days=days), days

    def _moments(self) -> Iterator[tuple[datetime, Change]]:
        """What will happen by itself, and when."""
        if self.trial_ends_at is not None:
            yield self.trial_ends_at, Change.TRIAL_ENDED
        if self.next_plan_id is not None and self.period_end is not None:
            yield self.period_end, Change.CHANGED
        end = self.paid_until
        if end is None or end == self.trial_ends_at:
            return
        if self.grace_ends_at is not None and self.grace_ends_at > end:
            yield end, Change.GRACE_STARTED
            end = self.grace_ends_at
        yield end, Change.EXPIRED
