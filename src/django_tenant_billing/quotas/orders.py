"""What a caller asks for, checked and in the one order that cannot deadlock; and what he gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from asgiref.sync import sync_to_async
from django.db import InternalError, connections, router, transaction
from django.db.models import Model

from .. import clock
from ..catalogue import MAX_LIMIT, has_ledger
from ..models import IdempotencyKey, UsageCounter, UsageEntry

Asked = str | Mapping[str, int]
"""A feature's slug; or several with their amounts, which are counted all or not at all."""


class WhenShort(StrEnum):
    """What to do when there is less room than was asked for."""

    REJECT = "reject"
    CAP = "cap"
    """Take what is left; nothing left is a rejection."""
    ALLOW = "allow"
    """Count it all the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """One request to count or to hold."""

    verb: str
    amounts: dict[str, int]
    when_short: WhenShort = WhenShort.REJECT
    actor: str = ""
    subject: str = ""

    def body(self) -> dict[str, Any]:
        """What makes two requests the same one."""
        return {"verb": self.verb, "amounts": self.amounts, "when_short": self.when_short.value}


def order(verb: str, asked: Asked, amount: int, when_short: str, actor: Any, subject: Any) -> Order:
    """A checked order. Raises ValueError."""
    return Order(verb, amounts_of(asked, amount), WhenShort(when_short), text(actor, 150), text(subject, 200))


def amounts_of(asked: Asked, amount: int) -> dict[str, int]:
    """Amounts by feature, in the order in which whoever locks several counters takes them."""
    if isinstance(asked, str):
        return {asked: whole(amount)}
    if not asked or amount != 1:
        raise ValueError("Several features carry their amounts: at least one of them, and no amount beside them.")
    return {feature: whole(asked[feature]) for feature in in_order(asked)}


def in_order(features: Iterable[str]) -> list[str]:
    """The one order in which counters are locked: as MariaDB's usual collation keeps them in its index, since what it
    refuses there it looks past, at the next one. Any order will do elsewhere, if everybody has the same.
    """
    return sorted(features, key=str.upper)


def whole(amount: Any, least: int = 1) -> int:
    if type(amount) is not int or not least <= amount <= MAX_LIMIT:
        raise ValueError(f"An amount is a whole number from {least} to {MAX_LIMIT}, not {amount!r}.")
    return amount


def text(value: Any, length: int) -> str:
    """Who, or for which object: a model instance as ``app.model:key``, anything else as it prints."""
    if isinstance(value, Model):
        value = f"{value._meta.label_lower}:{value.pk}"
    return str(value)[:length]


def write_ledger(
    organization_id: Any, verb: str, changes: Mapping[str, int], at: datetime, actor: str, subject: str
) -> None:
    """A line for each of these features that has a ledger. Belongs in the transaction that counts."""
    now = clock.now()
    UsageEntry.objects.bulk_create(
        UsageEntry(
            organization_id=organization_id, feature_id=feature, change=change, verb=verb, actor=actor,
            subject=subject, at=at, created_at=now,
        )
        for feature, change in changes.items() if change and has_ledger(feature)
    )  # fmt: skip


@dataclass
class Grant:
    """Units that were counted. ``release()`` gives them back, once, to the period they were counted in."""

    organization: Model
    amounts: Mapping[str, int]
    """What was granted, by feature: under ``"cap"`` perhaps less than was asked for."""
    at: datetime
    uncounted: frozenset[str] = frozenset()
    """Features that are on or off: there is nothing to give back."""
    late: bool = False
    """Committed after its reservation had expired."""
    replayed: bool = False
    """The answer to an idempotency key that was used before: nothing was counted this time."""
    key: str | None = None
    actor: str = ""
    subject: str = ""
    _released: bool = field(default=False, repr=False)

    @property
    def feature(self) -> str:
        """The feature, of a grant of one."""
        (feature,) = self.amounts
        return feature

    @property
    def amount(self) -> int:
        """The units, of a grant of one feature."""
        return self.amounts[self.feature]

    @property
    def counted(self) -> bool:
        return len(self.uncounted) < len(self.amounts)

    def release(self) -> bool:
        """Give the units back. False when that was done before, or there was nothing to give back.

        A grant with an idempotency key is given back once however many replays hold it.
        """
        # Sorted again: the amounts of a replay come out of a JSON column, which keeps no order.
        units = {feature: self.amounts[feature] for feature in in_order(self.amounts)}
        back = {feature: n for feature, n in units.items() if n and feature not in self.uncounted}
        if self._released or not back:
            return False
        self._released = True
        if self.key is None and len(back) == 1 and not any(map(has_ledger, back)):
            ((feature, amount),) = back.items()
            return UsageCounter.objects.give_back(self.organization.pk, feature, amount, self.at)
        with transaction.atomic(using=router.db_for_write(UsageCounter)):
            if self.key is not None and not self._claim_release(self.key):
                return False
            taken = {
                feature: -n
                for feature, n in back.items()
                if UsageCounter.objects.give_back(self.organization.pk, feature, n, self.at)
            }
            write_ledger(self.organization.pk, "release", taken, self.at, self.actor, self.subject)
        return bool(taken)

    async def arelease(self) -> bool:
        """As release, from async code."""
        return await sync_to_async(self.release)()

    def release_after_failure(self) -> bool:
        """The same for work that failed: skipped in a transaction that is lost anyway, whose rollback gives back."""
        connection = connections[router.db_for_write(UsageCounter)]
        if connection.in_atomic_block and connection.needs_rollback:
            return False
        try:
            return self.release()
        except InternalError:
            # PostgreSQL: the work broke the transaction and swallowed the error. It can only roll back.
            return False

    def _claim_release(self, key: str) -> bool:
        rows = IdempotencyKey.objects.filter(organization_id=self.organization.pk, key=key, released_at=None)
        return rows.update(released_at=clock.now()) == 1
