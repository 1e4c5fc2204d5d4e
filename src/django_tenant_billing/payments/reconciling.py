"""Asking about payments whose time has come: in batches that workers share, at a gateway's pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections

from .. import clock
from ..exceptions import Busy
from ..models import Breaker, PaymentTransaction, Throttle
from ..states import OPEN, SOFT_FAILED, UNSENT_AFTER
from .door import Durable, S, locked, move, payments, using
from .settling import CALM, URGENT, verify

BACK = frozenset({S.PARTIALLY_REFUNDED, S.REFUNDED})

BATCH = 50

CLAIMED_FOR = timedelta(minutes=2)
"""How long a worker has the payments of a batch for itself. Those of a killed one come up again then."""

PER_SECOND = 5
"""Questions to one gateway, by all workers together."""


@dataclass(slots=True)
class Sweep:
    """What one run of reconcile did."""

    asked: int = 0
    paid: int = 0
    review: int = 0
    closed: int = 0
    still_open: int = 0
    refunded: int = 0


def reconcile(
    *,
    limit: int = 300,
    since: datetime | None = None,
    per_second: int = PER_SECOND,
    progress: Callable[[Sweep], None] = lambda sweep: None,
) -> Sweep:
    """Ask about payments whose time has come, oldest first, and close those that never reached a payer.

    Any number of workers may run it at once. ``since`` asks about every payment started from then on whose state a
    gateway's answer can still change, whatever its schedule. ``progress`` is called after each batch.
    """
    sweep, now = Sweep(), clock.now()
    Throttle.objects.forget(now)
    created = payments().filter(status=S.CREATED)
    for payment in created.filter(next_check_at=None, created_at__lt=now - UNSENT_AFTER)[:limit]:
        sweep.closed += _close(payment, "initiate_unknown")
    for payment in created.filter(next_check_at__lte=now)[:limit]:
        sweep.closed += _close(payment, "not_received")
    for batch in _due(now, limit) if since is None else _started(since, limit):
        rest = batch[::-1]
        try:
            while rest:
                payment = rest.pop()
                if not Breaker.objects.holds(payment.gateway):
                    _pace(payment.gateway, per_second)
                _verify(payment, sweep)
        finally:
            # Whatever breaks on one of these, the next run begins with the others.
            claimed = payments().filter(pk__in=[payment.pk for payment in rest], next_check_at=now + CLAIMED_FOR)
            claimed.update(next_check_at=now)
        progress(sweep)
    return sweep


def _close(payment: PaymentTransaction, detail: str) -> bool:
    """Close an attempt that is still ``created``; was it?"""
    with Durable("reconcile"):
        late = locked(payment)
        if late.status != S.CREATED:
            return False
        late.next_check_at = None
        move(late, S.FAILED, detail=detail, actor="reconcile", save=("next_check_at",))
    return True


def _due(now: datetime, limit: int) -> Iterator[list[PaymentTransaction]]:
    """Batches of what is due, each for this worker alone: first what is open, then what may have been refunded."""
    skip = connections[using()].features.has_select_for_update_skip_locked
    for states in (URGENT, CALM):
        while limit > 0:
            with Durable("reconcile"):
                due = payments().filter(next_check_at__lte=now, status__in=states).order_by("next_check_at", "pk")
                batch = list(due.select_for_update(skip_locked=skip)[: min(BATCH, limit)])
                claimed = payments().filter(pk__in=[payment.pk for payment in batch])
                claimed.update(next_check_at=now + CLAIMED_FOR)
            if not batch:
                break
            limit -= len(batch)
            yield batch


def _started(since: datetime, limit: int) -> Iterator[list[PaymentTransaction]]:
    """Batches of all that was started since then, each payment once."""
    latest = 0
    while limit > 0:
        later = payments().filter(created_at__gte=since, status__in=URGENT | CALM, pk__gt=latest).order_by("pk")
        batch = list(later[: min(BATCH, limit)])
        if not batch:
            break
        limit, latest = limit - len(batch), batch[-1].pk
        yield batch


def _pace(gateway: str, per_second: int) -> None:
    """Wait until this gateway may be asked once more, whoever asked it last."""
    span = timedelta(seconds=1) / per_second
    while free_at := Throttle.objects.take(f"look-up:{gateway}", 1, span, clock.now()):
        time.sleep(max((free_at - clock.now()).total_seconds(), 0))


def _verify(payment: PaymentTransaction, sweep: Sweep) -> None:
    was = payment.status
    # Held by somebody for longer than a sweep waits: it comes up again when the claim ends.
    with suppress(Busy):
        payment = verify(payment, actor="reconcile")
    status = S(payment.status)
    sweep.asked += 1
    sweep.paid += was != status == S.PAID
    sweep.refunded += was != status and status in BACK
    sweep.review += status == S.REVIEW
    sweep.closed += status in SOFT_FAILED
    sweep.still_open += status in OPEN
