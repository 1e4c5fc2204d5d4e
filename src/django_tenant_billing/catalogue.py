"""The plans and features a site is seeded with: their shape in settings, the default, and what settings alone say.

Shape of ``TENANT_BILLING_CATALOGUE`` (prices in rupees, a limit of None is unlimited, 0 is not included)::

    {
        "features": {
            "invoices": {"singular": "invoice", "plural": "invoices", "kind": "happens"},
            "customers": {"singular": "customer", "plural": "customers", "kind": "exists",
                          "count": "crm.services.count_customers"},
            "api_calls": {"singular": "API call", "plural": "API calls", "kind": "happens", "reset": "day",
                          "ledger": True, "kept_in_grace": False},
        },
        "plans": {
            "FREE": {"name": "Free", "price": 0, "limits": {"invoices": 10, "customers": 5, "api_calls": 100}},
            "PRO": {"name": "Pro", "price": 3900, "more_prices": [{"price": 39000, "interval": "year"}],
                    "grace_days": 3, "trial_days": 14, "limits": {
                "invoices": {"limit": 3000, "trial": 50}, "customers": None,
                "api_calls": {"limit": 10000, "grace_days": 3}}},
        },
    }
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .exceptions import InvalidCatalogue
from .marking import gettext_noop
from .periods import Interval, Reset

MAX_INTERVALS = 1000
"""The most days, months or years one price can buy: beyond lies the end of the calendar."""

MAX_LIMIT = 2**53 - 1
"""The largest limit: what JavaScript reads exactly, far below the 2**63 - 1 that stands for unlimited in SQL."""

MAX_GRACE_DAYS = 366
"""The longest time of grace, of a soft limit or of a plan, and the longest trial."""

MAX_LABEL = 80
"""Characters of a label or a plan's name, as their columns hold."""


class FeatureKind(TextChoices):
    """How a feature is counted."""

    HAPPENS = "happens", _("happens: starts again each period")
    EXISTS = "exists", _("exists: counted while it is there")
    ON_OFF = "on_off", _("on or off: never counted")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    slug: str
    singular: str
    plural: str
    kind: FeatureKind
    reset: Reset
    kept_in_grace: bool


@dataclass(frozen=True, slots=True)
class LimitSpec:
    value: int | None
    trial_differs: bool = False
    trial_value: int | None = None
    grace_days: int = 0


@dataclass(frozen=True, slots=True)
class PriceSpec:
    price_minor: int
    currency: str
    interval: Interval
    interval_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpec:
    code: str
    name: str
    prices: tuple[PriceSpec, ...]
    """The default one first."""
    grace_days: int
    trial_days: int
    limits: Mapping[str, LimitSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    features: tuple[FeatureSpec, ...]
    plans: tuple[PlanSpec, ...]


DEFAULT: Mapping[str, Any] = {
    "features": {
        "invoices": {"singular": gettext_noop("invoice"), "plural": gettext_noop("invoices"), "kind": "happens"},
        "customers": {"singular": gettext_noop("customer"), "plural": gettext_noop("customers"), "kind": "exists"},
        "team_members": {
            "singular": gettext_noop("team member"),
            "plural": gettext_noop("team members"),
            "kind": "exists",
        },
        "api_calls": {"singular": gettext_noop("API call"), "plural": gettext_noop("API calls"), "kind": "happens"},
        "reports": {"singular": gettext_noop("report"), "plural": gettext_noop("reports"), "kind": "on_off"},
    },
    "plans": {
        "FREE": {
            "name": "Free",
            "price": 0,
            "limits": {"invoices": 10, "customers": 5, "team_members": 1, "api_calls": 100, "reports": 0},
        },
        "BASIC": {
            "name": "Basic",
            "price": 1000,
            "limits": {"invoices": 1000, "customers": 50, "team_members": 3, "api_calls": 10000, "reports": 1},
        },
        "PRO": {
            "name": "Pro",
            "price": 3900,
            "limits": {"invoices": 3000, "customers": None, "team_members": None, "api_calls": None, "reports": 1},
        },
    },
}


def default_catalogue(*, count: Mapping[str, str]) -> dict[str, Any]:
    """The package's own catalogue, to use in settings, with functions that count what exists: ``{slug: path}``.

    Raises InvalidCatalogue.
    """
    raw = deepcopy(dict(DEFAULT))
    for slug, path in count.items():
        if slug not in raw["features"]:
            raise InvalidCatalogue(f"count.{slug}", f"there is no such feature{suggestion(slug, raw['features'])}")
        raw["features"][slug]["count"] = path
    return raw


def counter_for(slug: str) -> Callable[[Any], int] | None:
    """The site's function of the organization that counts what exists of this feature, if it named one."""
    raw = conf.catalogue
    count = raw["features"].get(slug, {}).get("count") if raw is not None else None
    return import_string(count) if isinstance(count, str) else count


def has_ledger(slug: str) -> bool:
    """Did the site ask for a ledger of this feature? Settings say it, so that the hot path need not read it."""
    return conf.catalogue is not None and bool(conf.catalogue["features"].get(slug, {}).get("ledger"))


def suggestion(name: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?", or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
