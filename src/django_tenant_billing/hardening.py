"""Triggers that keep the log as it was written, also from raw SQL: for sites that ask for them.

They are not in migrations: there they would stand in the way of a site's own tools. No line of a log is changed, on any
database; on PostgreSQL no line of payments or subscriptions is deleted either. ``flush``, ``migrate`` back to zero and
the deletion of an organization work as before. A migration that remakes a table on SQLite drops its triggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .models import PaymentEvent, SubscriptionEvent, UsageEntry

KEPT = (PaymentEvent, SubscriptionEvent)
"""Logs that outlive the organization. Its ledger goes with it."""

SAYS = "tenant_billing: a line of a log is written once"
FUNCTION = "tenant_billing_append_only"

CREATE = {
    "sqlite": "CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{says}'); END",
    "mysql": "CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{says}'",
    "postgresql": "CREATE OR REPLACE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION {function}()",
}
DROP = {
    "sqlite": "DROP TRIGGER IF EXISTS {name}",
    "mysql": "DROP TRIGGER IF EXISTS {name}",
    "postgresql": "DROP TRIGGER IF EXISTS {name} ON {table}",
}
CREATE_FUNCTION = (
    "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION '{says}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
)
INSTALLED = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "mysql": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    "postgresql": "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
    "WHERE NOT tgisinternal AND tgenabled <> 'D' AND pg_table_is_visible(pg_class.oid)",
}


class Trigger(NamedTuple):
    """One trigger: its name, and the statements that make it and take it away."""

    name: str
    create: str
    drop: str


def triggers(connection: BaseDatabaseWrapper) -> list[Trigger]:
    """Every trigger that belongs on this database."""
    found = []
    for model, event in _kept_from(connection.vendor):
        names = {
            "name": f"tb_{model._meta.model_name}_no_{event.lower()}",
            "event": event,
            "table": connection.ops.quote_name(model._meta.db_table),
            "function": FUNCTION,
            "says": SAYS,
        }
        create, drop = CREATE[connection.vendor].format(**names), DROP[connection.vendor].format(**names)
        found.append(Trigger(names["name"], create, drop))
    return found


def missing(using: str) -> list[Trigger]:
    """Triggers that are not there, or are disabled."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(INSTALLED[connection.vendor])
        there = {row[0] for row in cursor.fetchall()}
    return [trigger for trigger in triggers(connection) if trigger.name not in there]


def installing(using: str) -> list[str]:
    """What has to run so that every trigger is there; nothing where it is."""
    creates = [trigger.create for trigger in missing(using)]
    if creates and connections[using].vendor == "postgresql":
        creates.insert(0, CREATE_FUNCTION.format(function=FUNCTION, says=SAYS))
    return creates


def removing(using: str) -> list[str]:
    """What has to run so that none is there."""
    drops = [trigger.drop for trigger in triggers(connections[using])]
    return [*drops, f"DROP FUNCTION IF EXISTS {FUNCTION}()"] if connections[using].vendor == "postgresql" else drops


def run(using: str, sql: list[str]) -> None:
    """Run these statements."""
    with connections[using].cursor() as cursor:
        for statement in sql:
            cursor.execute(statement)


def _kept_from(vendor: str) -> Iterator[tuple[type[PaymentEvent] | type[SubscriptionEvent] | type[UsageEntry], str]]:
    for model in (*KEPT, UsageEntry):
        yield model, "UPDATE"
    if vendor == "postgresql":
        for model in KEPT:
            yield model, "DELETE"
