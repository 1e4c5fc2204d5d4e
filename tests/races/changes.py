"""What the quota machine changes around the counters: time, plans, limits, trials, overrides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.models import LimitOverride, PlanLimit, Subscription
from django_tenant_billing.periods import Interval
from django_tenant_billing.testing import clock_moved, subscribe
from tests.quota_tools import put_on
from tests.races.model import Limit, Override
from tests.races.world import World, chosen


def later(by: timedelta | None) -> datetime | None:
    return None if by is None else clock.now() + by


@dataclass(frozen=True)
class LetTimePass:
    by: timedelta

    def __call__(self, world: World) -> None:
        world.undone_at_the_end.enter_context(clock_moved(self.by))
        world.of(1 - world.touched)


@dataclass(frozen=True)
class EditLimit:
    """Of all organizations."""

    place: tuple[str, str]
    limit: Limit

    def __call__(self, world: World) -> None:
        (plan, feature), limits = self.place, world.accounts[0].limits
        row = PlanLimit.objects.filter(plan=plan, feature=feature)
        world.undone_at_the_end.callback(row.update, **vars(limits[self.place]))
        limits[self.place] = self.limit
        row.update(**vars(self.limit))
        world.of(1 - world.touched)


@dataclass(frozen=True)
class Subscribe:
    who: int
    plan: str
    paid_for: timedelta | None

    def __call__(self, world: World) -> None:
        (organization, account), until = world.of(self.who), later(self.paid_for)
        subscribe(organization, self.plan, until=until)
        account.plan, account.paid_until = self.plan, until


@dataclass(frozen=True)
class Purchase:
    who: int
    plan: str
    interval: Interval

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        with transaction.atomic():
            put_on(Subscription.objects.lock(organization.pk, now), self.plan, self.interval, 1, now)
        account.purchase(self.plan, self.interval, now)


@dataclass(frozen=True)
class ChangeTrial:
    who: int
    lasts: timedelta | None

    def __call__(self, world: World) -> None:
        organization, account = world.of(self.who)
        account.trial_ends_at = later(self.lasts)
        Subscription.objects.filter(organization=organization).update(trial_ends_at=account.trial_ends_at)


@dataclass(frozen=True)
class GiveOverride:
    who: int
    feature: str
    limit: int | None
    begins: timedelta
    lasts: timedelta | None

    def __call__(self, world: World) -> None:
        (organization, account), starts = world.of(self.who), clock.now() + self.begins
        ends = None if self.lasts is None else starts + self.lasts
        quotas.override(
            organization, self.feature, self.limit, reason="test", actor="test", starts_at=starts, ends_at=ends
        )
        account.overrides.append(Override(self.feature, self.limit, starts, ends))


@dataclass(frozen=True)
class EndOverride:
    who: int
    which: int

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        rows = LimitOverride.objects.filter(organization=organization).order_by("pk")
        for row, known in chosen(list(zip(rows, account.overrides, strict=True)), self.which):
            end = max(known.starts_at, now)
            lasts = known.ends_at is None or known.ends_at > end
            known.ends_at = end if lasts else known.ends_at
            assert quotas.end_override(row) == lasts
