"""The quota engine: who may use how much of what, counted exactly, in the site's own transaction.

Knows no request. ``check`` looks; ``consume`` counts now; ``consuming`` counts with the work of one transaction;
``release`` gives back; ``reserve`` holds, then commits or releases; ``track`` counts what has happened; ``set_usage``
sets a count right. Each has a twin for async code: ``acheck``, ``aconsume``. Amounts are whole units, 1 or more.
"""

from .counting import (
    check,
    check_all,
    consume,
    consuming,
    counting,
    enter,
    entry,
    recount,
    release,
    release_gone,
    set_usage,
    track,
)
from .orders import Grant
from .overriding import end_override, override
from .reserving import Reservation, reservation, reserve
from .twins import acheck, acheck_all, aconsume, aconsuming, arelease, areserve, aset_usage, atrack

__all__ = [
    "Grant",
    "Reservation",
    "acheck",
    "acheck_all",
    "aconsume",
    "aconsuming",
    "arelease",
    "areserve",
    "aset_usage",
    "atrack",
    "check",
    "check_all",
    "consume",
    "consuming",
    "counting",
    "end_override",
    "enter",
    "entry",
    "override",
    "recount",
    "release",
    "release_gone",
    "reservation",
    "reserve",
    "set_usage",
    "track",
]
