"""Inserting the rows that are missing, the same way on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models, router


def insert_missing(model: type[models.Model], rows: Sequence[Any], unique_fields: Sequence[str]) -> None:
    """Insert the rows whose unique fields are not there yet; leave the others as they are.

    An upsert that changes nothing, because "ignore conflicts" and get_or_create deadlock inside transactions on
    MariaDB, and because it waits for a rival's uncommitted row instead of failing on it.
    """
    upsert(model, rows, unique_fields, [unique_fields[0]])


def upsert(
    model: type[models.Model], rows: Sequence[Any], unique_fields: Sequence[str], update_fields: Sequence[str]
) -> None:
    """Insert the rows whose unique fields are not there yet; write these fields of the others."""
    using = router.db_for_write(model)
    targeted = connections[using].features.supports_update_conflicts_with_target
    model._default_manager.using(using).bulk_create(
        rows,
        update_conflicts=True,
        update_fields=update_fields,
        unique_fields=unique_fields if targeted else None,
    )
