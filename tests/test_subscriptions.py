"""The rows that a new organization gets: at sign-up, at first touch, or by the backfill. Never in its way."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.db.utils import ConnectionHandler
from pytest_django import DjangoAssertNumQueries

from django_tenant_billing import clock
from django_tenant_billing.exceptions import CatalogueMissing
from django_tenant_billing.models import Subscription, Usage
from django_tenant_billing.subscriptions import (
    backfill,
    organizations_without_rows,
    subscription_of,
    usage_of,
    welcome,
)
from django_tenant_billing.subscriptions.rows import BATCH
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class ReadsFromReplica:
    """A router of a site that reads from a replica, which has not caught up."""

    def db_for_read(self, model: type, **_hints: Any) -> str | None:
        return "elsewhere" if model in (Subscription, Usage) else None


class BillingElsewhere:
    """A router that keeps all of billing in another database."""

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == "tenant_billing" else None

    db_for_write = db_for_read


@pytest.fixture
def elsewhere(db: None) -> Iterator[str]:
    """A second database, which has no tables at all."""
    handler = ConnectionHandler(
        {"default": {}, "elsewhere": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    )
    connections["elsewhere"] = handler["elsewhere"]
    yield "elsewhere"
    handler["elsewhere"].close()
    del connections["elsewhere"]


def without_rows(name: str) -> Organization:
    """An organization as it was before billing came to the site."""
    Organization.objects.bulk_create([Organization(name=name)])  # sends no signal
    return Organization.objects.get(name=name)


# Sign-up


@pytest.mark.usefixtures("catalogue")
def test_a_new_organization_is_on_the_fallback_plan_from_the_first_moment() -> None:
    before = clock.now()
    organization = Organization.objects.create(name="Himal Traders")
    subscription = Subscription.objects.get(organization=organization)
    assert (subscription.plan_id, subscription.period_end) == ("FREE", None)
    assert before <= subscription.anchor == subscription.period_start <= clock.now()
    assert Usage.objects.get(organization=organization).can_create_invoice() == (True, None)


@pytest.mark.usefixtures("catalogue")
def test_another_fallback_plan_is_used_where_the_site_names_one(settings: Any) -> None:
    settings.TENANT_BILLING_FALLBACK_PLAN = "BASIC"
    assert subscription_of(Organization.objects.create(name="Himal Traders")).plan_id == "BASIC"


def test_saving_an_organization_again_touches_nothing(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    before = list(Subscription.objects.values()) + list(Usage.objects.values())
    organization.name = "Himal Traders and Sons"
    with django_assert_num_queries(1):
        organization.save()
    assert list(Subscription.objects.values()) + list(Usage.objects.values()) == before


@pytest.mark.usefixtures("catalogue")
def test_a_fixture_brings_its_own_rows(tmp_path: Path) -> None:
    fixture = tmp_path / "organizations.json"
    fixture.write_text(json.dumps([{"model": "testapp.organization", "pk": 77, "fields": {"name": "Himal Traders"}}]))
    call_command("loaddata", str(fixture), verbosity=0)
    loaded = Organization.objects.get(pk=77)
    assert not Subscription.objects.exists()
    assert not Usage.objects.exists()
    # The same organization by create() has them.
    Organization.objects.create(name="Pahad Foods")
    assert Subscription.objects.count() == Usage.objects.count() == 1
    assert subscription_of(loaded).plan_id == "FREE"


def test_a_database_dumped_and_loaded_keeps_its_subscriptions(organization: Organization, tmp_path: Path) -> None:
    Subscription.objects.filter(organization=organization).update(plan="PRO", anchor=NOW)
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "testapp", "tenant_billing", output=str(dump), verbosity=0)
    key = organization.pk
    organization.delete()
    assert not Subscription.objects.exists()
    call_command("loaddata", str(dump), verbosity=0)
    subscription = Subscription.objects.get(organization=key)
    assert (subscription.plan_id, subscription.anchor) == ("PRO", NOW)
    assert Usage.objects.get().organization_id == key


def test_a_sign_up_before_the_catalogue_is_seeded_succeeds_without_rows() -> None:
    organization = Organization.objects.create(name="Himal Traders")
    assert not Subscription.objects.exists()
    assert not Usage.objects.exists()
    assert welcome(organization) is False


@pytest.mark.usefixtures("catalogue")
def test_welcoming_twice_changes_nothing() -> None:
    organization = Organization.objects.create(name="Himal Traders")
    before = Subscription.objects.get()
    assert welcome(organization) is True
    after = Subscription.objects.get()
    assert (after.pk, after.anchor) == (before.pk, before.anchor)


def test_a_sign_up_succeeds_while_billing_has_no_tables(
    elsewhere: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DATABASE_ROUTERS = [BillingElsewhere()]
    with caplog.at_level(logging.WARNING, "tenant_billing"):
        organization = Organization.objects.create(name="Himal Traders")
    assert Organization.objects.get() == organization
    assert caplog.messages == [f"No billing rows yet for new organization {organization.pk}: OperationalError"]
    assert welcome(organization) is False


def test_a_sign_up_inside_a_transaction_succeeds_too_and_leaves_it_usable(elsewhere: str, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [BillingElsewhere()]
    with transaction.atomic():
        Organization.objects.create(name="Himal Traders")
        Organization.objects.create(name="Pahad Foods")
    assert Organization.objects.count() == 2


def test_a_sign_up_that_the_site_itself_breaks_is_not_hidden(organization: Organization) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Organization.objects.create(pk=organization.pk, name="the same key again")
    assert Subscription.objects.count() == 1


def test_rows_go_with_their_organization(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    organization.delete()
    assert Subscription.objects.get().organization_id == Usage.objects.get().organization_id == other.pk


# First touch


@pytest.mark.usefixtures("catalogue")
def test_first_touch_makes_up_what_sign_up_could_not() -> None:
    organization = without_rows("Himal Traders")
    subscription, usage = subscription_of(organization), usage_of(organization)
    assert (subscription.plan_id, subscription.period_end) == ("FREE", None)
    assert usage.organization_id == organization.pk
    assert subscription_of(organization) == subscription == Subscription.objects.get()
    assert usage_of(organization) == usage == Usage.objects.get()


def test_touching_rows_that_are_there_costs_one_query_each(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        subscription_of(organization)
    with django_assert_num_queries(1):
        usage_of(organization)


def test_first_touch_before_the_catalogue_is_seeded_says_what_to_run() -> None:
    organization = without_rows("Himal Traders")
    with pytest.raises(CatalogueMissing, match=r"Run: manage\.py init_plan_limits"):
        subscription_of(organization)
    assert not Subscription.objects.exists()
    assert usage_of(organization).organization_id == organization.pk


@pytest.mark.usefixtures("catalogue")
def test_rows_written_a_moment_ago_are_read_where_they_were_written(elsewhere: str, settings: Any) -> None:
    organization = without_rows("Himal Traders")
    with connections[elsewhere].schema_editor() as editor:
        for model in (Subscription, Usage):
            editor.execute(str(editor.table_sql(model)[0]))
    settings.DATABASE_ROUTERS = [ReadsFromReplica()]
    assert not Subscription.objects.exists()  # on the replica, which never catches up here
    assert subscription_of(organization).plan_id == "FREE"
    assert usage_of(organization).organization_id == organization.pk


# The backfill


@pytest.mark.usefixtures("catalogue")
def test_organizations_that_lack_a_row_are_found() -> None:
    complete, half, other_half = (Organization.objects.create(name=name) for name in ("complete", "half", "other"))
    bare = without_rows("bare")
    Usage.objects.get(organization=half).delete()
    Subscription.objects.get(organization=other_half).delete()
    assert set(organizations_without_rows()) == {half.pk, other_half.pk, bare.pk}
    assert complete.pk not in organizations_without_rows()


@pytest.mark.usefixtures("catalogue")
def test_the_backfill_creates_what_is_missing_and_nothing_else() -> None:
    complete, half = (Organization.objects.create(name=name) for name in ("complete", "half"))
    bare = without_rows("bare")
    Usage.objects.get(organization=half).delete()
    before = {s.organization_id: s.anchor for s in Subscription.objects.all()}
    backfill([complete.pk, half.pk, bare.pk], NOW)
    assert {s.organization_id: s.anchor for s in Subscription.objects.all()} == {**before, bare.pk: NOW}
    assert Usage.objects.count() == 3
    assert organizations_without_rows() == []


@pytest.mark.usefixtures("catalogue")
def test_more_organizations_than_one_batch_holds_are_all_backfilled() -> None:
    Organization.objects.bulk_create(Organization(name=f"organization {n}") for n in range(BATCH + 1))
    keys = organizations_without_rows()
    assert len(keys) == BATCH + 1
    backfill(keys, NOW)
    assert Subscription.objects.filter(plan="FREE", anchor=NOW, period_start=NOW).count() == BATCH + 1
    assert Usage.objects.count() == BATCH + 1
    assert organizations_without_rows() == []


def test_an_empty_backfill_does_nothing(catalogue: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        backfill([], NOW)


@pytest.mark.usefixtures("catalogue")
def test_who_signs_up_today_has_months_from_today() -> None:
    with clock.moved(timedelta(days=3)):
        organization = Organization.objects.create(name="Himal Traders")
    assert subscription_of(organization).anchor > clock.now() + timedelta(days=2)
