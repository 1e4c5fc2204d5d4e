"""No step of a payment waits for a lock for long: whoever holds it, the payer gets an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_SECONDS = 3
STATEMENT_SECONDS = 10

LOST: dict[str, set[Any]] = {
    "postgresql": {"55P03", "57014", "40001", "40P01"},
    "mysql": {1205, 1969, 1020, 1213},
    "sqlite": {5, 6},
}
"""The codes of a database that gave up: a lock or a statement took too long, or another transaction was in the way."""


@contextmanager
def bounded(using: str) -> Iterator[None]:
    """Let no statement of the transaction that has begun wait for a lock longer than LOCK_SECONDS.

    SQLite waits at its BEGIN, as long as the site's own ``timeout`` says.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
                [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"],
            )
    if connection.vendor == "mysql":
        with connection.execute_wrapper(_for_this_statement):
            yield
    else:
        yield


def gave_up(error: DatabaseError, connection: BaseDatabaseWrapper) -> bool:
    """Did the database give up waiting, so that nothing was done and trying again may help?"""
    cause = error.__cause__
    code: Any = {
        "postgresql": getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None),
        "mysql": error.args[0] if error.args else None,
        "sqlite": getattr(cause, "sqlite_errorcode", 0) & 0xFF,
    }.get(connection.vendor)
    return code in LOST[connection.vendor]


def _for_this_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
    # MariaDB has no SET LOCAL: what is set for a session would stay with the site's connection.
    if not many and sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
        limits = f"innodb_lock_wait_timeout={LOCK_SECONDS}, max_statement_time={STATEMENT_SECONDS}"
        sql = f"SET STATEMENT {limits} FOR {sql}"
    return execute(sql, params, many, context)
