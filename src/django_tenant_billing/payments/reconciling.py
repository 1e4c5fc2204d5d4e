"""Asking about open payments whose time has come."""

from __future__ import annotations

from dataclasses import dataclass

from .. import clock
from ..states import OPEN, SOFT_FAILED, UNSENT_AFTER
from .byhand import close_unreceived
from .door import Durable, S, locked, move, payments
from .settling import CALM, RETRY, URGENT, verify

BACK = frozenset({S.PARTIALLY_REFUNDED, S.REFUNDED})


@dataclass(slots=True)
class Sweep:
    """What one run of reconcile did."""

    asked: int = 0
    paid: int = 0
    review: int = 0
    closed: int = 0
    still_open: int = 0
    refunded: int = 0


def reconcile(*, limit: int = 50) -> Sweep:
    """Ask about payments whose time has come, oldest first, and close those that never reached a payer."""
    sweep, now = Sweep(), clock.now()
    for payment in payments().filter(status=S.CREATED, next_check_at=None, created_at__lt=now - UNSENT_AFTER)[:limit]:
        with Durable("reconcile"):
            unsent = locked(payment)
            if unsent.status == S.CREATED:
                move(unsent, S.FAILED, detail="initiate_unknown", actor="reconcile")
                sweep.closed += 1
    sweep.closed += close_unreceived(now, limit)
    due = payments().filter(next_check_at__lte=now).order_by("next_check_at")
    urgent = list(due.filter(status__in=URGENT)[:limit])
    for payment in [*urgent, *due.filter(status__in=CALM)[: limit - len(urgent)]]:
        # First to the back of the queue: whatever breaks on this one, the next run begins with the others.
        payments().filter(pk=payment.pk, next_check_at=payment.next_check_at).update(next_check_at=now + RETRY)
        was, status = payment.status, verify(payment, actor="reconcile").status
        sweep.asked += 1
        sweep.paid += was != status == S.PAID
        sweep.refunded += was != status and status in BACK
        sweep.review += status == S.REVIEW
        sweep.closed += status in SOFT_FAILED
        sweep.still_open += status in OPEN
    return sweep
