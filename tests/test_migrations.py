"""Migrations: clean under any tenant model, forward and back on tables with rows in them.

A tenant model is fixed when Django starts, so each kind of site is a throw-away project in a process of its own.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from django_tenant_billing import clock, quotas
from django_tenant_billing.models import (
    Breaker,
    Heartbeat,
    PaymentEvent,
    PaymentTransaction,
    PlanLimit,
    Subscription,
    Throttle,
    TrialMark,
    Usage,
    UsageCounter,
    UsageEntry,
)
from django_tenant_billing.models.payments import new_purchase, new_reference
from django_tenant_billing.testing import seed_catalogue, set_used, subscribe
from tests.testapp.models import Organization

SETTINGS = """
SECRET_KEY = "throw-away"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["orgs", "django_tenant_billing"]
TENANT_BILLING_ORGANIZATION_MODEL = "orgs.Organization"
"""
INTEGER = """
from django.db import models

class Organization(models.Model):
    name = models.CharField(max_length=80)
"""
UUID = """
import uuid
from django.db import models

class Organization(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=80)
"""
OWN_USAGE = """
from django.db import models

class Organization(models.Model):
    name = models.CharField(max_length=80)
    subscription = models.CharField(max_length=80)
    usage = models.IntegerField(default=7)
"""
FIRST_SOMETHING_ELSE = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Country", [("id", models.BigAutoField(primary_key=True, auto_created=True))])
    ]
"""
THEN_THE_ORGANIZATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("zorgs", "0001_country")]
    operations = [
        migrations.DeleteModel("Country"),
        migrations.CreateModel("Organization", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("name", models.CharField(max_length=80)),
        ]),
    ]
"""
START = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
"""
NO_CHANGES = 'call_command("makemigrations", check_changes=True, dry_run=True)\n'
LIVE_A_LITTLE = """
from django.apps import apps
from django_tenant_billing import quotas
from django_tenant_billing.models import PlanLimit, Usage
from django_tenant_billing.testing import subscribe
Organization = apps.get_model(django.conf.settings.TENANT_BILLING_ORGANIZATION_MODEL)
before = Organization.objects.create(name="before")
call_command("init_plan_limits")
after = Organization.objects.create(name="after")
for organization in (before, after):
    for _number in range(10):
        quotas.consume(organization, "invoices")
    assert not quotas.check(organization, "invoices")
    subscribe(organization, "PRO")
    assert quotas.consume(organization, "invoices").release()
    assert Usage.objects.get(organization=organization).invoices_created == 10
before.delete()
assert Usage.objects.count() == 1
"""
BACK_AND_FORTH = """
call_command("migrate", "tenant_billing", "zero", verbosity=0)
assert not [table for table in connection.introspection.table_names() if table.startswith("tenant_billing")]
assert Organization.objects.count() == 1
call_command("migrate", verbosity=0)
call_command("init_plan_limits")
assert Usage.objects.count() == 1
"""


@dataclass
class Site:
    """A throw-away project: settings, and one app with the tenant model."""

    root: Path
    label: str = "orgs"

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def create(self, models: str, *, migrations: bool = True, settings: str = "") -> None:
        self.write("site_settings.py", SETTINGS.replace("orgs", self.label) + settings)
        self.write(f"{self.label}/__init__.py", "")
        self.write(f"{self.label}/models.py", models)
        if migrations:
            self.write(f"{self.label}/migrations/__init__.py", "")

    def run(self, code: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "PYTHONPATH": str(self.root),
            "PYTHONIOENCODING": "utf-8",
        }
        command = [sys.executable, "-W", "error::DeprecationWarning", "-c", START + code]
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
        )

    def works(self, code: str) -> str:
        done = self.run(code)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# Any tenant


@pytest.mark.parametrize("auto_field", ["AutoField", "BigAutoField", "SmallAutoField"])
@pytest.mark.parametrize("tenant", [INTEGER, UUID], ids=["integer", "uuid"])
def test_any_tenant_key_needs_no_migration_of_ours_and_works(site: Site, tenant: str, auto_field: str) -> None:
    site.create(tenant, settings=f'DEFAULT_AUTO_FIELD = "django.db.models.{auto_field}"\n')
    printed = site.works(
        'call_command("makemigrations", "orgs", verbosity=0)\n'
        + NO_CHANGES
        + 'call_command("migrate", verbosity=0)\n'
        + LIVE_A_LITTLE
        + (BACK_AND_FORTH if auto_field == "BigAutoField" else "")
    )
    assert printed.startswith("No changes detected\n✓ Created: FREE - invoices: 10\n")
    assert "✓ Backfilled subscription and usage: 1 organizations" in printed


def test_a_model_that_did_change_is_noticed(site: Site) -> None:
    site.create(INTEGER)
    change = """
from django.db import models
from django_tenant_billing.models import Usage
models.CharField(max_length=2, default="NP").contribute_to_class(Usage, "country")
"""
    done = site.run('call_command("makemigrations", "orgs", verbosity=0)\n' + NO_CHANGES + change + NO_CHANGES)
    assert done.returncode == 1
    assert done.stdout.startswith("No changes detected\nMigrations for 'tenant_billing':")
    assert "Add field country to usage" in done.stdout


def test_a_prefix_for_reverse_names_makes_no_migration_and_frees_the_names(site: Site) -> None:
    site.create(OWN_USAGE)
    done = site.run('call_command("check")')
    assert done.returncode == 1
    assert "(fields.E302) Reverse accessor 'Organization.usage'" in done.stderr

    site.create(OWN_USAGE, settings='TENANT_BILLING_RELATED_PREFIX = "billing_"\n')
    site.works(
        'call_command("makemigrations", "orgs", verbosity=0)\n'
        + NO_CHANGES
        + 'call_command("check")\ncall_command("migrate", verbosity=0)\n'
        + LIVE_A_LITTLE
        + """
after.refresh_from_db()
assert (after.usage, after.subscription) == (7, "")
assert (str(after.billing_subscription.plan), str(after.billing_usage.invoices_created)) == ("PRO", "10")
from django.db import reset_queries
django.conf.settings.DEBUG = True
reset_queries()
(usage,) = Usage.objects.select_related("organization__billing_subscription")
assert str(usage.organization.billing_subscription.plan) == "PRO"
assert len(connection.queries) == 1
"""
    )


def test_a_tenant_that_is_created_in_a_later_migration_is_named_by_a_setting(tmp_path: Path) -> None:
    site = Site(tmp_path, "zorgs")  # after tenant_billing in the alphabet, or the order would be right by luck
    site.create(INTEGER)
    site.write("zorgs/migrations/0001_country.py", FIRST_SOMETHING_ELSE)
    site.write("zorgs/migrations/0002_organization.py", THEN_THE_ORGANIZATION)
    done = site.run('call_command("migrate", verbosity=0)')
    assert done.returncode == 1
    assert "zorgs.organization" in done.stderr

    site.create(INTEGER, settings='TENANT_BILLING_ORGANIZATION_MIGRATION = "0002_organization"\n')
    site.works(NO_CHANGES + 'call_command("migrate", verbosity=0)\n' + LIVE_A_LITTLE + BACK_AND_FORTH)


def test_a_tenant_app_without_migrations_works_with_run_syncdb(site: Site) -> None:
    site.create(INTEGER, migrations=False)
    back_and_forth = BACK_AND_FORTH.replace('"migrate", verbosity=0', '"migrate", run_syncdb=True, verbosity=0')
    site.works(NO_CHANGES + 'call_command("migrate", run_syncdb=True, verbosity=0)\n' + LIVE_A_LITTLE + back_and_forth)


# Settings


@pytest.mark.parametrize("value", ["", 'TENANT_BILLING_ORGANIZATION_MODEL = "Organization"\n'], ids=["unset", "half"])
def test_without_an_organization_model_django_stops_with_the_line_to_paste(site: Site, value: str) -> None:
    site.create(INTEGER)
    site.write("site_settings.py", SETTINGS[: SETTINGS.index("TENANT_BILLING")] + value)
    done = site.run('call_command("check")')
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: TENANT_BILLING_ORGANIZATION_MODEL must name")
    assert last.endswith('TENANT_BILLING_ORGANIZATION_MODEL = "orgs.Organization"')


def test_the_line_that_was_shown_works_and_so_does_the_own_catalogue_in_a_settings_file(site: Site) -> None:
    site.create(
        INTEGER + "\ndef count_customers(organization):\n    return 3\n",
        settings="from django_tenant_billing.catalogue import default_catalogue\n"
        'TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "orgs.models.count_customers"})\n',
    )
    site.works(
        'call_command("makemigrations", "orgs", verbosity=0)\n'
        + NO_CHANGES
        + 'call_command("check")\ncall_command("migrate", verbosity=0)\n'
        + LIVE_A_LITTLE
        + "assert Usage.objects.get().customers_created == 0 and quotas.recount(after, 'customers') == (0, 3)\n"
        + 'call_command("recount_usage")\n'
    )


# The tests' own site


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    output = StringIO()
    call_command("makemigrations", "tenant_billing", check_changes=True, dry_run=True, stdout=output)
    assert output.getvalue() == "No changes detected in app 'tenant_billing'\n"


@pytest.mark.django_db(transaction=True)
def test_the_sql_can_be_reviewed_before_it_runs_both_ways() -> None:
    for backwards, words in ((False, "CREATE TABLE"), (True, "DROP TABLE")):
        output = StringIO()
        call_command("sqlmigrate", "tenant_billing", "0001", backwards=backwards, stdout=output, no_color=True)
        for model in apps.get_app_config("tenant_billing").get_models():
            assert f"{words} {connection.ops.quote_name(model._meta.db_table)}" in output.getvalue()


def fill() -> Organization:
    """A row in every table, as a site has after a first sale."""
    seed_catalogue()
    organization = Organization.objects.create(name="Himal Traders")
    set_used(organization, "customers", 2)
    quotas.consume(organization, "invoices", 3)
    now = clock.now()
    payment = PaymentTransaction.objects.create(
        organization=organization, organization_key=str(organization.pk), organization_name="Himal Traders",
        reference=new_reference(), purchase=new_purchase(), gateway="khalti", gateway_reference="pidx",
        plan_id="PRO", amount_minor=390000, currency="NPR", interval="month", interval_count=1,
        status="paid", created_at=now, initiated_at=now, paid_at=now, next_check_at=now + timedelta(minutes=1),
    )  # fmt: skip
    payment.activate_plan()
    Heartbeat.objects.beat("run_billing", now)
    Breaker.objects.unanswered("khalti", now)
    Throttle.objects.take("callback", 1, timedelta(minutes=1), now)
    TrialMark.objects.mark(["organization:1"], "PRO", now)
    PaymentEvent.objects.create(payment=payment, gateway="khalti", kind="proof", at=now, data={"status": "Completed"})
    quotas.consume(organization, "api_calls", 3, key="order-7")
    quotas.reserve(organization, "api_calls", 2)
    quotas.override(organization, "reports", 1, reason="a deal", actor="staff")
    UsageEntry.objects.create(
        organization=organization, feature_id="invoices", change=3, verb="consume", at=now, created_at=now
    )
    return organization


@pytest.fixture
def migrated_afterwards(transactional_db: None) -> Iterator[None]:
    """Whatever happens, the next test finds the tables."""
    yield
    call_command("migrate", verbosity=0, interactive=False)


@pytest.mark.usefixtures("migrated_afterwards")
def test_d3_filled_tables_go_back_to_nothing_and_come_again(caplog: pytest.LogCaptureFixture) -> None:
    ours = list(apps.get_app_config("tenant_billing").get_models())
    organization = fill()
    for model in ours:
        assert model._default_manager.exists(), f"{model.__name__} is empty: fill it above"
    assert {counter.feature_id for counter in UsageCounter.objects.all()} == {"customers", "invoices", "api_calls"}

    call_command("migrate", "tenant_billing", "zero", verbosity=0, interactive=False)
    assert not {model._meta.db_table for model in ours} & set(connection.introspection.table_names())
    assert Organization.objects.get() == organization
    # While the tables are away, people still sign up.
    with caplog.at_level(logging.WARNING, "tenant_billing"):
        newcomer = Organization.objects.create(name="Pahad Foods")
    assert [message.partition(":")[0] for message in caplog.messages] == [
        f"No billing rows yet for new organization {newcomer.pk}"
    ]

    call_command("migrate", verbosity=0, interactive=False)
    call_command("init_plan_limits", stdout=StringIO())
    assert PlanLimit.objects.count() == 15
    for owner in (organization, newcomer):
        assert Subscription.objects.get(organization=owner).plan_id == "FREE"
        assert Usage.objects.get(organization=owner).can_create_invoice() == (True, None)
    assert subscribe(newcomer, "PRO").plan_id == "PRO"


def test_the_migration_records_nothing_of_a_site_but_its_organization_model() -> None:
    folder = Path(__file__).parents[1] / "src" / "django_tenant_billing" / "migrations"
    text = "".join(file.read_text("utf-8") for file in folder.glob("0*.py"))
    assert text.count("to=settings.TENANT_BILLING_ORGANIZATION_MODEL") == 9
    for word in ("testapp", 'related_name="usage"', 'related_name="subscription"', "AUTH_USER", "OrganizationForeign"):
        assert word not in text
