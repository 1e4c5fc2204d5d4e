"""Subscriptions by where they stand, their first touch, and the lock that orders what one organization may change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar, cast

from django.db import models, router
from django.db.models import Case, CharField, F, Q, Value, When
from django.db.models.functions import Coalesce

from .. import clock
from ..conf import conf
from ..exceptions import CatalogueMissing
from ..lifecycle import State
from .plans import Plan
from .rows import insert_missing

Row = TypeVar("Row", bound=models.Model)


class SubscriptionQuerySet(models.QuerySet[Row]):
    """The scopes have the words of the row's own predicates, and mean the same."""

    def trialing(self, now: datetime | None = None) -> SubscriptionQuerySet[Row]:
        """On a trial that nobody canceled."""
        return self._paid(now).filter(canceled_at=None, trial_ends_at__gt=now or clock.now())

    def active(self, now: datetime | None = None) -> SubscriptionQuerySet[Row]:
        """Paid, given or without an end; neither on trial nor canceled."""
        no_trial = Q(trial_ends_at=None) | Q(trial_ends_at__lte=now or clock.now())
        return self._paid(now).filter(no_trial, canceled_at=None)

    def canceled(self, now: datetime | None = None) -> SubscriptionQuerySet[Row]:
        """Going to end, and not ended yet."""
        return self._paid(now).filter(canceled_at__isnull=False)

    def on_grace_period(self, now: datetime | None = None) -> SubscriptionQuerySet[Row]:
        """Over, with some days left to pay."""
        now = now or clock.now()
        return self._until().filter(until__lte=now, grace_ends_at__gt=now)

    def expired(self, now: datetime | None = None) -> SubscriptionQuerySet[Row]:
        """Over: on the fallback plan."""
        now = now or clock.now()
        return self._until().filter(Q(grace_ends_at=None) | Q(grace_ends_at__lte=now), until__lte=now)

    def standing(self, now: datetime) -> SubscriptionQuerySet[Any]:
        """Each row with ``in_force`` and ``stands``: what its ``plan_in_force(now)`` and its ``state(now)`` say."""
        word, paid = CharField(), Q(until=None) | Q(until__gt=now)
        in_force = Case(
            When(Q(period_end=None) | Q(period_end__gt=now), then=F("plan_id")),
            When(next_period_end__gt=now, then=F("next_plan_id")),
            When(grace_ends_at__gt=now, then=Coalesce("next_plan_id", "plan_id")),
            default=Value(conf.fallback_plan),
            output_field=word,
        )
        stands = Case(
            When(paid & Q(canceled_at__isnull=False), then=Value(State.CANCELED.value)),
            When(paid & Q(trial_ends_at__gt=now), then=Value(State.TRIALING.value)),
            When(paid, then=Value(State.ACTIVE.value)),
            When(grace_ends_at__gt=now, then=Value(State.GRACE.value)),
            default=Value(State.EXPIRED.value),
            output_field=word,
        )
        return cast("SubscriptionQuerySet[Any]", self._until().annotate(in_force=in_force, stands=stands))

    def _until(self) -> SubscriptionQuerySet[Row]:
        return cast("SubscriptionQuerySet[Row]", self.alias(until=Coalesce(F("next_period_end"), F("period_end"))))

    def _paid(self, now: datetime | None) -> SubscriptionQuerySet[Row]:
        return self._until().filter(Q(until=None) | Q(until__gt=now or clock.now()))

    def ensure(self, organization_id: Any, now: datetime) -> Row:
        """The organization's subscription; created on the fallback plan, anchored now, when it has none.

        Raises CatalogueMissing where there is no such plan yet.
        """
        found = self.filter(organization_id=organization_id).first()
        if found is None:
            if not Plan.objects.filter(pk=conf.fallback_plan).exists():
                raise CatalogueMissing
            row = self.model(organization_id=organization_id, plan_id=conf.fallback_plan, anchor=now, period_start=now)
            insert_missing(self.model, [row], ["organization"])
            # Where the row was written: a replica may not have it yet.
            found = self.using(router.db_for_write(self.model)).get(organization_id=organization_id)
        return found

    def lock(self, organization_id: Any, now: datetime) -> Row:
        """The same, locked until the transaction ends. Taken after a payment's row and before any counter's."""
        found = self.select_for_update().filter(organization_id=organization_id).first()
        if found is None:
            self.ensure(organization_id, now)
            found = self.select_for_update().get(organization_id=organization_id)
        return found
