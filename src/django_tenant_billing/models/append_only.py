"""Rows that are written once: the log of payments and the history of subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models

from ..exceptions import AppendOnly

Row = TypeVar("Row", bound=models.Model)


def reasoned(actor: str, reason: str, question: str) -> None:
    """What a person does is written down with who and why, or not done. Raises ValueError, which asks ``question``."""
    if not reason.strip() or not actor.strip():
        raise ValueError(f"This needs a reason and an actor: {question}")


class AppendOnlyQuerySet(models.QuerySet[Row]):
    """Reads and inserts; a row is never changed."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise AppendOnly

    def bulk_create(self, objs: Iterable[Row], batch_size: int | None = None, *args: Any, **kwargs: Any) -> list[Row]:
        # What an upsert is asked for by may come by position too.
        if kwargs.get("update_conflicts") or any(args[1:]):
            raise AppendOnly
        return super().bulk_create(objs, batch_size, *args, **kwargs)


class AppendOnlyModel(models.Model):
    """A row that is saved once and never deleted."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnly
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly
