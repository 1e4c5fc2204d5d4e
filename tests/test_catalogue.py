"""The catalogue: what a site may write in settings, and how a mistake in it is told."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.translation import gettext_lazy

from django_tenant_billing.catalogue import (
    DEFAULT,
    MAX_GRACE_DAYS,
    MAX_LABEL,
    MAX_LIMIT,
    FeatureKind,
    FeatureSpec,
    LimitSpec,
    PlanSpec,
    PriceSpec,
    counter_for,
    default_catalogue,
    has_ledger,
)
from django_tenant_billing.catalogue_reader import read_catalogue
from django_tenant_billing.exceptions import InvalidCatalogue
from django_tenant_billing.periods import Interval, Reset
from tests.testapp.models import Organization, count_customers

COUNT_PATH = "tests.testapp.models.count_customers"
SMALL: dict[str, Any] = {
    "features": {
        "seats": {"singular": "seat", "plural": "seats", "kind": "exists"},
        "exports": {
            "singular": "export",
            "plural": "exports",
            "kind": "happens",
            "reset": "week",
            "kept_in_grace": False,
        },
    },
    "plans": {
        "FREE": {"price": 0, "limits": {"seats": 1}},
        "Team-2": {
            "name": "Team",
            "price": "12.50",
            "currency": "USD",
            "interval": "year",
            "interval_count": 2,
            "more_prices": [{"price": "1.50", "currency": "USD"}],
            "grace_days": 3,
            "trial_days": 14,
            "limits": {"seats": None, "exports": {"limit": MAX_LIMIT, "trial": 5, "grace_days": 7}},
        },
    },
}


def edited(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    raw = deepcopy(SMALL)
    edit(raw)
    return raw


def feature(**changes: Any) -> dict[str, Any]:
    return edited(lambda raw: raw["features"]["seats"].update(changes))


def plan(**changes: Any) -> dict[str, Any]:
    return edited(lambda raw: raw["plans"]["FREE"].update(changes))


# What is read


def test_the_packages_own_catalogue_is_that_of_the_contract() -> None:
    catalogue = read_catalogue()
    assert [(f.slug, f.singular, f.kind.value) for f in catalogue.features] == [
        ("invoices", "invoice", "happens"),
        ("customers", "customer", "exists"),
        ("team_members", "team member", "exists"),
        ("api_calls", "API call", "happens"),
        ("reports", "report", "on_off"),
    ]
    assert [(plan.code, plan.prices, plan.grace_days) for plan in catalogue.plans] == [
        ("FREE", (PriceSpec(0, "NPR", Interval.MONTH, 1),), 0),
        ("BASIC", (PriceSpec(100000, "NPR", Interval.MONTH, 1),), 0),
        ("PRO", (PriceSpec(390000, "NPR", Interval.MONTH, 1),), 0),
    ]
    assert [tuple((slug, limit.value) for slug, limit in p.limits.items()) for p in catalogue.plans] == [
        (("invoices", 10), ("customers", 5), ("team_members", 1), ("api_calls", 100), ("reports", 0)),
        (("invoices", 1000), ("customers", 50), ("team_members", 3), ("api_calls", 10000), ("reports", 1)),
        (("invoices", 3000), ("customers", None), ("team_members", None), ("api_calls", None), ("reports", 1)),
    ]


def test_a_sites_own_catalogue_is_read_with_its_defaults() -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=SMALL):
        catalogue = read_catalogue()
    assert catalogue.features == (
        FeatureSpec(
            slug="seats",
            singular="seat",
            plural="seats",
            kind=FeatureKind.EXISTS,
            reset=Reset.ANCHOR,
            kept_in_grace=True,
        ),
        FeatureSpec(
            slug="exports",
            singular="export",
            plural="exports",
            kind=FeatureKind.HAPPENS,
            reset=Reset.WEEK,
            kept_in_grace=False,
        ),
    )
    assert catalogue.plans == (
        PlanSpec(
            code="FREE", name="FREE", prices=(PriceSpec(0, "NPR", Interval.MONTH, 1),), grace_days=0, trial_days=0,
            limits={"seats": LimitSpec(1)},
        ),
        PlanSpec(
            code="Team-2", name="Team", grace_days=3, trial_days=14,
            prices=(PriceSpec(1250, "USD", Interval.YEAR, 2), PriceSpec(150, "USD", Interval.MONTH, 1)),
            limits={"seats": LimitSpec(None), "exports": LimitSpec(MAX_LIMIT, True, 5, 7)},
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        feature(kind=FeatureKind.EXISTS, singular=gettext_lazy("seat")),
        feature(count=COUNT_PATH),
        feature(count=count_customers),
        feature(singular="x" * MAX_LABEL),
        feature(count=None),
        plan(interval=Interval.DAY, interval_count=1000),
        plan(price="90071992547409.91", limits={"seats": 0}),
        edited(lambda raw: raw["features"].update({"a" * 50: raw["features"]["seats"]})),
        edited(lambda raw: raw["plans"].update({"P" * 32: raw["plans"]["FREE"]})),
        feature(kind="happens", ledger=True, reset=Reset.DAY),
        feature(kind="on_off", ledger=False),
        plan(limits={"seats": {"limit": 0, "trial": MAX_LIMIT, "grace_days": MAX_GRACE_DAYS}}),
        plan(limits={"seats": {"limit": MAX_LIMIT, "trial": 0, "grace_days": 0}, "exports": {"limit": None}}),
    ],
    ids=[
        "lazy", "path", "function", "long label", "no count", "days", "dear", "long slug", "long code", "ledger",
        "no ledger", "largest trial", "smallest trial",
    ],
)  # fmt: skip
def test_what_lies_at_the_edge_is_accepted(raw: dict[str, Any]) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=raw):
        assert read_catalogue().plans


@pytest.mark.parametrize("reset", [Reset.DAY, *(reset.value for reset in Reset if reset != "day")])
def test_what_happens_starts_again_as_told_and_else_with_the_billing_month(reset: str) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=feature(kind="happens", reset=reset)):
        seats, exports = read_catalogue().features
    assert (seats.reset, exports.reset) == (Reset(reset), Reset.WEEK)
    with override_settings(TENANT_BILLING_CATALOGUE=feature(kind="happens")):
        assert read_catalogue().features[0].reset is Reset.ANCHOR


@pytest.mark.parametrize(
    ("limit", "spec"),
    [
        (3, LimitSpec(3)),
        (None, LimitSpec(None)),
        ({"limit": 3}, LimitSpec(3)),
        ({"limit": None, "trial": 5}, LimitSpec(None, trial_differs=True, trial_value=5)),
        # A trial without a limit is another thing than none that differs.
        ({"limit": 3, "trial": None}, LimitSpec(3, trial_differs=True, trial_value=None)),
        ({"limit": 3, "grace_days": 7}, LimitSpec(3, grace_days=7)),
    ],
)
def test_a_limit_is_a_number_or_says_more(limit: Any, spec: LimitSpec) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=plan(limits={"seats": limit})):
        assert read_catalogue().plans[0].limits == {"seats": spec}


def test_another_fallback_plan_may_be_named() -> None:
    without_free = edited(lambda raw: raw["plans"].pop("FREE"))
    with override_settings(TENANT_BILLING_CATALOGUE=without_free, TENANT_BILLING_FALLBACK_PLAN="Team-2"):
        assert [p.code for p in read_catalogue().plans] == ["Team-2"]


# What is refused, and where


MISTAKES: list[tuple[Any, str, str]] = [
    (feature(kept_in_grace=1), "features.seats.kept_in_grace", "1 is not True or False"),
    (plan(grace_days=367), "plans.FREE.grace_days", "367 is not a whole number from 0 to 366"),
    (plan(trial_days=-1), "plans.FREE.trial_days", "-1 is not a whole number from 0 to 366"),
    (plan(more_prices={}), "plans.FREE.more_prices", "this must be a list"),
    (plan(more_prices=[{}]), "plans.FREE.more_prices.0", "missing 'price'"),
    (
        plan(more_prices=[{"price": 1.5}]),
        "plans.FREE.more_prices.0.price",
        "1.5 is not money: write it as an int, a Decimal or a string",
    ),
    (plan(more_prices=[{"price": 1}]), "plans.FREE.more_prices", "two prices for the same time in the same currency"),
    ([], "top level", "this must be a dictionary"),
    ({}, "top level", "missing 'features', 'plans'"),
    ({"features": {}}, "top level", "missing 'plans'"),
    (SMALL | {"plan": {}}, "top level", "unknown entry 'plan'; did you mean 'plans'?"),
    (SMALL | {"currency": "NPR"}, "top level", "unknown entry 'currency'"),
    (SMALL | {7: {}}, "top level", "unknown entry 7"),
    (SMALL | {"features": {}}, "features", "this must be a dictionary with at least one entry"),
    (SMALL | {"features": ["seats"]}, "features", "this must be a dictionary with at least one entry"),
    (SMALL | {"features": {5: {}}}, "features", "5 is not text"),
    (SMALL | {"plans": {}}, "plans", "this must be a dictionary with at least one entry"),
    (SMALL | {"plans": {None: {}}}, "plans", "None is not text"),
    (
        edited(lambda raw: raw["plans"].pop("FREE")),
        "plans",
        "the fallback plan 'FREE' is missing: add it, or name another in TENANT_BILLING_FALLBACK_PLAN",
    ),
    *(
        (
            edited(lambda raw, slug=slug: raw["features"].update({slug: raw["features"]["seats"]})),  # type: ignore[misc]
            f"features.{slug}",
            "a slug is at most 50 characters of a-z, 0-9 and _, and starts with a letter",
        )
        for slug in ("", "Seats", "team-members", "2fa", "a" * 51, "seats\n")
    ),
    (edited(lambda raw: raw["features"].update(seats="many")), "features.seats", "this must be a dictionary"),
    (
        edited(lambda raw: raw["features"]["seats"].pop("plural")),
        "features.seats",
        "missing 'plural'",
    ),
    (feature(kindd="exists"), "features.seats", "unknown entry 'kindd'; did you mean 'kind'?"),
    (feature(singular=5), "features.seats.singular", "5 is not text of 1 to 80 characters"),
    (feature(plural=""), "features.seats.plural", "'' is not text of 1 to 80 characters"),
    (
        feature(plural="x" * 81),
        "features.seats.plural",
        f"'{'x' * 81}' is not text of 1 to 80 characters",
    ),
    (feature(kind="counted"), "features.seats.kind", "'counted' is none of happens, exists, on_off"),
    (feature(kind=["exists"]), "features.seats.kind", "['exists'] is none of happens, exists, on_off"),
    (
        feature(kind="happens", count=COUNT_PATH),
        "features.seats.count",
        'only a feature of kind "exists" can be counted',
    ),
    (feature(count="len"), "features.seats.count", "len doesn't look like a module path"),
    (
        feature(count="tests.testapp.models.count"),
        "features.seats.count",
        'Module "tests.testapp.models" does not define a "count" attribute/class',
    ),
    (feature(count="no_such.count"), "features.seats.count", "No module named 'no_such'"),
    (
        feature(count="tests.settings.USE_TZ"),
        "features.seats.count",
        "'tests.settings.USE_TZ' is not a function of the organization",
    ),
    (feature(count=3), "features.seats.count", "3 is not a function of the organization"),
    *(
        (feature(kind=kind, reset="day"), "features.seats.reset", 'only a feature of kind "happens" starts again')
        for kind in ("exists", "on_off")
    ),
    *(
        (
            feature(kind="happens", reset=reset),
            "features.seats.reset",
            f"{reset!r} is none of anchor, month, week, day",
        )
        for reset in ("year", "Day", "", None, 7, ["day"])
    ),
    *(
        (feature(ledger=ledger), "features.seats.ledger", f"{ledger!r} is not True or False")
        for ledger in (1, 0, "yes", None)
    ),
    (feature(ledgers=True), "features.seats", "unknown entry 'ledgers'; did you mean 'ledger'?"),
    *(
        (
            edited(lambda raw, code=code: raw["plans"].update({code: raw["plans"]["FREE"]})),  # type: ignore[misc]
            f"plans.{code}",
            "a code is at most 32 characters of letters, digits, - and _",
        )
        for code in ("", "PRO+", "P" * 33, "प्रो")
    ),
    (edited(lambda raw: raw["plans"].update(FREE=0)), "plans.FREE", "this must be a dictionary"),
    (edited(lambda raw: raw["plans"]["FREE"].pop("price")), "plans.FREE", "missing 'price'"),
    (plan(limit={}), "plans.FREE", "unknown entry 'limit'; did you mean 'limits'?"),
    (
        plan(price=9.99),
        "plans.FREE.price",
        "9.99 is not money: write it as an int, a Decimal or a string",
    ),
    (plan(price="0.001"), "plans.FREE.price", "'0.001' is not an amount with at most two decimal places"),
    (plan(price=None), "plans.FREE.price", "conversion from NoneType to Decimal is not supported"),
    (plan(price=-1), "plans.FREE.price", "a price is from 0 to 90071992547409"),
    (plan(price=10**17), "plans.FREE.price", "a price is from 0 to 90071992547409"),
    (plan(name=""), "plans.FREE.name", "'' is not text of 1 to 80 characters"),
    (plan(interval="week"), "plans.FREE.interval", "'week' is none of day, month, year"),
    *(
        (
            plan(interval_count=count),
            "plans.FREE.interval_count",
            f"{count!r} is not a whole number from 1 to 1000",
        )
        for count in (0, -1, 1001, 1.0, True, "1")
    ),
    *(
        (plan(currency=currency), "plans.FREE.currency", f"{currency!r} is not an ISO code such as NPR")
        for currency in ("npr", "Rs.", "RUPEE", None, "NPR\n")
    ),
    (plan(limits={}), "plans.FREE.limits", "this must be a dictionary with at least one entry"),
    (plan(limits={1: 1}), "plans.FREE.limits", "1 is not text"),
    (plan(limits={"seat": 1}), "plans.FREE.limits.seat", "there is no such feature; did you mean 'seats'?"),
    (plan(limits={"invoices": 1}), "plans.FREE.limits.invoices", "there is no such feature"),
    *(
        (
            plan(limits={"seats": limit}),
            "plans.FREE.limits.seats",
            f"{limit!r} is not a whole number from 0 to 9007199254740991, or None for unlimited",
        )
        for limit in (-1, MAX_LIMIT + 1, True, 1.0, "10", "unlimited")
    ),
    *(
        (
            plan(limits={"seats": {"limit": 1, name: value} if name == "trial" else {name: value}}),
            f"plans.FREE.limits.seats.{name}",
            f"{value!r} is not a whole number from 0 to 9007199254740991, or None for unlimited",
        )
        for name in ("limit", "trial")
        for value in (-1, MAX_LIMIT + 1, True, "10")
    ),
    *(
        (
            plan(limits={"seats": {"limit": 1, "grace_days": days}}),
            "plans.FREE.limits.seats.grace_days",
            f"{days!r} is not a whole number from 0 to 366",
        )
        for days in (-1, 367, True, 1.0, "3", None)
    ),
    (plan(limits={"seats": {}}), "plans.FREE.limits.seats", "missing 'limit'"),
    (plan(limits={"seats": {"trial": 1}}), "plans.FREE.limits.seats", "missing 'limit'"),
    (
        plan(limits={"seats": {"limit": 1, "grace": 1}}),
        "plans.FREE.limits.seats",
        "unknown entry 'grace'; did you mean 'grace_days'?",
    ),
    (
        plan(limits={"seats": {"limit": 1, "trials": 1}}),
        "plans.FREE.limits.seats",
        "unknown entry 'trials'; did you mean 'trial'?",
    ),
]


@pytest.mark.parametrize(
    ("raw", "where", "problem"), MISTAKES, ids=[f"{number} {where!r}" for number, (_, where, _) in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_place(raw: Any, where: str, problem: str) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=raw), pytest.raises(InvalidCatalogue) as refused:
        read_catalogue()
    assert str(refused.value) == f"TENANT_BILLING_CATALOGUE: {where}: {problem}"
    assert refused.value.where == where
    assert isinstance(refused.value, ImproperlyConfigured)


def test_the_catalogue_that_the_mistakes_were_made_in_is_right() -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=SMALL):
        assert len(read_catalogue().plans) == 2


# Counting what exists


@pytest.mark.parametrize(("ledger", "kept"), [({"ledger": True}, True), ({"ledger": False}, False), ({}, False)])
def test_settings_say_whether_a_feature_has_a_ledger(ledger: dict[str, bool], kept: bool) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=feature(**ledger)):
        assert has_ledger("seats") is kept
        assert has_ledger("exports") is has_ledger("no_such_feature") is False
    assert has_ledger("seats") is False


@pytest.mark.parametrize("count", [COUNT_PATH, count_customers], ids=["path", "function"])
def test_a_site_names_its_counting_function_itself_or_by_path(count: str | Callable[[Organization], int]) -> None:
    with override_settings(TENANT_BILLING_CATALOGUE=feature(count=count)):
        assert counter_for("seats") is count_customers
        assert counter_for("exports") is None
        assert counter_for("no_such_feature") is None
    assert counter_for("seats") is None


def test_the_packages_own_catalogue_takes_counting_functions() -> None:
    raw = default_catalogue(count={"customers": COUNT_PATH})
    with override_settings(TENANT_BILLING_CATALOGUE=raw):
        assert counter_for("customers") is count_customers
        assert counter_for("team_members") is None
        assert len(read_catalogue().plans) == 3
    assert "count" not in DEFAULT["features"]["customers"]
    assert default_catalogue(count={}) == DEFAULT


def test_a_counting_function_for_a_feature_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        InvalidCatalogue, match=r"count\.custmers: there is no such feature; did you mean 'customers'\?"
    ):
        default_catalogue(count={"custmers": COUNT_PATH})


def test_codes_that_differ_only_in_case_are_refused(settings: Any) -> None:
    plan = {"price": 0, "limits": {"invoices": 1}}
    invoices = {"singular": "invoice", "plural": "invoices", "kind": "happens"}
    settings.TENANT_BILLING_CATALOGUE = {"features": {"invoices": invoices}, "plans": {"FREE": plan, "Free": plan}}
    with pytest.raises(InvalidCatalogue, match="upper and lower case"):
        read_catalogue()
    settings.TENANT_BILLING_CATALOGUE = {"features": {"invoices": invoices}, "plans": {"FREE": plan, "PRO": plan}}
    assert len(read_catalogue().plans) == 2
