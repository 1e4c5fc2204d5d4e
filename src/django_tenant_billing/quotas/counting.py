"""The verbs that count at once: check, consume, consuming, release, track, set_usage, recount."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import Model

from .. import clock
from ..catalogue import FeatureKind, counter_for
from ..decisions import Decision
from ..exceptions import QuotaExceeded, ReleaseTooLarge
from ..models import UsageCounter
from ..periods import FOREVER
from ..zones import zone_of
from .engine import Again, look_at, persist, prepare, take
from .orders import Asked, Grant, Order, amounts_of, order, text, whole, write_ledger
from .replaying import once


def check(organization: Model, feature: str, amount: int = 1) -> Decision:
    """May the organization use ``amount`` more? Counts nothing; one query. Raises UnknownFeature."""
    whole(amount)
    return look_at(organization, feature, amount, clock.now()).decision


def check_all(organization: Model) -> list[Decision]:
    """The decision for one unit of every feature, in the catalogue's order; one query.

    The first time, it starts the counters of what exists from what the site counts, so that they show the truth.
    """
    now, zone = clock.now(), zone_of(organization)
    looks = UsageCounter.objects.look(organization.pk, now, zone)
    missing = [look for look in looks if not look.counted and counter_for(look.decision.feature) is not None]
    for look in missing:
        prepare(organization, look, now)
    if missing:
        looks = UsageCounter.objects.look(organization.pk, now, zone)
    return [look.decision for look in looks]


def consume(
    organization: Model, feature: Asked, amount: int = 1, *, when_short: str = "reject", key: str | None = None,
    actor: Any = "", subject: Any = "",
) -> Grant:  # fmt: skip
    """Check and count in one statement. Raises QuotaExceeded, UnknownFeature.

    Several features at once, as ``{"invoices": 1, "api_calls": 3}``, are counted all or not at all. When there is less
    room: ``"reject"``, ``"cap"`` (take what is left) or ``"allow"``. A ``key`` makes it happen once: the same again is
    answered the same, another request with it raises KeyReused. ``actor`` and ``subject`` go to the ledger of features
    that have one.

    Outside a transaction it is durable at once; inside one it lives and dies with it, and holds the counter's row
    until the end: consume last, or use ``consuming``.
    """
    return _count(organization, order("consume", feature, amount, when_short, actor, subject), key)


def track(
    organization: Model, feature: Asked, amount: int = 1, *, key: str | None = None, actor: Any = "", subject: Any = ""
) -> Grant:
    """Count what has already happened, room or not. Raises UnknownFeature."""
    return _count(organization, order("track", feature, amount, "allow", actor, subject), key)


@contextmanager
def consuming(
    organization: Model, feature: Asked, amount: int = 1, *, actor: Any = "", subject: Any = ""
) -> Iterator[Decision]:
    """One transaction for the work of the block and its count: both are kept, or neither.

    Checks on entry, so that a full organization is told before any work; counts last before commit, so that the
    counter's row is locked for a moment only. Raises QuotaExceeded, UnknownFeature. Yields the decision of the entry,
    for several features that of the first.
    """
    wanted = order("consume", feature, amount, "reject", actor, subject)
    decisions = [enter(organization, slug, n) for slug, n in wanted.amounts.items()]
    with _counting(organization, wanted):
        yield decisions[0]


@contextmanager
def counting(
    organization: Model, feature: Asked, amount: int = 1, *, actor: Any = "", subject: Any = ""
) -> Iterator[None]:
    """As ``consuming``, for who has checked already: ``enter`` or ``entry``."""
    with _counting(organization, order("consume", feature, amount, "reject", actor, subject)):
        yield


def enter(organization: Model, feature: str, amount: int = 1) -> Decision:
    """The check before guarded work: as ``entry``, and raises QuotaExceeded."""
    decision = entry(organization, feature, amount)
    if not decision:
        raise QuotaExceeded(decision)
    return decision


def entry(organization: Model, feature: str, amount: int = 1) -> Decision:
    """As check, and starts the counter of a feature that exists, while ``count`` sees the organization as it was.

    Raises UnknownFeature.
    """
    now = clock.now()
    look = look_at(organization, feature, whole(amount), now)
    if look.kind is FeatureKind.EXISTS and not look.counted:
        prepare(organization, look, now)
        look = look_at(organization, feature, amount, now)
    return look.decision


def release(organization: Model, feature: Asked, amount: int = 1, *, actor: Any = "", subject: Any = "") -> None:
    """Give units of the current period back. Raises ReleaseTooLarge rather than going below 0, UnknownFeature.

    Where the site counts what exists and no counter was started yet, there is nothing to do: it starts from the truth.
    """
    now = clock.now()
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        for slug, n in amounts_of(feature, amount).items():
            if UsageCounter.objects.give_back(organization.pk, slug, n, now):
                write_ledger(organization.pk, "release", {slug: -n}, now, text(actor, 150), text(subject, 200))
                continue
            look = look_at(organization, slug, 1, now)
            starts_from_truth = not look.counted and counter_for(slug) is not None
            if look.kind is not FeatureKind.ON_OFF and not starts_from_truth:
                raise ReleaseTooLarge(slug, n)


def release_gone(organization_id: Any, feature: str, amount: int) -> None:
    """Give back units of things that exist no more; where fewer are counted, all there are. Never raises for that.

    Only what never resets is counted at the moment that this looks at: what happened stays counted.
    """
    step, gone = amount, 0
    while step:
        if UsageCounter.objects.give_back(organization_id, feature, step, FOREVER.start):
            gone += step
            step = min(step, amount - gone)
        else:
            step //= 2
    write_ledger(organization_id, "release", {feature: -gone}, FOREVER.start, "", "")


def set_usage(organization: Model, feature: str, used: int, *, actor: Any = "", subject: Any = "") -> tuple[int, int]:
    """Make the count of the current period what it truly is, limit or not: ``(before, after)``.

    Raises UnknownFeature; ValueError for a feature that is on or off, which has no count.
    """
    whole(used, least=0)
    return _set(organization, feature, lambda: used, "set", text(actor, 150), text(subject, 200))


def recount(organization: Model, feature: str, *, dry_run: bool = False) -> tuple[int, int] | None:
    """Set the count of a feature that exists to what its ``count=`` finds: ``(before, after)``.

    None where the feature has no ``count=``, or is no feature that exists. The counter's row is locked while the site
    counts, so that nobody is granted a unit on a number about to change.
    """
    count = counter_for(feature)
    if count is None:
        return None
    look = look_at(organization, feature, 1, clock.now())
    if look.kind is not FeatureKind.EXISTS:
        return None
    if dry_run:
        return look.decision.used, count(organization)
    return _set(organization, feature, lambda: count(organization), "recount", "recount_usage", "")


@contextmanager
def _counting(organization: Model, wanted: Order) -> Iterator[None]:
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        yield
        take(organization, wanted)


def _count(organization: Model, wanted: Order, key: str | None) -> Grant:
    if key is None:
        taken = take(organization, wanted)
        return Grant(organization, taken.amounts, taken.at, taken.uncounted, actor=wanted.actor, subject=wanted.subject)

    def act() -> dict[str, Any]:
        taken = take(organization, wanted)
        return {"amounts": taken.amounts, "at": taken.at.isoformat(), "uncounted": sorted(taken.uncounted)}

    values, replayed, released = once(organization, key, wanted.body(), act)
    return Grant(
        organization, values["amounts"], datetime.fromisoformat(values["at"]), frozenset(values["uncounted"]),
        replayed=replayed, key=key, actor=wanted.actor, subject=wanted.subject, _released=released,
    )  # fmt: skip


def _set(
    organization: Model, feature: str, truth: Callable[[], int], verb: str, actor: str, subject: str
) -> tuple[int, int]:
    def attempt(now: datetime) -> tuple[int, int]:
        with transaction.atomic(using=router.db_for_write(UsageCounter)):
            look = look_at(organization, feature, 1, now)
            if look.kind is FeatureKind.ON_OFF:
                raise ValueError(f"{feature!r} is on or off: it has no count to set.")
            if look.kind is FeatureKind.EXISTS and not look.counted:
                UsageCounter.objects.start(organization.pk, feature, 0)
            row = UsageCounter.objects.lock(organization.pk, feature, now)
            if row is None:
                raise Again(look)
            before, after = row.used, truth()
            UsageCounter.objects.filter(pk=row.pk).update(used=after, updated_at=now)
            write_ledger(organization.pk, verb, {feature: after - before}, now, actor, subject)
        return before, after

    return persist(organization, attempt)
