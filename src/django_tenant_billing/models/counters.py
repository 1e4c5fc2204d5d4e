"""How much of each feature was used: a counter per organization, feature and period, and the hot path over it."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from django.db import DatabaseError, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..conf import conf
from ..exceptions import CatalogueMissing, UnknownFeature
from ..fields import OrganizationForeignKey
from ..periods import FOREVER, Period
from .looks import Look, read_looks
from .plans import Feature
from .rows import insert_missing
from .statements import CONSUME, CONVERT, GIVE_BACK, HOLD, LOCK, LOOK_ALL, LOOK_ONE, OPEN, for_one_row


class UsageCounterManager(models.Manager["UsageCounter"]):
    """The statements of the hot path. All read and write the primary database; False changed nothing."""

    def consume(self, organization_id: Any, feature: str, amount: int, now: datetime) -> bool:
        """Count ``amount`` units if the limit in force leaves room."""
        return self._execute(CONSUME, organization_id, feature, now, amount=amount)

    def hold(self, organization_id: Any, feature: str, amount: int, now: datetime) -> bool:
        """Reserve ``amount`` units if the limit in force leaves room."""
        return self._execute(HOLD, organization_id, feature, now, amount=amount)

    def give_back(self, organization_id: Any, feature: str, amount: int, at: datetime) -> bool:
        """Take ``amount`` units off the period that ``at`` lies in; False where less than that is counted there."""
        return self._execute(GIVE_BACK, organization_id, feature, clock.now(), amount=amount, at=at)

    def convert(self, organization_id: Any, feature: str, held: int, used: int, at: datetime) -> bool:
        """Turn ``held`` units of the period that ``at`` lies in into ``used`` ones, without asking for room.

        False where it has no counter, or holds less.
        """
        return self._execute(CONVERT, organization_id, feature, clock.now(), amount=used, held=held, at=at)

    def look(
        self, organization_id: Any, now: datetime, zone: tzinfo, feature: str | None = None, amount: int = 1
    ) -> list[Look]:
        """Every feature, or one, of the organization as the gate would judge it now. One query.

        ``zone`` is the organization's. Raises UnknownFeature, or CatalogueMissing where nothing is seeded.
        """
        using = router.db_for_write(self.model)
        connection = connections[using]
        statement = (LOOK_ALL if feature is None else LOOK_ONE)[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(statement, self._parameters(connection, organization_id, feature, now))
            rows = cursor.fetchall()
        if not rows:
            if feature is not None and Feature.objects.using(using).exists():
                raise UnknownFeature(feature)
            raise CatalogueMissing
        return read_looks(rows, connection, now, zone, amount)

    def open_period(self, organization_id: Any, feature: str, period: Period, anchor: datetime, now: datetime) -> bool:
        """Create the counter row of a feature that happens, for what no other row covers of ``period``.

        False where somebody else did, where a row covers ``now`` already, or where ``anchor`` has moved: look again.
        """
        return self._execute(
            OPEN, organization_id, feature, now, anchor=anchor, start=period.start, end=period.end
        )  # fmt: skip

    def start(self, organization_id: Any, feature: str, used: int) -> None:
        """Create the counter row of a feature that never resets, if it is missing."""
        row = UsageCounter(
            organization_id=organization_id, feature_id=feature, period_start=FOREVER.start, period_end=FOREVER.end,
            used=used, updated_at=clock.now(),
        )  # fmt: skip
        insert_missing(UsageCounter, [row], ["organization", "feature", "period_start"])

    def lock(self, organization_id: Any, feature: str, at: datetime) -> UsageCounter | None:
        """The counter of the period that ``at`` lies in, locked until the transaction ends."""
        using = router.db_for_write(self.model)
        connection = connections[using]
        parameters = self._parameters(connection, organization_id, feature, at)
        return next(iter(self.using(using).raw(LOCK[connection.vendor], parameters)), None)

    def history_of(self, organization: models.Model) -> models.QuerySet[UsageCounter]:
        """Its use in each period, newest first, of the features that start again: what exists has no past here."""
        rows = self.filter(organization_id=organization.pk, period_end__lt=FOREVER.end)
        return rows.order_by("-period_start", "feature_id")

    def close(self, organization_id: Any, at: datetime) -> None:
        """End every open period of this organization at ``at``: what happens from then on is counted afresh."""
        resetting = self.filter(organization_id=organization_id, period_end__gt=at, period_end__lt=FOREVER.end)
        # A period that would be empty has no history to keep, and would break period_end > period_start.
        resetting.filter(period_start__gte=at).delete()
        resetting.update(period_end=at)

    def _execute(
        self, statement: str | dict[str, str], organization_id: Any, feature: str, now: datetime, **more: Any
    ) -> bool:
        using = router.db_for_write(self.model)
        connection = connections[using]
        if isinstance(statement, str):
            statement = for_one_row(statement, connection.vendor)
        else:
            statement = statement[connection.vendor]
        parameters = self._parameters(connection, organization_id, feature, now, **more)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return bool(cursor.rowcount > 0)
        except DatabaseError:
            # A swallowed deadlock would let MariaDB commit half of the caller's transaction.
            if connection.in_atomic_block:
                transaction.set_rollback(rollback=True, using=using)
            raise

    def _parameters(
        self,
        connection: BaseDatabaseWrapper,
        organization_id: Any,
        feature: str | None,
        now: datetime,
        **more: Any,
    ) -> dict[str, Any]:
        adapt = connection.ops.adapt_datetimefield_value
        parameters = {
            "organization": self.model._meta.get_field("organization").get_db_prep_value(organization_id, connection),
            "feature": feature,
            "now": (moment := adapt(now)),
            "at": moment,
            "fallback": conf.fallback_plan,
        }
        for name, value in more.items():
            parameters[name] = adapt(value) if isinstance(value, datetime) else value
        return parameters


class UsageCounter(models.Model):
    """How much of one feature was used in one period. ``used`` moves in one statement only, never by save()."""

    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    feature = models.ForeignKey(Feature, models.PROTECT, related_name="+", db_index=False, verbose_name=_("feature"))
    period_start = models.DateTimeField(_("period start"))
    period_end = models.DateTimeField(_("period end"))
    used = models.BigIntegerField(_("used"), default=0)
    held = models.BigIntegerField(_("held"), default=0)
    grace_ends_at = models.DateTimeField(_("grace ends at"), null=True, default=None)
    # Never indexed: an index on what changes with each call would cost PostgreSQL its cheap updates.
    updated_at = models.DateTimeField(_("updated at"))

    objects = UsageCounterManager()

    class Meta:
        ordering = ["organization", "feature", "-period_start"]
        verbose_name = _("usage counter")
        verbose_name_plural = _("usage counters")
        constraints = [
            # It also serves every look-up by organization, which therefore has no index of its own.
            models.UniqueConstraint(fields=["organization", "feature", "period_start"], name="tb_counter_unique"),
            models.CheckConstraint(condition=Q(used__gte=0), name="tb_counter_used_not_negative"),
            models.CheckConstraint(condition=Q(held__gte=0), name="tb_counter_held_not_negative"),
            models.CheckConstraint(condition=Q(period_end__gt=F("period_start")), name="tb_counter_period_ordered"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} - {self.feature_id}: {self.used}"
