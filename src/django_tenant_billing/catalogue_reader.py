"""TENANT_BILLING_CATALOGUE, read and checked, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.module_loading import import_string

from .catalogue import (
    DEFAULT,
    MAX_GRACE_DAYS,
    MAX_INTERVALS,
    MAX_LABEL,
    MAX_LIMIT,
    Catalogue,
    FeatureKind,
    FeatureSpec,
    LimitSpec,
    PlanSpec,
    PriceSpec,
    suggestion,
)
from .conf import conf
from .exceptions import InvalidCatalogue
from .money import MINOR_UNITS, to_minor
from .periods import Interval, Reset

PRICE_OPTIONS = {"currency", "interval", "interval_count"}


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


def _feature(slug: str, raw: Any) -> FeatureSpec:
    where = f"features.{slug}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", slug):
        raise InvalidCatalogue(where, "a slug is at most 50 characters of a-z, 0-9 and _, and starts with a letter")
    _only(raw, where, required={"singular", "plural", "kind"}, optional={"count", "reset", "ledger", "kept_in_grace"})
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
    if "reset" in raw and raw["kind"] != FeatureKind.HAPPENS:
        raise InvalidCatalogue(f"{where}.reset", 'only a feature of kind "happens" starts again')
    reset = raw.get("reset", Reset.ANCHOR)
    if reset not in list(Reset):
        raise InvalidCatalogue(f"{where}.reset", f"{reset!r} is none of {', '.join(Reset)}")
    for name in ("ledger", "kept_in_grace"):
        if type(raw.get(name, False)) is not bool:
            raise InvalidCatalogue(f"{where}.{name}", f"{raw[name]!r} is not True or False")
    return FeatureSpec(
        slug=slug, singular=raw["singular"], plural=raw["plural"], kind=FeatureKind(raw["kind"]), reset=Reset(reset),
        kept_in_grace=raw.get("kept_in_grace", True),
    )  # fmt: skip


def _plan(code: str, raw: Any, slugs: list[str]) -> PlanSpec:
    where = f"plans.{code}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", code):
        raise InvalidCatalogue(where, "a code is at most 32 characters of letters, digits, - and _")
    _only(
        raw, where, required={"price", "limits"},
        optional={"name", "more_prices", "grace_days", "trial_days", *PRICE_OPTIONS},
    )  # fmt: skip
    _label(raw.get("name", code), f"{where}.name")
    limits = {slug: _limit(slug, value, f"{where}.limits.{slug}", slugs) for slug, value in
              _items(raw["limits"], f"{where}.limits")}  # fmt: skip
    more = raw.get("more_prices", [])
    if not isinstance(more, list | tuple):
        raise InvalidCatalogue(f"{where}.more_prices", "this must be a list")
    prices = [_price(raw, where)]
    for number, entry in enumerate(more):
        _only(entry, f"{where}.more_prices.{number}", required={"price"}, optional=PRICE_OPTIONS)
        prices.append(_price(entry, f"{where}.more_prices.{number}"))
    if len({(price.currency, price.interval, price.interval_count) for price in prices}) < len(prices):
        raise InvalidCatalogue(f"{where}.more_prices", "two prices for the same time in the same currency")
    return PlanSpec(
        code=code, name=raw.get("name", code), prices=tuple(prices), limits=limits,
        grace_days=_days(raw, "grace_days", where), trial_days=_days(raw, "trial_days", where),
    )  # fmt: skip


def _price(raw: Any, where: str) -> PriceSpec:
    try:
        price_minor = to_minor(raw["price"])
    except (ValueError, TypeError) as error:
        raise InvalidCatalogue(f"{where}.price", str(error)) from error
    if not 0 <= price_minor <= MAX_LIMIT:
        raise InvalidCatalogue(f"{where}.price", f"a price is from 0 to {MAX_LIMIT // MINOR_UNITS}")
    interval, count = raw.get("interval", "month"), raw.get("interval_count", 1)
    if interval not in list(Interval):
        raise InvalidCatalogue(f"{where}.interval", f"{interval!r} is none of {', '.join(Interval)}")
    if type(count) is not int or not 1 <= count <= MAX_INTERVALS:
        raise InvalidCatalogue(f"{where}.interval_count", f"{count!r} is not a whole number from 1 to {MAX_INTERVALS}")
    currency = raw.get("currency", "NPR")
    if not re.fullmatch(r"[A-Z]{3}", str(currency)):
        raise InvalidCatalogue(f"{where}.currency", f"{currency!r} is not an ISO code such as NPR")
    return PriceSpec(price_minor, currency, Interval(interval), count)


def _days(raw: Any, name: str, where: str) -> int:
    days = raw.get(name, 0)
    if type(days) is not int or not 0 <= days <= MAX_GRACE_DAYS:
        raise InvalidCatalogue(f"{where}.{name}", f"{days!r} is not a whole number from 0 to {MAX_GRACE_DAYS}")
    return days


def _limit(slug: str, raw: Any, where: str, slugs: list[str]) -> LimitSpec:
    if slug not in slugs:
        raise InvalidCatalogue(where, f"there is no such feature{suggestion(slug, slugs)}")
    if not isinstance(raw, Mapping):
        return LimitSpec(_units(raw, where))
    _only(raw, where, required={"limit"}, optional={"trial", "grace_days"})
    value, days = _units(raw["limit"], f"{where}.limit"), _days(raw, "grace_days", where)
    if "trial" not in raw:
        return LimitSpec(value, grace_days=days)
    return LimitSpec(value, trial_differs=True, trial_value=_units(raw["trial"], f"{where}.trial"), grace_days=days)


def _units(raw: Any, where: str) -> int | None:
    if raw is not None and (type(raw) is not int or not 0 <= raw <= MAX_LIMIT):
        raise InvalidCatalogue(where, f"{raw!r} is not a whole number from 0 to {MAX_LIMIT}, or None for unlimited")
    value: int | None = raw
    return value


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
            raise InvalidCatalogue(where, f"unknown entry {name!r}{suggestion(str(name), known)}")
