"""The databases of a run: which one this process talks to, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, connections

from django_tenant_billing import clock
from django_tenant_billing.models import PlanLimit
from django_tenant_billing.testing import seed_catalogue

Settings = dict[str, Any]

LIMIT = 1_000_000_000
"""Of the features that are timed: never reached."""

LOW_LIMIT = 100
"""Of API calls: what denials and races run into."""

PREPARED: Settings = {"server_side_binding": True, "prepare_threshold": 5}


def use(settings: Settings) -> None:
    """Make this the default database of this process."""
    connections.close_all()
    connections.settings["default"] = connections.configure_settings({"default": {**settings}})["default"]
    del connections["default"]


@dataclass(frozen=True)
class Postgres:
    """A server, and the databases on it: one that is migrated, and copies of it that are filled."""

    where: Settings

    def settings(self, name: str, **options: Any) -> Settings:
        engine = "django.db.backends.postgresql"
        return {"ENGINE": engine, "NAME": name, "USER": "postgres", "OPTIONS": options, **self.where}

    def create(self, name: str, template: str = "template0") -> None:
        use(self.settings("postgres"))
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    def prepare(self) -> None:
        """The migrated one."""
        self.create("migrated")
        migrate(self.settings("migrated"))

    def fill(self, name: str, organizations: int) -> Settings:
        """A copy with so many organizations, each with a counter of invoices."""
        self.create(name, "migrated")
        use(self.settings(name))
        seed(organizations)
        return self.settings(name)


def sqlite(path: Path) -> Settings:
    """As the documentation recommends it: writers queue at BEGIN, and a commit does not wait for the disk."""
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
    options = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": pragmas}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options}


def migrate(settings: Settings) -> None:
    """Tables and catalogue."""
    use(settings)
    call_command("migrate", run_syncdb=True, verbosity=0)
    seed_catalogue()
    PlanLimit.objects.filter(plan="FREE", feature__in=["invoices", "customers"]).update(limit_value=LIMIT)
    PlanLimit.objects.filter(plan="FREE", feature="api_calls").update(limit_value=LOW_LIMIT)


def seed(organizations: int) -> None:
    """So many organizations on FREE, each with a counter of invoices that has its organization's number."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {organizations})"
    then = connection.ops.adapt_datetimefield_value(clock.now() - timedelta(days=1))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Each insert would look its parents up; they are known to be there.
            cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"{numbers} INSERT INTO testapp_organization (name) SELECT 'Organization ' || i FROM n")
        cursor.execute(
            """INSERT INTO tenant_billing_subscription
            (organization_id, plan_id, anchor, period_start, credit_minor, credit_currency, created_at, updated_at)
            SELECT id, 'FREE', %s, %s, 0, '', %s, %s FROM testapp_organization ORDER BY id""",
            [then] * 4,
        )
    add_counters("invoices", organizations)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    connection.close()


def add_counters(feature: str, organizations: int, used: int = 0) -> None:
    """A counter of the feature for the first so many organizations, in a period that lasts longer than the run."""
    start, end = (
        connection.ops.adapt_datetimefield_value(clock.now() + timedelta(days=days)) for days in (-1, 27)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO tenant_billing_usagecounter
            (organization_id, feature_id, period_start, period_end, used, held, updated_at)
            SELECT id, %s, %s, %s, %s, 0, %s FROM testapp_organization ORDER BY id LIMIT %s""",
            (feature, start, end, used, start, organizations),
        )


def scalar(statement: str) -> Any:
    """The one value that a query finds."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def stored() -> int:
    """Units that all counters have counted."""
    return int(scalar("SELECT COALESCE(SUM(used), 0) FROM tenant_billing_usagecounter"))


def above_limit() -> int:
    """Units that counters hold above their limit (everybody here is on FREE)."""
    return int(
        scalar(
            """SELECT COALESCE(SUM(c.used - l.limit_value), 0) FROM tenant_billing_usagecounter c
            JOIN tenant_billing_planlimit l ON l.feature_id = c.feature_id AND l.plan_id = 'FREE'
            WHERE c.used > l.limit_value"""
        )
    )
