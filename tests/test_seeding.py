"""Seeding: what is missing is created, what somebody edited is kept, and every organization gets its rows."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import override_settings

from django_tenant_billing.catalogue import DEFAULT, MAX_LIMIT, default_catalogue
from django_tenant_billing.catalogue_reader import read_catalogue
from django_tenant_billing.models import (
    Feature,
    Plan,
    PlanLimit,
    PlanPrice,
    Subscription,
    Usage,
    UsageCounter,
)
from django_tenant_billing.seeding import Action, Report, seed
from tests.testapp.models import Customer, Organization, count_customers

pytestmark = pytest.mark.django_db

COUNTING = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})
OWN: dict[str, Any] = {
    "features": {
        "seats": {"singular": "seat", "plural": "seats", "kind": "exists", "count": count_customers},
        "exports": {"singular": "export", "plural": "exports", "kind": "happens"},
    },
    "plans": {
        "TRIAL": {"name": "Trial", "price": 0, "interval": "day", "interval_count": 14, "limits": {"exports": 2}},
        "TEAM": {
            "name": "Team",
            "price": "99.50",
            "currency": "USD",
            "interval": "year",
            "limits": {"seats": None, "exports": 5},
        },
    },
}


def count_nothing_right(_organization: Organization) -> int:
    """A site's counting function that finds more than a counter may hold: the database refuses it."""
    return -1


def rows() -> dict[str, list[Any]]:
    """Everything that seeding may touch."""
    models: Iterable[Any] = (Feature, Plan, PlanPrice, PlanLimit, Subscription, Usage, UsageCounter)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def limits(plan: str) -> dict[str, int | None]:
    return dict(PlanLimit.objects.filter(plan=plan).values_list("feature_id", "limit_value"))


def with_limit(value: int | None) -> dict[str, Any]:
    raw = deepcopy(dict(DEFAULT))
    raw["plans"]["FREE"]["limits"]["invoices"] = value
    return raw


def seeded(raw: Any, **options: bool) -> Report:
    with override_settings(TENANT_BILLING_CATALOGUE=raw):
        return seed(read_catalogue(), **options)


def texts(report: Report, action: Action) -> list[str]:
    return [change.text for change in report.changes if change.action is action]


# The catalogue


def test_an_empty_database_gets_three_plans_by_five_features() -> None:
    report = seed(read_catalogue())
    assert report.number(Action.CREATED) == len(report.changes) == PlanLimit.objects.count() == 15
    assert texts(report, Action.CREATED) == [
        "FREE - invoices: 10",
        "FREE - customers: 5",
        "FREE - team_members: 1",
        "FREE - api_calls: 100",
        "FREE - reports: 0",
        "BASIC - invoices: 1000",
        "BASIC - customers: 50",
        "BASIC - team_members: 3",
        "BASIC - api_calls: 10000",
        "BASIC - reports: 1",
        "PRO - invoices: 3000",
        "PRO - customers: unlimited",
        "PRO - team_members: unlimited",
        "PRO - api_calls: unlimited",
        "PRO - reports: 1",
    ]
    assert [str(plan.default_price()) for plan in Plan.objects.all()] == [
        "FREE - NPR 0 / 1 month",
        "BASIC - NPR 1,000 / 1 month",
        "PRO - NPR 3,900 / 1 month",
    ]


def test_the_snippets_of_the_guide_work_as_written() -> None:
    seed(read_catalogue())
    free = PlanLimit.objects.filter(plan="FREE")
    assert free.count() == 5
    assert repr(free.first()) == "<PlanLimit: FREE - invoices: 10>"
    plan, feature = "BASIC", "invoices"
    assert PlanLimit.objects.get(plan=plan, feature=feature).limit_value == 1000
    assert [limit.feature_id for limit in free] == list(DEFAULT["features"])


def test_seeding_again_changes_nothing() -> None:
    Organization.objects.create(name="Himal Traders")
    seeded(COUNTING)
    before = rows()
    report = seeded(COUNTING)
    assert report == Report((), 0, 0)
    assert rows() == before


def test_only_what_is_missing_is_created() -> None:
    seed(read_catalogue())
    PlanLimit.objects.filter(plan="BASIC").delete()
    PlanLimit.objects.filter(plan="PRO", feature="reports").delete()
    report = seed(read_catalogue())
    assert report.number(Action.CREATED) == 6
    assert limits("BASIC") == DEFAULT["plans"]["BASIC"]["limits"]
    Plan.objects.all().delete()
    assert seed(read_catalogue()).number(Action.CREATED) == 15


@pytest.mark.parametrize(
    ("edited", "text"),
    [
        (7, "FREE - invoices: 7 (catalogue: 10)"),
        (0, "FREE - invoices: 0 (catalogue: 10)"),
        (None, "FREE - invoices: unlimited (catalogue: 10)"),
        (MAX_LIMIT, f"FREE - invoices: {MAX_LIMIT} (catalogue: 10)"),
    ],
)
def test_a_limit_that_somebody_edited_is_kept_unless_update_is_asked_for(edited: int | None, text: str) -> None:
    seed(read_catalogue())
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=edited)
    kept = seed(read_catalogue())
    assert (texts(kept, Action.KEPT), len(kept.changes)) == ([text], 1)
    assert limits("FREE")["invoices"] == edited
    updated = seed(read_catalogue(), update=True)
    assert (texts(updated, Action.UPDATED), len(updated.changes)) == ([text], 1)
    assert limits("FREE") == DEFAULT["plans"]["FREE"]["limits"]
    assert seed(read_catalogue(), update=True).changes == ()


PLAIN = {"limit_value": 10, "trial_differs": False, "trial_limit_value": None, "grace_days": 0}


@pytest.mark.parametrize(
    ("edited", "text"),
    [
        ({"grace_days": 3}, "FREE - invoices: 10, 3 days of grace (catalogue: 10)"),
        ({"trial_differs": True, "trial_limit_value": 2}, "FREE - invoices: 10, 2 on trial (catalogue: 10)"),
        ({"trial_differs": True}, "FREE - invoices: 10, unlimited on trial (catalogue: 10)"),
    ],
)
def test_a_trial_or_grace_that_somebody_edited_is_kept_unless_update_is_asked_for(
    edited: dict[str, Any], text: str
) -> None:
    seed(read_catalogue())
    limit = PlanLimit.objects.filter(plan="FREE", feature="invoices")
    limit.update(**edited)
    assert texts(seed(read_catalogue()), Action.KEPT) == [text]
    assert texts(seed(read_catalogue(), update=True, dry_run=True), Action.UPDATED) == [text]
    assert list(limit.values(*PLAIN)) == [PLAIN | edited]
    assert texts(seed(read_catalogue(), update=True), Action.UPDATED) == [text]
    assert list(limit.values(*PLAIN)) == [PLAIN]


def test_a_catalogue_that_grew_a_trial_and_grace_updates_both() -> None:
    raw = with_limit(10)
    seeded(raw)
    raw["plans"]["FREE"]["limits"]["invoices"] = {"limit": 10, "trial": None, "grace_days": 3}
    text = "FREE - invoices: 10 (catalogue: 10, unlimited on trial, 3 days of grace)"
    before = rows()
    assert texts(seeded(raw), Action.KEPT) == texts(seeded(raw, update=True, dry_run=True), Action.UPDATED) == [text]
    assert rows() == before
    assert texts(seeded(raw, update=True), Action.UPDATED) == [text]
    limit = PlanLimit.objects.get(plan="FREE", feature="invoices")
    assert str(limit) == "FREE - invoices: 10, unlimited on trial, 3 days of grace"
    assert seeded(raw).changes == ()


def test_when_a_feature_starts_again_is_seeded_once_and_then_kept() -> None:
    raw = deepcopy(dict(DEFAULT))
    raw["features"]["api_calls"]["reset"] = "day"
    before = rows()
    seeded(raw, dry_run=True)
    assert rows() == before
    seeded(raw)
    resets = dict(Feature.objects.values_list("slug", "reset"))
    assert resets == dict.fromkeys(DEFAULT["features"], "anchor") | {"api_calls": "day"}
    raw["features"]["api_calls"]["reset"] = "week"
    seeded(raw, update=True)
    assert Feature.objects.get(pk="api_calls").reset == "day"


def test_update_can_set_a_limit_to_unlimited_and_back() -> None:
    seeded(with_limit(10))
    report = seeded(with_limit(None), update=True)
    assert texts(report, Action.UPDATED) == ["FREE - invoices: 10 (catalogue: unlimited)"]
    assert limits("FREE")["invoices"] is None
    seeded(with_limit(0), update=True)
    assert limits("FREE")["invoices"] == 0


def test_plans_prices_and_labels_that_somebody_edited_are_kept_even_with_update() -> None:
    seed(read_catalogue())
    Plan.objects.filter(pk="PRO").update(name="Professional", is_active=False, position=9)
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=1)
    Feature.objects.filter(pk="invoices").update(singular="bill")
    PlanPrice.objects.filter(plan="FREE").delete()
    before = rows()
    seed(read_catalogue(), update=True)
    assert rows() == before


def test_limits_that_the_catalogue_does_not_name_stay() -> None:
    seed(read_catalogue())
    Feature.objects.create(slug="exports", singular="export", plural="exports", kind="happens")
    PlanLimit.objects.create(plan_id="FREE", feature_id="exports", limit_value=3)
    assert seed(read_catalogue(), update=True).changes == ()
    assert limits("FREE")["exports"] == 3


@pytest.mark.parametrize("update", [False, True])
def test_a_dry_run_says_what_would_be_done_and_does_nothing(update: bool) -> None:
    organization = Organization.objects.create(name="Himal Traders")
    empty = rows()
    assert not any(empty.values())
    report = seeded(COUNTING, dry_run=True, update=update)
    assert (report.number(Action.CREATED), report.backfilled, report.counted) == (15, 1, 1)
    assert rows() == empty

    assert seeded(COUNTING, update=update) == report
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=7)
    PlanLimit.objects.filter(plan="PRO").delete()
    Usage.objects.get(organization=organization).delete()
    edited = rows()
    report = seeded(COUNTING, dry_run=True, update=update)
    assert (report.number(Action.CREATED), report.number(Action.UPDATED), report.number(Action.KEPT)) == (
        (5, 1, 0) if update else (5, 0, 1)
    )
    assert report.backfilled == 1
    assert rows() == edited


def test_a_sites_own_catalogue_is_seeded_as_it_is_written() -> None:
    with override_settings(TENANT_BILLING_FALLBACK_PLAN="TRIAL"):
        Organization.objects.create(name="Himal Traders")
        report = seeded(OWN)
        assert texts(report, Action.CREATED) == ["TRIAL - exports: 2", "TEAM - seats: unlimited", "TEAM - exports: 5"]
        assert (report.backfilled, report.counted) == (1, 1)
    assert list(Plan.objects.values_list("code", "name", "position", "is_active")) == [
        ("TRIAL", "Trial", 0, True),
        ("TEAM", "Team", 1, True),
    ]
    assert list(Feature.objects.values_list("slug", "singular", "plural", "kind", "position")) == [
        ("seats", "seat", "seats", "exists", 0),
        ("exports", "export", "exports", "happens", 1),
    ]
    assert list(PlanPrice.objects.values_list("plan", "amount_minor", "currency", "interval", "interval_count")) == [
        ("TEAM", 9950, "USD", "year", 1),
        ("TRIAL", 0, "NPR", "day", 14),
    ]
    assert Subscription.objects.get().plan_id == "TRIAL"
    # A feature that a plan does not name has no row: not included.
    assert "seats" not in limits("TRIAL")


def test_a_catalogue_that_grew_brings_its_new_plans_and_features() -> None:
    seed(read_catalogue())
    raw = deepcopy(dict(DEFAULT))
    raw["features"]["exports"] = {"singular": "export", "plural": "exports", "kind": "happens"}
    raw["plans"]["FREE"]["limits"]["exports"] = 1
    raw["plans"]["MAX"] = {"price": 9900, "limits": {"exports": None}}
    assert texts(seeded(raw), Action.CREATED) == ["FREE - exports: 1", "MAX - exports: unlimited"]
    assert Plan.objects.get(pk="MAX").position == 3
    assert str(Plan.objects.get(pk="MAX").default_price()) == "MAX - NPR 9,900 / 1 month"


# Organizations that were there before billing


def test_every_organization_gets_the_rows_it_lacks() -> None:
    bare, half, other_half = (Organization.objects.create(name=name) for name in ("bare", "half", "other half"))
    seed(read_catalogue())
    assert Subscription.objects.count() == Usage.objects.count() == 3
    Usage.objects.get(organization=half).delete()
    Subscription.objects.get(organization=other_half).delete()
    Subscription.objects.filter(organization=half).update(plan="PRO")
    complete = Subscription.objects.get(organization=bare)
    assert seed(read_catalogue()).backfilled == 2
    assert set(Usage.objects.values_list("organization", flat=True)) == {bare.pk, half.pk, other_half.pk}
    assert Subscription.objects.get(organization=half).plan_id == "PRO"
    assert Subscription.objects.get(organization=other_half).plan_id == "FREE"
    again = Subscription.objects.get(organization=bare)
    assert (again.pk, again.anchor, again.updated_at) == (complete.pk, complete.anchor, complete.updated_at)


def test_counters_of_what_exists_start_from_what_the_site_counts() -> None:
    busy, idle = (Organization.objects.create(name=name) for name in ("busy", "idle"))
    Customer.objects.bulk_create(Customer(organization=busy, name=f"customer {n}") for n in range(4))
    assert seeded(COUNTING).counted == 2
    assert dict(UsageCounter.objects.values_list("organization", "used")) == {busy.pk: 4, idle.pk: 0}
    assert busy.usage.customers_created == 4
    # A count that is there is not touched: recount_usage repairs.
    Customer.objects.create(organization=busy, name="one more")
    assert seeded(COUNTING).counted == 0
    assert busy.usage.customers_created == 4


def test_without_a_counting_function_no_counter_is_started() -> None:
    Organization.objects.create(name="Himal Traders")
    assert seed(read_catalogue()).counted == 0
    assert not UsageCounter.objects.exists()


def test_a_feature_that_was_seeded_as_another_kind_is_not_counted_into_the_wrong_rows() -> None:
    organization = Organization.objects.create(name="Himal Traders")
    raw = deepcopy(dict(DEFAULT))
    raw["features"]["customers"]["kind"] = "happens"
    seeded(raw)
    assert seeded(COUNTING).counted == 0
    assert not UsageCounter.objects.exists()
    assert organization.usage.can_add_customer() == (True, None)


# Whole or not at all


def test_seeding_that_fails_leaves_nothing_behind() -> None:
    Organization.objects.create(name="Himal Traders")
    before = rows()
    raw = deepcopy(COUNTING)
    raw["features"]["customers"]["count"] = count_nothing_right
    with pytest.raises(DatabaseError):
        seeded(raw)
    assert not connection.needs_rollback
    assert rows() == before
    assert seeded(COUNTING).counted == 1
