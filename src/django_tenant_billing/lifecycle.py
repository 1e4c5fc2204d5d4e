"""The life of a subscription as words and arithmetic: its states, what may be done in each, unused days. No database.

trialing ──> active <──> canceled          (paying, canceling, resuming)
    │          │  │          │
    │          │  └> grace   │             (the paid time is over; a payment starts a new period)
    └──────────┴──────┴──────┴──> expired  (on the fallback plan)

Nothing moves a subscription from one state to the next but its row and the clock, so that a command that nobody runs
grants nothing and takes nothing away.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """Where a subscription stands at a moment."""

    TRIALING = "trialing", _("trialing")
    ACTIVE = "active", _("active")  # paid, given, or on a plan that does not end
    CANCELED = "canceled", _("canceled at period end")
    GRACE = "grace", _("in grace")  # the paid period is over, access goes on for some days
    EXPIRED = "expired", _("expired")  # on the fallback plan


class Change(TextChoices):
    """What can happen to a subscription; each is one line of its history."""

    TRIAL_STARTED = "trial_started", _("trial started")
    TRIAL_EXTENDED = "trial_extended", _("trial extended")
    STARTED = "started", _("started")
    RENEWED = "renewed", _("renewed")
    UPGRADED = "upgraded", _("upgraded")
    PREPAID = "prepaid", _("paid for the next plan")
    CHANGED = "changed", _("changed to the next plan")
    TRIAL_ENDED = "trial_ended", _("trial ended")
    REMINDED = "reminded", _("reminded")
    GRACE_STARTED = "grace_started", _("grace started")
    EXPIRED = "expired", _("expired")
    CHANGE_SCHEDULED = "change_scheduled", _("change scheduled")
    CHANGE_UNDONE = "change_undone", _("change undone")
    CANCELED = "canceled", _("canceled")
    RESUMED = "resumed", _("resumed")
    TAKEN_BACK = "taken_back", _("taken back")
    COMPED = "comped", _("set by staff")
    EXTENDED = "extended", _("extended by staff")


def days_between(start: datetime, end: datetime, zone: tzinfo) -> int:
    """Local days from the day of ``start`` to that of ``end``, which is not counted: as an accountant counts them."""
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


def unused(start: datetime, end: datetime, now: datetime, zone: tzinfo) -> tuple[int, int]:
    """Unused and all days of a paid span of time, by the local calendar. The day of ``now`` itself is unused: whatever
    comes in its place begins on it. All days are at least 1.
    """
    days = max(days_between(start, end, zone), 1)
    left = days_between(max(now, start), end, zone) if now < end else 0
    return min(left, days), days
