"""The same verbs from async code. Transactions do not work there, so each runs in a thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db.models import Model

from ..decisions import Decision
from .counting import check, check_all, consume, consuming, release, set_usage, track
from .orders import Asked, Grant
from .reserving import EXPIRES_IN, Reservation, reserve

T = TypeVar("T")


async def acheck(organization: Model, feature: str, amount: int = 1) -> Decision:
    """As check, from async code."""
    return await sync_to_async(check)(organization, feature, amount)


async def acheck_all(organization: Model) -> list[Decision]:
    """As check_all, from async code."""
    return await sync_to_async(check_all)(organization)


async def aconsume(
    organization: Model, feature: Asked, amount: int = 1, *, when_short: str = "reject", key: str | None = None,
    actor: Any = "", subject: Any = "",
) -> Grant:  # fmt: skip
    """As consume, from async code."""
    return await sync_to_async(consume)(
        organization, feature, amount, when_short=when_short, key=key, actor=actor, subject=subject
    )


async def aconsuming(
    organization: Model, feature: Asked, amount: int, work: Callable[[], T], *, actor: Any = "", subject: Any = ""
) -> T:
    """Run the synchronous ``work`` as the block of ``consuming``: transactions do not work in async code."""

    def run() -> T:
        with consuming(organization, feature, amount, actor=actor, subject=subject):
            return work()

    return await sync_to_async(run)()


async def arelease(organization: Model, feature: Asked, amount: int = 1, *, actor: Any = "", subject: Any = "") -> None:
    """As release, from async code."""
    await sync_to_async(release)(organization, feature, amount, actor=actor, subject=subject)


async def atrack(
    organization: Model, feature: Asked, amount: int = 1, *, key: str | None = None, actor: Any = "", subject: Any = ""
) -> Grant:
    """As track, from async code."""
    return await sync_to_async(track)(organization, feature, amount, key=key, actor=actor, subject=subject)


async def aset_usage(
    organization: Model, feature: str, used: int, *, actor: Any = "", subject: Any = ""
) -> tuple[int, int]:
    """As set_usage, from async code."""
    return await sync_to_async(set_usage)(organization, feature, used, actor=actor, subject=subject)


async def areserve(
    organization: Model, feature: Asked, amount: int = 1, *, expires_in: timedelta = EXPIRES_IN,
    when_short: str = "reject", key: str | None = None, actor: Any = "", subject: Any = "",
) -> Reservation:  # fmt: skip
    """As reserve, from async code."""
    return await sync_to_async(reserve)(
        organization, feature, amount, expires_in=expires_in, when_short=when_short, key=key, actor=actor,
        subject=subject,
    )  # fmt: skip
