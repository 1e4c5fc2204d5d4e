"""One world of the quota machine, twice: as the database has it and as the oracle does; and how to ask both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connection

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import KeyReused, QuotaContended, QuotaExceeded, ReleaseTooLarge
from tests.races.model import Account, No, Took
from tests.testapp.models import Organization

T = TypeVar("T")


@dataclass
class GrantHandle:
    real: quotas.Grant
    who: int
    took: Took
    key: str | None = None
    spent: bool = False
    """What a Grant remembers by itself: no rollback takes that back."""


@dataclass
class ReservationHandle:
    real: quotas.Reservation
    who: int
    number: int
    """Among the oracle's holds."""


@dataclass
class World:
    """The organizations as the database has them, and as the oracle does."""

    organizations: list[Organization]
    accounts: list[Account]
    grants: list[GrantHandle] = field(default_factory=list)
    reservations: list[ReservationHandle] = field(default_factory=list)
    requests: list[Callable[[World], None]] = field(default_factory=list)
    """Those with a key, which somebody may make again."""
    touched: int = 0
    """The organization that was acted on last."""
    bounded: set[str] = field(default_factory=set)
    """The features of which it was just given some because there was room: they must not be over."""

    undone_at_the_end: ExitStack = field(default_factory=ExitStack)
    """What an example does to the site and its clock."""

    def of(self, who: int) -> tuple[Organization, Account]:
        self.touched, self.bounded = who, set()
        return self.organizations[who], self.accounts[who]

    def bound(self, took: Took, when_short: str) -> None:
        rows = {feature: self.accounts[self.touched].row(feature, took.at) for feature in took.amounts}
        within = {feature for feature, row in rows.items() if row is not None and row.grace is None}
        self.bounded = set() if when_short == "allow" else within

    def savepoint(self) -> Callable[[], None]:
        """What to call to have the oracle forget everything from here on."""
        accounts = [account.copy() for account in self.accounts]
        grants, reservations = len(self.grants), len(self.reservations)

        def restore() -> None:
            self.accounts[:] = accounts
            del self.grants[grants:], self.reservations[reservations:]
            self.bounded = set()

        return restore


def both(
    real: Callable[[], Any],
    expected: Callable[[], Any],
    told: Callable[[Any], Any] = lambda answer: answer,
    *,
    converts: bool = False,
) -> tuple[Any, Any] | None:
    """Ask the engine and the oracle, which must answer the same; None where both say no.

    The counters of one call must be locked in the order of their features, whatever the order they were named in.
    """
    with recorded_locks(converts=converts) as locked:
        answer, no = answer_of(real)
    wanted, expected_no = answer_of(expected)
    assert no == expected_no
    assert list(locked) == sorted(locked)
    if answer is None or wanted is None:
        assert answer is wanted
        return None
    assert told(answer) == (shown(wanted) if isinstance(wanted, Took) else wanted)
    return answer, wanted


def answer_of(verb: Callable[[], Any]) -> tuple[Any, str]:
    """An answer, or which no it was."""
    try:
        return verb(), ""
    except QuotaExceeded as error:
        return None, f"refused {error.decision.feature}"
    except KeyReused:
        return None, "key reused"
    except ReleaseTooLarge:
        return None, "too much to release"
    except QuotaContended:
        return None, "contended"  # the oracle never says so: there is no rival here
    except No as no:
        return None, str(no)


def shown(grant: quotas.Grant | Took) -> tuple[Any, ...]:
    """Everything that is told of what was got."""
    return dict(grant.amounts), grant.at, grant.uncounted, grant.replayed, grant.late


@contextmanager
def recorded_locks(*, converts: bool) -> Iterator[dict[str, None]]:
    """The features whose counters the engine's statements update, in the order in which each came first.

    The first time counts, since a call that begins again has let go of its locks. A sweep, which converts the holds
    of other features too, is a transaction of its own: conversions count only where nothing else makes them.
    """
    features: dict[str, None] = {}

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE tenant_billing_usagecounter") and ("held" in params) <= converts:
            features.setdefault(params["feature"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        yield features


def chosen(handles: list[T], which: int) -> list[T]:
    """The newest of them, or one so many before it, if there are any."""
    return [handles[-1 - which % len(handles)]] if handles else []
