"""init_plan_limits and recount_usage, as a person types them."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.management.commands import recount_usage
from django_tenant_billing.models import Feature, PlanLimit, Subscription, Usage, UsageCounter
from django_tenant_billing.testing import set_used
from tests.testapp.models import Customer, Organization, count_customers

pytestmark = pytest.mark.django_db


def run(*words: str) -> list[str]:
    output = StringIO()
    call_command(*words, stdout=output, no_color=True)
    return output.getvalue().splitlines()


def count_two(_organization: Organization) -> int:
    return 2


@pytest.fixture
def counting(settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(
        count={"customers": f"{count_customers.__module__}.count_customers"}
    )


@pytest.fixture
def organizations(counting: None, catalogue: None) -> Iterator[list[Organization]]:
    """Two organizations whose customers nobody counted: one has three, one has none."""
    busy, idle = (Organization.objects.create(name=name) for name in ("Himal Traders", "Pahad Foods"))
    Customer.objects.bulk_create(Customer(organization=busy, name=f"customer {n}") for n in range(3))
    yield [busy, idle]


# init_plan_limits


def test_the_first_run_prints_the_lines_of_the_guide() -> None:
    assert run("init_plan_limits") == [
        "✓ Created: FREE - invoices: 10",
        "✓ Created: FREE - customers: 5",
        "✓ Created: FREE - team_members: 1",
        "✓ Created: FREE - api_calls: 100",
        "✓ Created: FREE - reports: 0",
        "✓ Created: BASIC - invoices: 1000",
        "✓ Created: BASIC - customers: 50",
        "✓ Created: BASIC - team_members: 3",
        "✓ Created: BASIC - api_calls: 10000",
        "✓ Created: BASIC - reports: 1",
        "✓ Created: PRO - invoices: 3000",
        "✓ Created: PRO - customers: unlimited",
        "✓ Created: PRO - team_members: unlimited",
        "✓ Created: PRO - api_calls: unlimited",
        "✓ Created: PRO - reports: 1",
        "✓ Successfully initialized 15 new plan limits",
    ]
    assert PlanLimit.objects.count() == 15


def test_the_second_run_creates_nothing() -> None:
    run("init_plan_limits")
    assert run("init_plan_limits") == ["✓ Successfully initialized 0 new plan limits"]
    assert PlanLimit.objects.count() == 15


def test_the_rollback_of_the_guide_can_be_followed_by_the_command() -> None:
    run("init_plan_limits")
    PlanLimit.objects.all().delete()
    assert run("init_plan_limits")[-1] == "✓ Successfully initialized 15 new plan limits"


def test_an_edited_limit_is_kept_and_the_way_to_overwrite_it_is_told() -> None:
    run("init_plan_limits")
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=7)
    assert run("init_plan_limits") == [
        "- Kept as edited: FREE - invoices: 7 (catalogue: 10). To overwrite it: init_plan_limits --update",
        "✓ Successfully initialized 0 new plan limits",
    ]
    assert PlanLimit.objects.get(plan="FREE", feature="invoices").limit_value == 7
    assert run("init_plan_limits", "--update") == [
        "✓ Updated: FREE - invoices: 7 (catalogue: 10)",
        "✓ Successfully initialized 0 new plan limits",
    ]
    assert PlanLimit.objects.get(plan="FREE", feature="invoices").limit_value == 10


def test_a_dry_run_shows_what_would_be_done_and_changes_nothing(counting: None) -> None:
    Organization.objects.create(name="Himal Traders")
    shown = run("init_plan_limits", "--dry-run")
    assert shown[0] == "✓ Would do: Created: FREE - invoices: 10"
    assert len(shown) == 18
    assert shown[-3:] == [
        "✓ Would do: Backfilled subscription and usage: 1 organizations",
        "✓ Would do: Counted what exists: 1 counters",
        "Dry run: nothing was changed; 15 new plan limits would be initialized",
    ]
    for model in (PlanLimit, Feature, Subscription, Usage, UsageCounter):
        assert not model.objects.exists()


def test_a_dry_run_with_update_shows_the_edited_limit_and_keeps_it() -> None:
    run("init_plan_limits")
    PlanLimit.objects.filter(plan="PRO", feature="customers").update(limit_value=100)
    assert run("init_plan_limits", "--dry-run", "--update") == [
        "✓ Would do: Updated: PRO - customers: 100 (catalogue: unlimited)",
        "Dry run: nothing was changed; 0 new plan limits would be initialized",
    ]
    assert PlanLimit.objects.get(plan="PRO", feature="customers").limit_value == 100


def test_organizations_that_were_there_before_get_their_rows_and_counts(counting: None) -> None:
    organization = Organization.objects.create(name="Himal Traders")
    Customer.objects.create(organization=organization, name="Sita")
    assert run("init_plan_limits")[-3:] == [
        "✓ Backfilled subscription and usage: 1 organizations",
        "✓ Counted what exists: 1 counters",
        "✓ Successfully initialized 15 new plan limits",
    ]
    usage = Usage.objects.get(organization=organization)
    assert usage.organization.subscription.plan_id == "FREE"
    assert usage.customers_created == 1
    assert usage.can_create_invoice() == (True, None)


def test_a_catalogue_with_a_mistake_is_refused_with_its_place(settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = {"features": {"seats": {}}, "plans": {}}
    with pytest.raises(CommandError, match=r"^TENANT_BILLING_CATALOGUE: features\.seats: missing 'kind', 'plural', 's"):
        run("init_plan_limits")
    assert not Feature.objects.exists()


# recount_usage


def test_counts_that_drifted_are_repaired(organizations: list[Organization]) -> None:
    busy, idle = organizations
    set_used(busy, "customers", 1)
    set_used(idle, "customers", 0)
    assert run("recount_usage") == [
        "✓ Repaired: Himal Traders - customers: 1 -> 3",
        "✓ 2 counters looked at, 1 repaired",
    ]
    assert (busy.usage.customers_created, idle.usage.customers_created) == (3, 0)
    assert run("recount_usage") == ["✓ 2 counters looked at, 0 repaired"]


def test_a_dry_run_shows_the_differences_and_repairs_nothing(organizations: list[Organization]) -> None:
    busy, _idle = organizations
    set_used(busy, "customers", 5)
    assert run("recount_usage", "--dry-run") == [
        "✓ Would repair: Himal Traders - customers: 5 -> 3",
        "✓ 2 counters looked at, 1 differ",
    ]
    assert busy.usage.customers_created == 5
    assert UsageCounter.objects.count() == 1


def test_one_organization_can_be_named(organizations: list[Organization]) -> None:
    busy, idle = organizations
    Customer.objects.create(organization=idle, name="Gita")
    assert run("recount_usage", "--organization", str(idle.pk)) == [
        "✓ Repaired: Pahad Foods - customers: 0 -> 1",
        "✓ 1 counters looked at, 1 repaired",
    ]
    assert (busy.usage.customers_created, idle.usage.customers_created) == (0, 1)


@pytest.mark.parametrize("key", ["0", "nobody", "", "1.5"])
def test_an_organization_that_is_not_there_is_told(organizations: list[Organization], key: str) -> None:
    with pytest.raises(CommandError, match=rf"^There is no organization with key '{key}'\.$"):
        run("recount_usage", "--organization", key)
    assert not UsageCounter.objects.exists()


def test_features_can_be_named(organizations: list[Organization], settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})
    settings.TENANT_BILLING_CATALOGUE["features"]["team_members"]["count"] = count_two
    assert run("recount_usage", "team_members") == [
        "✓ Repaired: Himal Traders - team_members: 0 -> 2",
        "✓ Repaired: Pahad Foods - team_members: 0 -> 2",
        "✓ 2 counters looked at, 2 repaired",
    ]
    assert run("recount_usage")[-1] == "✓ 4 counters looked at, 1 repaired"


def test_a_feature_that_nobody_can_count_is_refused(organizations: list[Organization]) -> None:
    with pytest.raises(CommandError, match="'invoices' has no count= in TENANT_BILLING_CATALOGUE, so nothing can be"):
        run("recount_usage", "customers", "invoices")
    assert not UsageCounter.objects.exists()


def test_a_feature_that_was_not_seeded_yet_is_told_with_the_command_to_run(counting: None) -> None:
    with pytest.raises(CommandError, match=r"There is no feature 'customers'.*manage\.py init_plan_limits"):
        run("recount_usage", "customers")


@pytest.mark.usefixtures("organization")
def test_a_site_that_counts_nothing_has_nothing_to_recount() -> None:
    assert run("recount_usage") == ["✓ 0 counters looked at, 0 repaired"]


def test_a_long_recount_says_how_far_it_is(
    organizations: list[Organization],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: Any,
) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})
    monkeypatch.setattr(recount_usage, "PROGRESS", 1)
    call_command("recount_usage")
    assert capsys.readouterr().err.splitlines() == ["... 1 of 2", "... 2 of 2"]
