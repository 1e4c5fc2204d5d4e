"""The one door to a payment's state: start, settle, record, refund, review, reconcile.

A claim (what a browser brings) is logged and makes us ask; a proof (what the gateway's server answers, or what staff
has seen where nobody can be asked) settles. The gateway is asked outside any transaction. One durable commit then locks
the row, tests the transition table, saves, logs and activates, so that whatever dies, asking again finishes the work
and repeating it changes nothing.
"""

from .claims import find, record_claim, record_rejected
from .reconciling import Sweep, reconcile
from .recording import record, record_new
from .refunding import refund
from .reviewing import MOST_DAYS, apply_review, dismiss_review
from .settling import settle, verify
from .starting import start

__all__ = [
    "MOST_DAYS",
    "Sweep",
    "apply_review",
    "dismiss_review",
    "find",
    "reconcile",
    "record",
    "record_claim",
    "record_new",
    "record_rejected",
    "refund",
    "settle",
    "start",
    "verify",
]
