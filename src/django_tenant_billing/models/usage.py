"""How much an organization has used: the head row, and a counter per feature and period."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, Self

from django.db import connections, models, router, transaction
from django.db.models import F, Q
from django.db.models.expressions import Col
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..catalogue import FeatureKind
from ..conf import conf
from ..decisions import Decision
from ..exceptions import CatalogueMissing, UnknownFeature
from ..fields import OrganizationForeignKey, OrganizationOneToOneField
from ..periods import FOREVER, Period, month_around
from .plans import Feature
from .rows import insert_missing
from .statements import CONSUME, GIVE_BACK, LOOK_ALL, LOOK_ONE


class Look(NamedTuple):
    """What one read found of one feature."""

    decision: Decision
    kind: FeatureKind
    counted: bool
    """Is there a counter row for this moment?"""


class UsageCounterQuerySet(models.QuerySet["UsageCounter"]):
    """The statements of the hot path. All read and write the primary database."""

    def consume(self, organization_id: Any, feature: str, amount: int, now: datetime) -> bool:
        """Count ``amount`` units if the limit in force leaves room. One statement; False changed nothing."""
        using, key, at = self._parameters(organization_id, now)
        parameters = (
            amount, at, key, feature, at, at, feature, key, at, conf.fallback_plan, amount
        )  # fmt: skip
        return self._execute(using, CONSUME, parameters)

    def give_back(self, organization_id: Any, feature: str, amount: int, at: datetime) -> bool:
        """Take ``amount`` units off the period that ``at`` lies in; False where less than that is counted there."""
        using, key, then = self._parameters(organization_id, at)
        now = connections[using].ops.adapt_datetimefield_value(clock.now())
        return self._execute(using, GIVE_BACK, (amount, now, key, feature, then, then, amount))

    def look(self, organization_id: Any, now: datetime, feature: str | None = None, amount: int = 1) -> list[Look]:
        """Every feature, or one, of the organization as the gate would judge it now. One query.

        Raises UnknownFeature, or CatalogueMissing where nothing is seeded.
        """
        using, key, at = self._parameters(organization_id, now)
        plan = (key, at, conf.fallback_plan)
        parameters = (*plan, *plan, key, key, at, at)
        with connections[using].cursor() as cursor:
            if feature is None:
                cursor.execute(LOOK_ALL, parameters)
            else:
                cursor.execute(LOOK_ONE, (*parameters, feature))
            rows = cursor.fetchall()
        if not rows:
            if feature is not None and Feature.objects.using(using).exists():
                raise UnknownFeature(feature)
            raise CatalogueMissing
        return [_look(row, using, now, amount) for row in rows]

    def free_period(self, organization_id: Any, feature: str, month: Period, now: datetime) -> Period | None:
        """The part of the month around ``now`` that no other period covers; None where one covers ``now``.

        A purchase cuts periods short, and whoever read the time before it comes late: two rows must never overlap.
        """
        start, end = month
        overlapping = self.using(router.db_for_write(self.model)).filter(
            organization_id=organization_id, feature_id=feature, period_start__lt=end, period_end__gt=start
        )
        for other_start, other_end in overlapping.values_list("period_start", "period_end"):
            if other_start <= now < other_end:
                return None
            if other_end <= now:
                start = max(start, other_end)
            else:
                end = min(end, other_start)
        return Period(start, end)

    def open_period(self, organization_id: Any, feature: str, period: Period, used: int) -> None:
        """Create the counter row of this period if it is missing."""
        row = UsageCounter(
            organization_id=organization_id, feature_id=feature, period_start=period[0], period_end=period[1],
            used=used, updated_at=clock.now(),
        )  # fmt: skip
        insert_missing(UsageCounter, [row], ["organization", "feature", "period_start"])

    def close(self, organization_id: Any, at: datetime) -> None:
        """End every open period of this organization at ``at``: what happens from then on is counted afresh."""
        resetting = self.filter(organization_id=organization_id, period_end__gt=at, period_end__lt=FOREVER.end)
        # A period that would be empty has no history to keep, and would break period_end > period_start.
        resetting.filter(period_start__gte=at).delete()
        resetting.update(period_end=at)

    def _parameters(self, organization_id: Any, moment: datetime) -> tuple[str, Any, Any]:
        using = router.db_for_write(self.model)
        connection = connections[using]
        key = self.model._meta.get_field("organization").get_db_prep_value(organization_id, connection)
        return using, key, connection.ops.adapt_datetimefield_value(moment)

    def _execute(self, using: str, statement: str, parameters: tuple[Any, ...]) -> bool:
        # A swallowed deadlock would let MariaDB commit half of the caller's transaction.
        with transaction.mark_for_rollback_on_error(using), connections[using].cursor() as cursor:
            cursor.execute(statement, parameters)
            return bool(cursor.rowcount > 0)


class UsageCounter(models.Model):
    """How much of one feature was used in one period. ``used`` moves in one statement only, never by save()."""

    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    feature = models.ForeignKey(Feature, models.PROTECT, related_name="+", db_index=False, verbose_name=_("feature"))
    period_start = models.DateTimeField(_("period start"))
    period_end = models.DateTimeField(_("period end"))
    used = models.BigIntegerField(_("used"), default=0)
    held = models.BigIntegerField(_("held"), default=0)
    updated_at = models.DateTimeField(_("updated at"))

    objects = UsageCounterQuerySet.as_manager()

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


class UsageQuerySet(models.QuerySet["Usage"]):
    """Usage rows, with the related rows that printing a plan needs."""

    def select_related(self, *fields: Any) -> Self:
        """As Django's; where a subscription is named, its plan comes along."""
        name = conf.related_prefix + "subscription"
        plans = [f"{field}__plan" for field in fields if isinstance(field, str) and field.split("__")[-1] == name]
        return super().select_related(*fields, *plans)


class Usage(models.Model):
    """The head of what one organization has used. One row per organization; the numbers are in UsageCounter."""

    organization = OrganizationOneToOneField(
        on_delete=models.CASCADE, related_name="usage", verbose_name=_("organization")
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = UsageQuerySet.as_manager()

    class Meta:
        ordering = ["organization"]
        verbose_name = _("usage")
        verbose_name_plural = _("usage")

    def __str__(self) -> str:
        return str(self.organization)

    def decide(self, feature: str, amount: int = 1) -> Decision:
        """May the organization use ``amount`` more of this feature now? One query; counts nothing."""
        return UsageCounter.objects.look(self.organization_id, clock.now(), feature, amount)[0].decision

    def can_create_invoice(self) -> tuple[bool, str | None]:
        """``(True, None)``, or ``(False, why not)``. A look, not a grant: see quotas.consume."""
        return self._can("invoices")

    def can_add_customer(self) -> tuple[bool, str | None]:
        """As can_create_invoice, for customers."""
        return self._can("customers")

    def can_add_team_member(self) -> tuple[bool, str | None]:
        """As can_create_invoice, for team members."""
        return self._can("team_members")

    @property
    def invoices_created(self) -> int:
        """Invoices of the current period."""
        return self._used("invoices")

    @property
    def customers_created(self) -> int:
        """Customers there are."""
        return self._used("customers")

    @property
    def team_members_added(self) -> int:
        """Team members there are."""
        return self._used("team_members")

    @property
    def api_calls_used(self) -> int:
        """API calls of the current period."""
        return self._used("api_calls")

    def _can(self, feature: str) -> tuple[bool, str | None]:
        decision = self.decide(feature)
        return decision.allowed, decision.message or None

    def _used(self, feature: str) -> int:
        now = clock.now()
        counters = UsageCounter.objects.filter(
            organization_id=self.organization_id, feature_id=feature, period_start__lte=now, period_end__gt=now
        )
        return sum(counters.values_list("used", flat=True))


def _look(row: tuple[Any, ...], using: str, now: datetime, amount: int) -> Look:
    slug, kind, singular, plural, plan, limit_id, limit, counter_id, used, held, start, end, anchor, upgradable = row
    kind = FeatureKind(kind)
    if kind is FeatureKind.HAPPENS:
        if counter_id is not None:
            start, end = _aware([start, end], using)
        else:
            (anchored,) = _aware([anchor], using)
            start, end = month_around(anchored or now, now, timezone.get_default_timezone())
    else:
        start = end = None
    decision = Decision(
        feature=slug,
        singular=singular,
        plural=plural,
        kind=kind.value,
        plan=plan,
        amount=amount,
        limit=limit if limit_id is not None else 0,
        used=used or 0,
        held=held or 0,
        period_start=start,
        period_end=end,
        upgradable=bool(upgradable),
    )
    return Look(decision, kind, counted=counter_id is not None)


def _aware(values: Iterable[Any], using: str) -> list[datetime | None]:
    """Datetimes as a raw cursor gives them (text on SQLite, naive on MariaDB), as the ORM would."""
    connection = connections[using]
    column = Col("", UsageCounter._meta.get_field("period_start"))
    converters = connection.ops.get_db_converters(column)
    out = []
    for value in values:
        for convert in converters:
            value = convert(value, column, connection)
        out.append(value)
    return out
