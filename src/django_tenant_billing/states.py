"""Payment states, the transitions between them, and when an open payment is asked about. No database.

created ──> initiated <──> pending ──> paid ──> refund_pending ──> partially_refunded, refunded
   │            └──────────┴─────────> review, failed, canceled, expired
   └──> failed, paid (staff)           failed, canceled, expired ──> paid, review   (money can come late)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class PaymentState(TextChoices):
    """Where a payment is. The browser of a payer never moves it."""

    CREATED = "created", _("created")  # committed here; nothing sent
    INITIATED = "initiated", _("initiated")  # the gateway's reference is stored, the payer may go there
    PENDING = "pending", _("pending")  # in progress there, or no usable answer
    PAID = "paid", _("paid")  # proved, and activated in the same commit
    REVIEW = "review", _("in review")  # money that must not be applied without a person
    FAILED = "failed", _("failed")
    CANCELED = "canceled", _("canceled")
    EXPIRED = "expired", _("expired")
    REFUND_PENDING = "refund_pending", _("refund pending")
    PARTIALLY_REFUNDED = "partially_refunded", _("partially refunded")
    REFUNDED = "refunded", _("refunded")
    DISMISSED = "dismissed", _("dismissed")


S = PaymentState

OPEN = frozenset({S.INITIATED, S.PENDING})
"""The gateway may still say anything: these are asked about on a schedule."""

SOFT_FAILED = frozenset({S.FAILED, S.CANCELED, S.EXPIRED})
"""Over as far as we were told; a proved success still wins."""

SETTLED = frozenset({S.PAID, S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED})
"""Money that was proved and applied."""

TRANSITIONS: Mapping[PaymentState, frozenset[PaymentState]] = {
    S.CREATED: frozenset({S.INITIATED, S.FAILED, S.PAID}),
    S.INITIATED: frozenset({S.PENDING, S.PAID, S.REVIEW, S.FAILED, S.CANCELED, S.EXPIRED}),
    S.PENDING: frozenset({S.INITIATED, S.PAID, S.REVIEW, S.FAILED, S.CANCELED, S.EXPIRED}),
    S.PAID: frozenset({S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED}),
    S.REVIEW: frozenset({S.PAID, S.REFUND_PENDING, S.DISMISSED}),
    S.FAILED: frozenset({S.PAID, S.REVIEW}),
    S.CANCELED: frozenset({S.PAID, S.REVIEW}),
    S.EXPIRED: frozenset({S.PAID, S.REVIEW}),
    S.REFUND_PENDING: frozenset({S.PAID, S.REVIEW, S.PARTIALLY_REFUNDED, S.REFUNDED}),
    S.PARTIALLY_REFUNDED: frozenset({S.REFUND_PENDING, S.REFUNDED}),
    S.REFUNDED: frozenset(),
    S.DISMISSED: frozenset(),
}


def may_move(source: str, target: str) -> bool:
    """Does the table allow this step?"""
    return PaymentState(target) in TRANSITIONS[PaymentState(source)]


CHECK_AFTER = tuple(
    timedelta(minutes=m) for m in (1, 3, 6, 10, 20, 35, 60, 120, 360, 720, 1440, 2160, 2880, 4320, 5760, 7200, 10080)
)
"""How long after it was initiated an open payment is asked about. Six minutes covers eSewa's five-minute rule,
35 the thirty minutes of a Khalti link."""

PRICE_HOLDS_FOR = timedelta(minutes=60)
"""How long a price holds from when its payment was initiated; that is how long a Khalti link lives. Nobody tells when
the payer paid, and a form that was signed for eSewa can be posted for ever."""

HORIZON = CHECK_AFTER[-1]
"""After this long without a definite answer an open payment expires."""

STALE_AFTER = timedelta(days=30)
"""After this long a gateway that still says "pending" needs a person."""

NOT_FOUND_AFTER = timedelta(minutes=30)
NOT_FOUND_APART = timedelta(minutes=10)
"""How old a payment must be that its gateway does not find to be over, and how far apart two such answers."""

LATE_CHECKS = (timedelta(days=1), timedelta(days=30))
"""How long after it was initiated a failed, canceled or expired payment is looked at once more."""

REFUND_GIVEN_UP_AFTER = timedelta(days=1)
"""A refund that was asked for and did not happen until then goes back to where it came from."""

REFUND_CHECK = timedelta(hours=1)
"""How often a refund that was asked for is looked at."""

DASHBOARD_CHECKS = tuple(timedelta(weeks=week) for week in range(1, 6))
"""How long after it was paid a payment is looked at: its money may be sent back in the gateway's dashboard."""

UNSENT_AFTER = timedelta(minutes=15)
"""A payment that is still ``created`` then never reached its payer."""

NOT_RECEIVED_AFTER = timedelta(days=30)
"""A payment by hand whose money nobody recorded until then is over."""

UNANSWERED_RETRIES = 3
"""Questions without an answer that are repeated after a minute before they count as one step of the schedule."""


def next_check(initiated_at: datetime, now: datetime) -> datetime | None:
    """When an open payment is asked about next; None when its horizon is over."""
    return next((initiated_at + after for after in CHECK_AFTER if initiated_at + after > now), None)
