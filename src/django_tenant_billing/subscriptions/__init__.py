"""Subscriptions: the rows a new organization gets, what people do to them beside paying, and what time does."""

from .acts import (
    buy_with_credit,
    cancel,
    extend,
    extend_trial,
    may_schedule,
    may_try,
    preview,
    resume,
    schedule_change,
    set_by_staff,
    start_trial,
    undo_change,
)
from .due import overdue_since, run_due
from .rows import backfill, organizations_without_rows, subscription_of, usage_of, welcome

__all__ = [
    "backfill",
    "buy_with_credit",
    "cancel",
    "extend",
    "extend_trial",
    "may_schedule",
    "may_try",
    "organizations_without_rows",
    "overdue_since",
    "preview",
    "resume",
    "run_due",
    "schedule_change",
    "set_by_staff",
    "start_trial",
    "subscription_of",
    "undo_change",
    "usage_of",
    "welcome",
]
