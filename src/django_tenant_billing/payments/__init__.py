"""The one door to a payment's state: start, settle, refund, review, reconcile.

A claim (what a browser brings) is logged and makes us ask; a proof (what the gateway's server answers) settles. The
gateway is asked outside any transaction. One durable commit then locks the row, tests the transition table, saves,
logs and activates, so that whatever dies, asking again finishes the work and repeating it changes nothing.
"""

from .claims import find, record_claim, record_rejected
from .reconciling import Sweep, reconcile
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
    "record_claim",
    "record_rejected",
    "refund",
    "settle",
    "start",
    "verify",
]
