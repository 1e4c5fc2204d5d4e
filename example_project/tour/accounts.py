"""The books of one subscription: what was paid, the days that were had for it, what is left, and whether it balances.

Days are local dates, from the first until the last, which is not counted: whatever comes next begins on it. What they
are worth is worked out here once more, by other code than the product's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django_tenant_billing.money import format_money


def money(amount_minor: int) -> str:
    return format_money(amount_minor, "NPR")


@dataclass(frozen=True, kw_only=True)
class Given:
    """Days that nobody paid for: a trial, grace, a gift, an extension."""

    kind: str
    plan: str
    first: date
    last: date

    @property
    def end(self) -> date:
        return self.last


@dataclass(frozen=True, kw_only=True)
class Bought:
    """Days that were bought, and what came back of them as credit when something else took their place."""

    plan: str
    first: date
    last: date
    value: int
    closed: date | None = None
    credited: int = 0

    @property
    def days(self) -> int:
        return (self.last - self.first).days

    @property
    def end(self) -> date:
        """The first day that was not had any more."""
        return min(self.last, self.closed or self.last)

    def left(self, today: date) -> int:
        """Days that were still to come when it was closed; of what is open, those still to come today."""
        return max((self.last - max(self.first, self.closed or today)).days, 0)

    def worth(self, today: date) -> int:
        """Of ``left``, rounded down to the paisa; the rest was had."""
        return self.value * self.left(today) // self.days

    def __str__(self) -> str:
        return f"{self.plan} from {self.first} until {self.last}"


@dataclass(frozen=True, kw_only=True)
class Books:
    """Everything as it stands in the morning of ``today``, in paisa."""

    start: date
    today: date
    paid: tuple[int, ...]
    """Each payment, as history tells it."""
    taken: tuple[int, ...]
    """Each payment, as the wallet's own ledger tells it."""
    credit: int
    bought: tuple[Bought, ...]
    given: tuple[Given, ...]
    gate: Mapping[date, str]
    """The plan that the quota gate gave on each day: asked every night."""
    fallback: str = "FREE"

    @property
    def had(self) -> int:
        return sum(span.value - span.worth(self.today) for span in self.bought)

    @property
    def to_come(self) -> int:
        return sum(span.worth(self.today) for span in self.bought if span.closed is None)

    @property
    def spans(self) -> list[tuple[str, Bought | Given]]:
        """Days bought and days given, and what they are called."""
        return [*(("paid for", span) for span in self.bought), *((span.kind, span) for span in self.given)]

    def days(self) -> dict[str, Counter[str]]:
        """Days had until today: what they were, by plan."""
        table: dict[str, Counter[str]] = {}
        for kind, span in self.spans:
            days = (min(span.end, self.today) - span.first).days
            table.setdefault(kind, Counter())[span.plan] += max(days, 0)
        return table

    def problems(self) -> Iterator[str]:
        """What an accountant would not sign; nothing where the books balance."""
        if self.paid != self.taken:
            yield f"History has payments of {_list(self.paid)}, the wallet's ledger of {_list(self.taken)}."
        for span in self.bought:
            if span.closed is None and span.credited:
                yield f"{span} goes on, but {money(span.credited)} of it became credit."
            elif span.closed is not None and span.credited != span.worth(self.today):
                yield (
                    f"{span}: {span.left(self.today)} of {span.days} days unused at {money(span.value)} are "
                    f"{money(span.worth(self.today))}, but {money(span.credited)} became credit."
                )
        if sum(self.paid) != self.had + self.to_come + self.credit:
            yield (
                f"{money(sum(self.paid))} was paid, but days had ({money(self.had)}), days still to come "
                f"({money(self.to_come)}) and credit ({money(self.credit)}) are "
                f"{money(self.had + self.to_come + self.credit)}."
            )
        for number in range((self.today - self.start).days):
            day = self.start + timedelta(days=number)
            plans = [span.plan for _kind, span in self.spans if span.first <= day < span.end] or [self.fallback]
            if plans != [self.gate.get(day)]:
                yield f"{day} was paid for or given as {' and '.join(plans)}, but the gate gave {self.gate.get(day)}."


def _list(amounts: tuple[int, ...]) -> str:
    return ", ".join(money(amount) for amount in amounts) or "nothing"
