"""The plans and features a site is seeded with: read from settings, checked, turned into frozen values.

Shape of ``TENANT_BILLING_CATALOGUE`` (prices in rupees, a limit of None is unlimited, 0 is not included)::

    {
        "features": {
            "invoices": {"singular": "invoice", "plural": "invoices", "kind": "happens"},
            "customers": {"singular": "customer", "plural": "customers", "kind": "exists",
                          "count": "crm.services.count_customers"},
        },
        "plans": {
            "FREE": {"name": "Free", "price": 0, "limits": {"invoices": 10, "customers": 5}},
            "PRO": {"name": "Pro", "price": 3900, "limits": {"invoices": 3000, "customers": None}},
        },
    }
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .exceptions import InvalidCatalogue
from .money import MINOR_UNITS, to_minor
from .periods import Interval

MAX_INTERVALS = 1000
"""The most days, months or years one price can buy: beyond lies the end of the calendar."""

MAX_LIMIT = 2**53 - 1
"""The largest limit: what JavaScript reads exactly, far below the 2**63 - 1 that stands for unlimited in SQL."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpec:
    code: str
    name: str
    price_minor: int
    currency: str
    interval: Interval
    interval_count: int
    limits: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    features: tuple[FeatureSpec, ...]
    plans: tuple[PlanSpec, ...]


DEFAULT: Mapping[str, Any] = {
    "features": {
        "invoices": {"singular": "invoice", "plural": "invoices", "kind": "happens"},
        "customers": {"singular": "customer", "plural": "customers", "kind": "exists"},
        "team_members": {"singular": "team member", "plural": "team members", "kind": "exists"},
        "api_calls": {"singular": "API call", "plural": "API calls", "kind": "happens"},
        "reports": {"singular": "report", "plural": "reports", "kind": "on_off"},
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
            raise InvalidCatalogue(f"count.{slug}", f"there is no such feature{_suggestion(slug, raw['features'])}")
        raw["features"][slug]["count"] = path
    return raw


def read_catalogue() -> Catalogue:
    """The site's catalogue. Raises InvalidCatalogue, which names the place and what is wrong there."""
    raw = conf.catalogue if conf.catalogue is not None else DEFAULT
    _only(raw, "top level", required={"features", "plans"})
    features = tuple(_feature(slug, value) for slug, value in _items(raw["features"], "features"))
    slugs = [feature.slug for feature in features]
    plans = tuple(_plan(code, value, slugs) for code, value in _items(raw["plans"], "plans"))
    if len({plan.code.casefold() for plan in plans}) < len(plans):
        raise InvalidCatalogue(
            "plans", "two codes differ only in upper and lower case, which MariaDB cannot tell apart"
        )
    if conf.fallback_plan not in {plan.code for plan in plans}:
        raise InvalidCatalogue("plans", f"the fallback plan {conf.fallback_plan!r} is missing: add it, or name another "
                               "in TENANT_BILLING_FALLBACK_PLAN")  # fmt: skip
    return Catalogue(features=features, plans=plans)


def counter_for(slug: str) -> Callable[[Any], int] | None:
    """The site's function of the organization that counts what exists of this feature, if it named one."""
    raw = conf.catalogue
    count = raw["features"].get(slug, {}).get("count") if raw is not None else None
    return import_string(count) if isinstance(count, str) else count


def _feature(slug: str, raw: Any) -> FeatureSpec:
    where = f"features.{slug}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", slug):
        raise InvalidCatalogue(where, "a slug is at most 50 characters of a-z, 0-9 and _, and starts with a letter")
    _only(raw, where, required={"singular", "plural", "kind"}, optional={"count"})
    for name in ("singular", "plural"):
        _label(raw[name], f"{where}.{name}")
    if raw["kind"] not in FeatureKind.values:
        raise InvalidCatalogue(f"{where}.kind", f"{raw['kind']!r} is none of {', '.join(FeatureKind.values)}")
    count = raw.get("count")
    if count is not None:
        if raw["kind"] != FeatureKind.EXISTS:
            raise InvalidCatalogue(f"{where}.count", 'only a feature of kind "exists" can be counted')
        try:
            usable = callable(import_string(count) if isinstance(count, str) else count)
        except ImportError as error:
            raise InvalidCatalogue(f"{where}.count", str(error)) from error
        if not usable:
            raise InvalidCatalogue(f"{where}.count", f"{count!r} is not a function of the organization")
    return FeatureSpec(slug=slug, singular=raw["singular"], plural=raw["plural"], kind=FeatureKind(raw["kind"]))


def _plan(code: str, raw: Any, slugs: list[str]) -> PlanSpec:
    where = f"plans.{code}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", code):
        raise InvalidCatalogue(where, "a code is at most 32 characters of letters, digits, - and _")
    _only(raw, where, required={"price", "limits"}, optional={"name", "currency", "interval", "interval_count"})
    try:
        price_minor = to_minor(raw["price"])
    except (ValueError, TypeError) as error:
        raise InvalidCatalogue(f"{where}.price", str(error)) from error
    if not 0 <= price_minor <= MAX_LIMIT:
        raise InvalidCatalogue(f"{where}.price", f"a price is from 0 to {MAX_LIMIT // MINOR_UNITS}")
    _label(raw.get("name", code), f"{where}.name")
    interval, count = raw.get("interval", "month"), raw.get("interval_count", 1)
    if interval not in list(Interval):
        raise InvalidCatalogue(f"{where}.interval", f"{interval!r} is none of {', '.join(Interval)}")
    if type(count) is not int or not 1 <= count <= MAX_INTERVALS:
        raise InvalidCatalogue(f"{where}.interval_count", f"{count!r} is not a whole number from 1 to {MAX_INTERVALS}")
    currency = raw.get("currency", "NPR")
    if not re.fullmatch(r"[A-Z]{3}", str(currency)):
        raise InvalidCatalogue(f"{where}.currency", f"{currency!r} is not an ISO code such as NPR")
    limits = dict(_items(raw["limits"], f"{where}.limits"))
    for slug, limit in limits.items():
        if slug not in slugs:
            raise InvalidCatalogue(f"{where}.limits.{slug}", f"there is no such feature{_suggestion(slug, slugs)}")
        if limit is not None and (type(limit) is not int or not 0 <= limit <= MAX_LIMIT):
            raise InvalidCatalogue(
                f"{where}.limits.{slug}",
                f"{limit!r} is not a whole number from 0 to {MAX_LIMIT}, or None for unlimited",
            )
    return PlanSpec(
        code=code, name=raw.get("name", code), price_minor=price_minor, currency=currency, interval=Interval(interval),
        interval_count=count, limits=limits,
    )  # fmt: skip


def _items(raw: Any, where: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(raw, Mapping) or not raw:
        raise InvalidCatalogue(where, "this must be a dictionary with at least one entry")
    for name in raw:
        if not isinstance(name, str):
            raise InvalidCatalogue(where, f"{name!r} is not text")
    return raw.items()


def _label(raw: Any, where: str) -> None:
    if not isinstance(raw, str | Promise) or not 1 <= len(str(raw)) <= MAX_LABEL:
        raise InvalidCatalogue(where, f"{raw!r} is not text of 1 to {MAX_LABEL} characters")


def _only(raw: Any, where: str, *, required: set[str], optional: Iterable[str] = ()) -> None:
    if not isinstance(raw, Mapping):
        raise InvalidCatalogue(where, "this must be a dictionary")
    if missing := sorted(required - set(raw)):
        raise InvalidCatalogue(where, f"missing {', '.join(map(repr, missing))}")
    known = {*required, *optional}
    for name in raw:
        if name not in known:
            raise InvalidCatalogue(where, f"unknown entry {name!r}{_suggestion(str(name), known)}")


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
