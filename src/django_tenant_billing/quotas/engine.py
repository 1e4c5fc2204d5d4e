"""Counting and holding: the loop around the conditional UPDATE, and all it needs when that finds no row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.db import OperationalError, connections, router, transaction
from django.db.models import F, Model

from .. import clock
from ..catalogue import FeatureKind, counter_for, has_ledger
from ..decisions import Decision
from ..exceptions import QuotaContended, QuotaExceeded
from ..models import Hold, HoldState, Subscription, UsageCounter
from ..models.looks import Look
from ..signals import usage_warning
from ..zones import zone_of
from .orders import Order, WhenShort, in_order, write_ledger

T = TypeVar("T")

TRIES = 8
"""How often counting may lose against rivals that give back and take in between; each loss is somebody's progress."""

WARN_AT = (60, 80, 100)
"""Percent of a limit whose crossing is announced."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an order got, and the moment that names the period it was counted in."""

    amounts: dict[str, int]
    at: datetime
    uncounted: frozenset[str]

    @property
    def counted(self) -> dict[str, int]:
        """The amounts, but for features that are on or off."""
        return {feature: n for feature, n in self.amounts.items() if feature not in self.uncounted}


class Again(Exception):
    """Not a no: a row has to be made or swept first, or a rival was faster. It leaves the transaction, so that no
    lock is held meanwhile.
    """

    def __init__(self, look: Look) -> None:
        self.look = look


def look_at(organization: Model, feature: str, amount: int, now: datetime) -> Look:
    """One feature as the gate would judge it now; one query. Raises UnknownFeature."""
    return UsageCounter.objects.look(organization.pk, now, zone_of(organization), feature, amount)[0]


def take(
    organization: Model, order: Order, *, hold: bool = False, also: Callable[[Taken], None] | None = None
) -> Taken:
    """Count, or hold, everything the order asks for, or nothing. What ``also`` writes is kept or lost with it.

    Raises QuotaExceeded, UnknownFeature.
    """
    # One statement is a transaction by itself. Whatever is to be kept together needs a real one.
    alone = (
        also is None and len(order.amounts) == 1 and not _somebody_listens() and not any(map(has_ledger, order.amounts))
    )

    def together(now: datetime) -> Taken:
        with transaction.atomic(using=router.db_for_write(UsageCounter)):
            taken = _take(organization, order, now, hold=hold)
            if not hold:
                write_ledger(organization.pk, order.verb, taken.counted, now, order.actor, order.subject)
            if also is not None:
                also(taken)
            warn(organization, taken.counted, now, now)
        return taken

    attempt = partial(_take, organization, order, hold=hold) if alone else together
    return persist(organization, attempt, len(order.amounts))


def persist(organization: Model, attempt: Callable[[datetime], T], features: int = 1) -> T:
    """``attempt(now)``, again with a new now for as long as it says so: TRIES for each feature, since one try makes or
    sweeps one row. Raises QuotaContended.
    """
    for _try in range(tries := TRIES * features):
        now = clock.now()
        try:
            return attempt(now)
        except Again as again:
            look = again.look
            prepare(organization, look, now)
        except OperationalError:
            # Our savepoint took back our part; swallowed, the error would let the site commit the rest.
            using = router.db_for_write(UsageCounter)
            if connections[using].in_atomic_block:
                transaction.set_rollback(rollback=True, using=using)
            raise
    raise QuotaContended(look.decision.feature, tries)


def _take(organization: Model, order: Order, now: datetime, *, hold: bool) -> Taken:
    statement = UsageCounter.objects.hold if hold else UsageCounter.objects.consume
    amounts: dict[str, int] = {}
    uncounted = []
    for feature, amount in order.amounts.items():
        # Whatever is done when it is short, there is room for most.
        if statement(organization.pk, feature, amount, now):
            amounts[feature] = amount
            continue
        look = _refused_or(organization, feature, amount, now, order.when_short)
        if look is None:
            amounts[feature] = amount
            uncounted.append(feature)
        else:
            amounts[feature] = take_locked(organization, look, order.when_short, now, hold=hold)
    return Taken(amounts, now, frozenset(uncounted))


def _refused_or(organization: Model, feature: str, amount: int, now: datetime, when_short: WhenShort) -> Look | None:
    """No row updated does not mean denied: look, and deny only if that says so.

    A look that needs the counter's row locked to go on; None where there is nothing to count. Raises QuotaExceeded,
    and Again where trying once more will tell.
    """
    look = look_at(organization, feature, amount, now)
    decision = look.decision
    if when_short is not WhenShort.ALLOW and not decision and not (when_short is WhenShort.CAP and decision.remaining):
        raise QuotaExceeded(decision)
    if look.stale:
        raise Again(look)
    if look.kind is FeatureKind.ON_OFF:
        return None
    if not look.counted or decision.fits:
        raise Again(look)
    return look


def take_locked(
    organization: Model, look: Look, when_short: WhenShort, now: datetime, *, hold: bool = False,
    at: datetime | None = None,
) -> int:  # fmt: skip
    """Count what one statement cannot decide (grace, cap, allow), on the locked row.

    The row is that of the period that ``at``, or now, lies in. How many were taken. Raises QuotaExceeded.
    """
    feature, amount = look.decision.feature, look.decision.amount
    with transaction.atomic(using=router.db_for_write(UsageCounter)):
        row = UsageCounter.objects.lock(organization.pk, feature, at or now)
        if row is None and at is not None:
            row = UsageCounter.objects.lock(organization.pk, feature, now)
        if row is None:
            raise Again(look)
        look = look_at(organization, feature, amount, now)
        if look.stale:
            raise Again(look)
        # The numbers of the locked row: MariaDB under REPEATABLE READ would look at an old picture of it.
        decision = replace(look.decision, used=row.used, held=row.held, grace_ends_at=row.grace_ends_at)
        taken, grace = _share(decision, when_short)
        column = "held" if hold else "used"
        UsageCounter.objects.filter(pk=row.pk).update(
            **{column: F(column) + taken}, grace_ends_at=grace, updated_at=clock.now()
        )
    return taken


def _share(decision: Decision, when_short: WhenShort) -> tuple[int, datetime | None]:
    """How many units of what was asked for are taken, and when the grace time that this needs ends."""
    if decision.fits:
        return decision.amount, None
    if decision.in_grace:
        return decision.amount, decision.grace_end
    if when_short is WhenShort.ALLOW:
        return decision.amount, decision.grace_ends_at
    if when_short is WhenShort.CAP and decision.remaining:
        return decision.remaining, None
    raise QuotaExceeded(decision)


def prepare(organization: Model, look: Look, now: datetime) -> None:
    """Make or sweep what kept a statement from finding its row."""
    feature = look.decision.feature
    if look.stale:
        sweep(organization, feature)
    elif look.counted:
        return  # a rival was faster: only try again
    elif look.kind is FeatureKind.EXISTS:
        count = counter_for(feature)
        UsageCounter.objects.start(organization.pk, feature, count(organization) if count is not None else 0)
    elif look.anchor is None:
        Subscription.objects.ensure(organization.pk, now)
    else:
        UsageCounter.objects.open_period(organization.pk, feature, look.period, look.anchor, now)


def sweep(organization: Model, feature: str) -> None:
    """Let go of the reservations of this feature whose time has passed, by the database's clock."""
    using = router.db_for_write(Hold)
    expired = Hold.objects.using(using).filter(
        organization_id=organization.pk, state=HoldState.HELD, expires_at__lte=clock.DatabaseNow()
    )
    skip = connections[using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=using):
        # Whole reservations, so that their rows share one state.
        keys = list(expired.filter(feature_id=feature).values_list("key", flat=True))
        features = expired.filter(key__in=keys).order_by().values_list("feature_id", flat=True).distinct()
        # Whoever finishes or sweeps one of them at this moment is waited for here, at the counters, where everybody
        # waits in one order; his reservation is left to him.
        for slug in in_order(features):
            UsageCounter.objects.lock(organization.pk, slug, clock.now())
        holds = list(expired.filter(key__in=keys).order_by("key", "feature_id").select_for_update(skip_locked=skip))
        places = in_order(hold.feature_id for hold in holds)
        for hold in sorted(holds, key=lambda hold: (places.index(hold.feature_id), hold.at)):
            UsageCounter.objects.convert(organization.pk, hold.feature_id, hold.amount, 0, hold.at)
        Hold.objects.using(using).filter(pk__in=[hold.pk for hold in holds]).update(
            state=HoldState.EXPIRED, finished_at=clock.now()
        )


def warn(organization: Model, taken: dict[str, int], at: datetime, now: datetime) -> None:
    """Announce, after commit, the highest mark that these units, of the period of ``at``, went past.

    Read while the counter's row is locked by our own UPDATE: between two that count, only one finds the crossing.
    """
    if not _somebody_listens():
        return
    for feature, amount in taken.items():
        decision = look_at(organization, feature, 1, now).decision
        if not decision.limit or at < (decision.period_start or at):
            continue
        after = decision.used + decision.held
        crossed = [mark for mark in WARN_AT if (after - amount) * 100 < mark * decision.limit <= after * 100]
        if crossed:
            send = partial(
                usage_warning.send_robust, sender=type(organization), organization=organization, decision=decision,
                percent=crossed[-1],
            )  # fmt: skip
            transaction.on_commit(send, using=router.db_for_write(UsageCounter), robust=True)


def _somebody_listens() -> bool:
    # has_listeners() takes a lock and copies; where nobody ever connected that is saved.
    return bool(usage_warning.receivers) and usage_warning.has_listeners()
