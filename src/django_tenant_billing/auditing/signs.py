"""Signs that something waits for a person, or stands still."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta

from django.db.models import Q

from ..models import Breaker, Heartbeat, PaymentEvent, PaymentTransaction
from ..models.heartbeats import SILENT_AFTER
from ..states import OPEN, UNSENT_AFTER, PaymentState
from ..subscriptions import overdue_since
from .findings import Finding, Severity
from .payments import SHOW

S = PaymentState

LATE = timedelta(hours=2)
"""A payment that should have been asked about for this long shows that nobody asks."""

AHEAD = timedelta(minutes=5)

RECONCILE = "manage.py reconcile_payments"


def sign_findings(using: str, only: Collection[str], now: datetime) -> Iterator[Finding]:
    for id_, look in SIGNS.items():
        if id_ in only:
            for subject, problem, command in look(using, now):
                yield Finding(id=id_, severity=Severity.WARNING, subject=subject, problem=problem, command=command)


Sign = Iterator[tuple[str, str, str]]


def _inbox(using: str, _now: datetime) -> Sign:
    """Money that waits for a person to decide."""
    waiting = PaymentTransaction.objects.using(using).filter(status=S.REVIEW).order_by("pk")
    for payment in waiting.iterator(chunk_size=500):
        problem = f"{payment.formatted_money} waits for a person since {payment.updated_at:%Y-%m-%d}: {payment.detail}"
        yield payment.reference, problem, SHOW.format(reference=payment.reference)


def _unasked(using: str, now: datetime) -> Sign:
    """Payments that nobody asks about."""
    due = Q(status__in=OPEN | {S.REFUND_PENDING, S.CREATED}, next_check_at__lt=now - LATE)
    unsent = Q(status=S.CREATED, next_check_at=None, created_at__lt=now - UNSENT_AFTER - LATE)
    late = PaymentTransaction.objects.using(using).filter(due | unsent).order_by("pk")
    for payment in late.iterator(chunk_size=500):
        since = payment.next_check_at or payment.created_at
        yield (
            payment.reference,
            f"it is {payment.status}, and waits to be asked about since {since:%Y-%m-%d %H:%M} UTC",
            RECONCILE,
        )


def _heartbeats(using: str, now: datetime) -> Sign:
    """Commands that stopped."""
    beat = Heartbeat.objects.using(using).filter(name="reconcile_payments", at__lt=now - SILENT_AFTER).first()
    if beat is not None:
        yield (
            "reconcile_payments",
            f"it is to run every minute, and last did at {beat.at:%Y-%m-%d %H:%M} UTC",
            RECONCILE,
        )
    if (stopped := overdue_since(now, using)) is not None:
        yield "run_billing", f"it has not run since {stopped:%Y-%m-%d %H:%M} UTC", "manage.py run_billing"


def _breakers(using: str, _now: datetime) -> Sign:
    """Gateways that are not asked."""
    for breaker in Breaker.objects.closed_to_us(using):
        yield f"gateway {breaker.gateway}", breaker.why, f"{RECONCILE} --resume {breaker.gateway}"


def _clock(using: str, now: datetime) -> Sign:
    """A clock that was, or is, wrong: deadlines and prices are counted by it."""
    last = PaymentEvent.objects.using(using).order_by("-pk").first()
    if last is not None and last.at > now + AHEAD:
        yield "clock", f"the last line of the log is of {last.at:%Y-%m-%d %H:%M} UTC, which is to come", "date -u"


SIGNS: dict[str, Callable[[str, datetime], Sign]] = {
    "inbox": _inbox,
    "unasked": _unasked,
    "heartbeats": _heartbeats,
    "breakers": _breakers,
    "clock": _clock,
}
