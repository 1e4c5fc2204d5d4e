"""The quota engine: who may use how much of what, counted exactly, in the site's own transaction.

Knows no request. ``check`` looks; ``consume`` counts now; ``consuming`` counts with the work of one transaction;
``release`` gives back. Amounts are whole units, 1 or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import InternalError, connections, router, transaction
from django.db.models import Model
from django.utils import timezone

from . import clock
from .catalogue import MAX_LIMIT, FeatureKind, counter_for
from .decisions import Decision
from .exceptions import QuotaContended, QuotaExceeded, ReleaseTooLarge
from .models import Subscription, UsageCounter
from .models.usage import Look
from .periods import FOREVER, month_around

__all__ = [
    "Grant",
    "acheck",
    "aconsume",
    "aconsuming",
    "arelease",
    "check",
    "check_all",
    "consume",
    "consuming",
    "recount",
    "release",
]

T = TypeVar("T")

TRIES = 8
"""How often counting may lose against rivals that give back and take in between; each loss is somebody's progress."""


@dataclass
class Grant:
    """Units that were counted. ``release()`` gives them back, once, to the period they were counted in."""

    organization: Model
    feature: str
    amount: int
    at: datetime
    counted: bool = True
    """False for a feature that is on or off: there is nothing to give back."""
    _released: bool = field(default=False, repr=False)

    def release(self) -> bool:
        """Give the units back. False when that was done before, or there was nothing to give back."""
        if self._released or not self.counted:
            return False
        self._released = True
        return UsageCounter.objects.give_back(self.organization.pk, self.feature, self.amount, self.at)

    def release_after_failure(self) -> bool:
        """The same for work that failed: skipped in a transaction that is lost anyway, whose rollback gives back."""
        connection = connections[router.db_for_write(UsageCounter)]
        if connection.in_atomic_block and connection.needs_rollback:
            return False
        try:
            return self.release()
        except InternalError:
            # PostgreSQL: the work broke the transaction and swallowed the error. It can only roll back.
            return False


def check(organization: Model, feature: str, amount: int = 1) -> Decision:
    """May the organization use ``amount`` more? Counts nothing; one query. Raises UnknownFeature."""
    _whole(amount)
    return _look(organization, feature, amount, clock.now()).decision


def check_all(organization: Model) -> list[Decision]:
    """The decision for one unit of every feature, in the catalogue's order; one query.

    The first time, it starts the counters of what exists from what the site counts, so that they show the truth.
    """
    now = clock.now()
    looks = UsageCounter.objects.look(organization.pk, now)
    missing = [look for look in looks if not look.counted and counter_for(look.decision.feature) is not None]
    for look in missing:
        _open_period(organization, look.decision.feature, look.kind, now)
    if missing:
        looks = UsageCounter.objects.look(organization.pk, now)
    return [look.decision for look in looks]


def consume(organization: Model, feature: str, amount: int = 1) -> Grant:
    """Check and count in one statement. Raises QuotaExceeded, UnknownFeature.

    Outside a transaction it is durable at once; inside one it lives and dies with it, and holds the counter's row
    until the end: consume last, or use ``consuming``.
    """
    _whole(amount)
    for _try in range(TRIES):
        now = clock.now()
        if UsageCounter.objects.consume(organization.pk, feature, amount, now):
            return Grant(organization, feature, amount, now)
        # No row updated does not mean denied: look, deny only if that says so, else make the row and try again.
        look = _look(organization, feature, amount, now)
        if not look.decision:
            raise QuotaExceeded(look.decision)
        if look.kind is FeatureKind.ON_OFF:
            return Grant(organization, feature, amount, now, counted=False)
        if not look.counted:
            _open_period(organization, feature, look.kind, now)
    raise QuotaContended(feature, TRIES)


@contextmanager
def consuming(organization: Model, feature: str, amount: int = 1) -> Iterator[Decision]:
    """One transaction for the work of the block and its count: both are kept, or neither.

    Checks on entry, so that a full organization is told before any work; counts last before commit, so that the
    counter's row is locked for a moment only. Raises QuotaExceeded, UnknownFeature.
    """
    _whole(amount)
    decision = enter(organization, feature, amount)
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        yield decision
        consume(organization, feature, amount)


def enter(organization: Model, feature: str, amount: int = 1) -> Decision:
    """The check before guarded work. Makes the counter row of a feature that exists, while ``count`` still sees the
    organization as it was. Raises QuotaExceeded, UnknownFeature.
    """
    now = clock.now()
    look = _look(organization, feature, amount, now)
    if look.kind is FeatureKind.EXISTS and not look.counted:
        _open_period(organization, feature, look.kind, now)
        look = _look(organization, feature, amount, now)
    if not look.decision:
        raise QuotaExceeded(look.decision)
    return look.decision


def release(organization: Model, feature: str, amount: int = 1) -> None:
    """Give units of the current period back. Raises ReleaseTooLarge rather than going below 0, UnknownFeature.

    Where the site counts what exists and no counter was started yet, there is nothing to do: it starts from the truth.
    """
    _whole(amount)
    now = clock.now()
    if UsageCounter.objects.give_back(organization.pk, feature, amount, now):
        return
    look = _look(organization, feature, 1, now)
    starts_from_truth = not look.counted and counter_for(feature) is not None
    if look.kind is not FeatureKind.ON_OFF and not starts_from_truth:
        raise ReleaseTooLarge(feature, amount)


def recount(organization: Model, feature: str, *, dry_run: bool = False) -> tuple[int, int] | None:
    """Set the count of a feature that exists to what its ``count=`` finds: ``(before, after)``.

    None where the feature has no ``count=``, or is no feature that exists. The counter's row is locked while the site
    counts, so that nobody is granted a unit on a number about to change.
    """
    count = counter_for(feature)
    if count is None:
        return None
    look = _look(organization, feature, 1, clock.now())
    if look.kind is not FeatureKind.EXISTS:
        return None
    if dry_run:
        return look.decision.used, count(organization)
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        if not look.counted:
            UsageCounter.objects.open_period(organization.pk, feature, FOREVER, 0)
        row = UsageCounter.objects.select_for_update().get(
            organization_id=organization.pk, feature_id=feature, period_start=FOREVER.start
        )
        before, after = row.used, count(organization)
        row.used, row.updated_at = after, clock.now()
        row.save(update_fields=["used", "updated_at"])
    return before, after


async def acheck(organization: Model, feature: str, amount: int = 1) -> Decision:
    """As check, from async code."""
    return await sync_to_async(check)(organization, feature, amount)


async def aconsume(organization: Model, feature: str, amount: int = 1) -> Grant:
    """As consume, from async code."""
    return await sync_to_async(consume)(organization, feature, amount)


async def arelease(organization: Model, feature: str, amount: int = 1) -> None:
    """As release, from async code."""
    await sync_to_async(release)(organization, feature, amount)


async def aconsuming(organization: Model, feature: str, amount: int, work: Callable[[], T]) -> T:
    """Run the synchronous ``work`` as the block of ``consuming``: transactions do not work in async code."""

    def run() -> T:
        with consuming(organization, feature, amount):
            return work()

    return await sync_to_async(run)()


def _look(organization: Model, feature: str, amount: int, now: datetime) -> Look:
    return UsageCounter.objects.look(organization.pk, now, feature, amount)[0]


def _open_period(organization: Model, feature: str, kind: FeatureKind, now: datetime) -> None:
    """Make the counter row of the period that ``now`` lies in, starting from what the site counts, if it does."""
    if kind is FeatureKind.EXISTS:
        count = counter_for(feature)
        used = count(organization) if count is not None else 0
        UsageCounter.objects.open_period(organization.pk, feature, FOREVER, used)
        return
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        # The lock keeps a purchase from moving the anchor between reading it and writing the row.
        anchor = Subscription.objects.lock(organization.pk, now).anchor
        month = month_around(anchor, now, timezone.get_default_timezone())
        period = UsageCounter.objects.free_period(organization.pk, feature, month, now)
        if period is not None:
            UsageCounter.objects.open_period(organization.pk, feature, period, 0)


def _whole(amount: Any) -> None:
    if type(amount) is not int or not 1 <= amount <= MAX_LIMIT:
        raise ValueError(f"An amount is a whole number from 1 to {MAX_LIMIT}, not {amount!r}.")
