"""What one read found of a feature: the decision, and what the engine needs to go on where it is not a plain no."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField
from django.db.models.expressions import Col

from ..catalogue import FeatureKind
from ..decisions import Decision, LimitSource, Offer
from ..periods import FOREVER, Period, Reset, period_around


class Look(NamedTuple):
    """What one read found of one feature."""

    decision: Decision
    kind: FeatureKind
    counted: bool
    """Is there a counter row for this moment?"""
    stale: bool
    """Does the counter still carry holds whose time has passed? The decision does not."""
    anchor: datetime | None
    """The subscription's; None where there is no subscription yet."""
    period: Period
    """That the moment lies in: the counter's, or the one to open."""


def read_looks(
    rows: Iterable[tuple[Any, ...]], connection: BaseDatabaseWrapper, now: datetime, zone: tzinfo, amount: int
) -> list[Look]:
    """The looks of the rows of LOOK: one row for each feature and each plan for sale that names it."""
    looks = []
    for _slug, same in groupby(rows, key=itemgetter(0)):
        group = list(same)
        offers = tuple(Offer(row[-2], row[-1]) for row in group if row[-2] is not None)
        looks.append(_look(group[0], offers, connection, now, zone, amount))
    return looks


def _look(
    row: tuple[Any, ...],
    offers: tuple[Offer, ...],
    connection: BaseDatabaseWrapper,
    now: datetime,
    zone: tzinfo,
    amount: int,
) -> Look:
    (
        slug, kind_, reset, singular, plural, plan,
        limit_id, plan_limit, on_trial, trial_limit, grace_days,
        anchor, trial_ends_at, override_id, override_limit, override_ends_at,
        counter_id, used, held, start, end, grace_ends_at, expired, next_expiry, *_offer,
    ) = row  # fmt: skip
    anchor, trial_ends_at, override_ends_at, start, end, grace_ends_at, next_expiry = _aware(
        (anchor, trial_ends_at, override_ends_at, start, end, grace_ends_at, next_expiry), connection
    )
    kind = FeatureKind(kind_)
    limit: int | None
    until: datetime | None = None
    if override_id is not None:
        limit, source, until, grace_days = override_limit, LimitSource.OVERRIDE, override_ends_at, 0
    elif limit_id is None:
        limit, source = 0, LimitSource.NONE
    elif on_trial:
        limit, source, until = trial_limit, LimitSource.TRIAL, trial_ends_at
    else:
        limit, source = plan_limit, LimitSource.PLAN
    if counter_id is not None:
        period = Period(start, end)
    elif kind is FeatureKind.HAPPENS:
        period = period_around(Reset(reset), anchor or now, now, zone)
    else:
        period = FOREVER
    resets = kind is FeatureKind.HAPPENS
    decision = Decision(
        feature=slug,
        singular=singular,
        plural=plural,
        kind=kind.value,
        plan=plan,
        amount=amount,
        limit=limit,
        limit_source=source,
        limit_until=until,
        used=used or 0,
        held=(held or 0) - int(expired),
        period_start=period.start if resets else None,
        period_end=period.end if resets else None,
        grace_days=grace_days or 0,
        grace_ends_at=grace_ends_at,
        hold_expires_at=next_expiry,
        offers=offers,
        as_of=now,
    )
    return Look(decision, kind, counter_id is not None, bool(expired), anchor, period)


def _aware(values: Iterable[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    """Datetimes as a raw cursor gives them (text on SQLite, naive on MariaDB), as the ORM would."""
    column: Col = Col("", DateTimeField())
    converters = connection.ops.get_db_converters(column)
    out = []
    for value in values:
        for convert in converters:
            value = convert(value, column, connection)
        out.append(value)
    return out
