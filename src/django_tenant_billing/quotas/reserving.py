"""Reservations: units held back until the work is done. One of commit, release and expiry wins, and wins once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import router, transaction
from django.db.models import Case, Model, When

from .. import clock
from ..exceptions import UnknownReservation
from ..models import Hold, HoldState, UsageCounter
from .engine import Again, Taken, look_at, persist, take, take_locked, warn
from .orders import Asked, Grant, Order, WhenShort, in_order, order, whole, write_ledger
from .replaying import once

EXPIRES_IN = timedelta(minutes=15)
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Reservation:
    """Units held back. Keep ``key`` to pick it up elsewhere: ``quotas.reservation(organization, key)``."""

    organization: Model
    key: str
    amounts: Mapping[str, int]
    """What is held, by feature."""
    expires_at: datetime
    """By the clock of the database."""
    replayed: bool = False

    def commit(self, actual: int | Mapping[str, int] | None = None) -> Grant | None:
        """Count ``actual`` units (without it, what was held) and let go of the rest. None where it was finished before.

        More than was held needs room for the rest: raises QuotaExceeded and stays held. After expiry the work is done
        all the same: it is counted, over the limit if need be, and the grant says ``late``.
        """
        actuals = self._actuals(actual)

        def attempt(now: datetime) -> Grant | None:
            with transaction.atomic(using=router.db_for_write(Hold)):
                holds = self._lock()
                first = holds[0]
                if first.state in (HoldState.COMMITTED, HoldState.RELEASED):
                    return None
                late = first.state == HoldState.EXPIRED or bool(first.passed)
                counted = {h.feature_id: actuals.get(h.feature_id, h.amount) for h in holds if h.amount}
                more = {h.feature_id: counted.get(h.feature_id, 0) - (0 if late else h.amount) for h in holds}
                for hold in holds:
                    self._convert(hold, counted.get(hold.feature_id, 0), now, late=late)
                    hold.committed, hold.late = counted.get(hold.feature_id, 0), late
                    self._finish(hold, HoldState.COMMITTED)
                warn(self.organization, {feature: n for feature, n in more.items() if n > 0}, first.at, now)
                write_ledger(self.organization.pk, "commit", counted, first.at, first.actor, first.subject)
            return Grant(self.organization, counted, first.at, late=late, actor=first.actor, subject=first.subject)

        return persist(self.organization, attempt, len(self.amounts))

    def release(self) -> bool:
        """Let go of what is held. False where it was finished or expired before."""
        with transaction.atomic(using=router.db_for_write(Hold)):
            holds = self._lock()
            if holds[0].state != HoldState.HELD:
                return False
            passed = bool(holds[0].passed)
            for hold in holds:
                UsageCounter.objects.convert(self.organization.pk, hold.feature_id, hold.amount, 0, hold.at)
                self._finish(hold, HoldState.EXPIRED if passed else HoldState.RELEASED)
        return not passed

    async def acommit(self, actual: int | Mapping[str, int] | None = None) -> Grant | None:
        """As commit, from async code."""
        return await sync_to_async(self.commit)(actual)

    async def arelease(self) -> bool:
        """As release, from async code."""
        return await sync_to_async(self.release)()

    def _actuals(self, actual: int | Mapping[str, int] | None) -> dict[str, int]:
        if actual is None:
            return {}
        if not isinstance(actual, Mapping):
            (feature,) = self.amounts  # several features need their names
            actual = {feature: actual}
        if unknown := sorted(set(actual) - set(self.amounts)):
            raise ValueError(f"This reservation holds nothing of {', '.join(unknown)}.")
        return {feature: whole(n, least=0) for feature, n in actual.items()}

    def _lock(self) -> list[Any]:
        """Its holds, locked, each with ``passed``: is its time over, by the database's clock?"""
        passed = Case(When(expires_at__lte=clock.DatabaseNow(), then=1), default=0)
        holds = (
            Hold.objects.using(router.db_for_write(Hold))
            .select_for_update()
            .filter(key=self.key)
            .annotate(passed=passed)
        )
        # Not by organization: MariaDB would wait on an index over the state, and miss rows that a rival moves in it.
        found = [hold for hold in holds.order_by() if hold.organization_id == self.organization.pk]
        if not found:
            raise UnknownReservation(self.key)
        places = in_order(hold.feature_id for hold in found)
        return sorted(found, key=lambda hold: places.index(hold.feature_id))

    def _convert(self, hold: Hold, actual: int, now: datetime, *, late: bool) -> None:
        """Count what was used, in the period the units were held in."""
        pk, feature = self.organization.pk, hold.feature_id
        if actual > hold.amount and not late:
            look = look_at(self.organization, feature, actual - hold.amount, now)
            take_locked(self.organization, look, WhenShort.REJECT, now, at=hold.at)
            actual = hold.amount
        held = 0 if hold.state == HoldState.EXPIRED else hold.amount
        if UsageCounter.objects.convert(pk, feature, held, actual, hold.at) or not actual:
            return
        # A purchase at the very moment of holding closed that period: what happened is counted in this one.
        if not UsageCounter.objects.convert(pk, feature, 0, actual, now):
            raise Again(look_at(self.organization, feature, actual, now))

    def _finish(self, hold: Hold, state: HoldState) -> None:
        hold.state, hold.finished_at = state, clock.now()
        hold.save(update_fields=["state", "committed", "late", "finished_at"])


def reserve(
    organization: Model, feature: Asked, amount: int = 1, *, expires_in: timedelta = EXPIRES_IN,
    when_short: str = "reject", key: str | None = None, actor: Any = "", subject: Any = "",
) -> Reservation:  # fmt: skip
    """Hold units back from everybody else, for work that takes its time; then ``commit(actual)`` or ``release()``.

    Unfinished, it expires by itself ``expires_in`` from now (more than 0, at most 7 days), by the clock of the
    database. Several features, ``when_short`` and ``key`` are as for consume. Raises QuotaExceeded, UnknownFeature.
    """
    if not timedelta(0) < expires_in <= LONGEST:
        raise ValueError(f"A reservation expires in more than 0 seconds and at most {LONGEST.days} days.")
    wanted = order("reserve", feature, amount, when_short, actor, subject)

    def act() -> dict[str, Any]:
        name = secrets.token_hex(16)
        take(organization, wanted, hold=True, also=lambda taken: _write(organization, wanted, name, taken, expires_in))
        return {"reservation": name}

    if key is None:
        return reservation(organization, act()["reservation"])
    answer = once(organization, key, wanted.body(), act)
    return reservation(organization, answer.values["reservation"], replayed=answer.replayed)


def reservation(organization: Model, key: str, *, replayed: bool = False) -> Reservation:
    """The organization's reservation with this key, whatever became of it. Raises UnknownReservation."""
    holds = list(
        Hold.objects.using(router.db_for_write(Hold))
        .filter(organization_id=organization.pk, key=key)
        .order_by("feature_id")
    )
    if not holds:
        raise UnknownReservation(key)
    amounts = {hold.feature_id: hold.amount for hold in holds}
    return Reservation(organization, key, amounts, holds[0].expires_at, replayed)


def _write(organization: Model, wanted: Order, key: str, taken: Taken, expires_in: timedelta) -> None:
    Hold.objects.bulk_create(
        Hold(
            key=key, organization_id=organization.pk, feature_id=feature, amount=taken.counted.get(feature, 0),
            at=taken.at, expires_at=clock.DatabaseNow() + expires_in, actor=wanted.actor, subject=wanted.subject,
        )
        for feature in taken.amounts
    )  # fmt: skip
