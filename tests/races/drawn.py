"""The site of the quota machine, and the acts that are drawn for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import product
from typing import Any

from hypothesis import strategies as st

from django_tenant_billing.periods import Interval
from tests.races import acts, changes, model
from tests.races.model import Limit

CATALOGUE = {
    "features": {
        "invoices": {"singular": "invoice", "plural": "invoices", "kind": "happens", "ledger": True},
        "seats": {"singular": "seat", "plural": "seats", "kind": "exists", "count": lambda _organization: model.SEATS},
        "calls": {"singular": "call", "plural": "calls", "kind": "happens", "reset": "day"},
        "reports": {"singular": "report", "plural": "reports", "kind": "on_off"},
    },
    "plans": {
        plan: {
            "name": plan,
            "price": price,
            "limits": {
                feature: {"limit": limit.limit_value, "grace_days": limit.grace_days}
                | ({"trial": limit.trial_limit_value} if limit.trial_differs else {})
                for (of, feature), limit in model.catalogue_limits().items()
                if of == plan
            },
        }
        for plan, price in (("FREE", 0), ("BASIC", 1000), ("PRO", 3900))
    },
}

FEATURES = list(model.KINDS)
COUNTED = ["invoices", "seats", "calls"]
PLANS = ["FREE", "BASIC", "PRO"]
VALUES = [None, 0, 1, 2, 3, 5, 9]
# Named in an order that is not theirs, so that whoever locks them as they come is seen.
ASKED = [
    *({feature: n} for feature in COUNTED for n in (1, 2, 3)),
    *({"reports": n} for n in (1, 2)),
    {"seats": 1, "calls": 1},
    {"seats": 2, "invoices": 1},
    {"invoices": 2, "calls": 1},
    {"reports": 1, "invoices": 1},
    {"seats": 1, "reports": 1, "invoices": 2, "calls": 1},
]
SPANS = [timedelta(hours=1), timedelta(hours=1), timedelta(days=1), timedelta(days=4), timedelta(days=31)]
PAID_FOR = [None, -timedelta(days=1), timedelta(hours=2), timedelta(days=40)]
"""Without end, or until a moment that lies in the past or in the future."""
LIMITS = [
    Limit(value, differs, trial if differs else None, grace_days)
    for value, differs, trial, grace_days in product(VALUES, [False, True], VALUES[:4], [0, 0, 1, 3])
]
WHO = (0, 0, 0, 1)
"""One organization is acted on, and another must not notice; or the other way round."""
WHICH = (0, 0, 0, 1, 1, 2, 3, 5, 8, 13)
KEYS = [None, None, "first", "second"]
WHEN_SHORT = ["reject", "reject", "cap", "allow"]


def nothing(_held: int) -> int:
    return 0


def less(held: int) -> int:
    return held // 2


def as_held(held: int) -> int:
    return held


def more(held: int) -> int:
    return held + 1


def every(act: Callable[..., acts.Act], *choices: Iterable[Any]) -> st.SearchStrategy[acts.Act]:
    """One of all the acts that these choices make: one draw, where drawing each choice would cost more than acting."""
    return st.sampled_from([act(*chosen) for chosen in product(*choices)])


looks = every(acts.Check, WHO, FEATURES, range(1, 5)) | every(acts.Sweep, WHO, FEATURES) | every(acts.Recount, WHO)
consumes = every(acts.Consume, WHO, ASKED, WHEN_SHORT, KEYS)
tracks = every(acts.Track, WHO, ASKED, ["allow"], KEYS)
consumings = every(acts.Consuming, WHO, ASKED, [acts.Consume(*inside) for inside in product(WHO, ASKED)], [False, True])
grant_releases = every(acts.GiveBack, WHICH, [1, 2])
releases = every(acts.Release, WHO, ASKED)
reserves = every(acts.Reserve, WHO, ASKED, WHEN_SHORT, KEYS)
commits = every(acts.Commit, WHICH, [as_held, nothing, less, more])
let_gos = every(acts.LetGo, WHICH)
expiries = every(acts.Expire, WHICH)
usages = every(acts.SetUsage, WHO, COUNTED, range(7))
blocks = st.builds(
    acts.Block,
    st.lists(
        consumes | tracks | reserves | commits | grant_releases | let_gos | releases | usages, min_size=1, max_size=4
    ).map(tuple),
    st.sampled_from(["kept", "kept", "kept", "fails", "fails", "fails", "fails", "broken"]),
)
counts = tracks | releases | usages
spans = every(changes.LetTimePass, SPANS)
subscribes = every(changes.Subscribe, WHO, PLANS, PAID_FOR)
purchases = every(changes.Purchase, WHO, PLANS, [Interval.DAY, Interval.MONTH])
repeats = every(acts.Repeat, WHICH)
limits = every(changes.EditLimit, model.catalogue_limits(), LIMITS) | every(changes.ChangeTrial, WHO, PAID_FOR)
overrides = every(
    changes.GiveOverride, WHO, FEATURES, VALUES, [timedelta(0), timedelta(0), -timedelta(days=1), timedelta(days=2)],
    [None, *SPANS],
) | every(changes.EndOverride, WHO, WHICH)  # fmt: skip
