"""What was promised before the first line of the product was written, and whether it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One figure, and how it is to be read."""

    value: float
    text: str


@dataclass(frozen=True)
class Goal:
    """One line of the table."""

    key: str
    text: str
    at_least: float | None = None
    at_most: float | None = None
    exact: bool = False
    """True for a count: it does not depend on the machine, so that missing it fails the run."""

    def met_by(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


# One client, fsync on; "literal" is the bare conditional UPDATE of one row with the limit in its text.
GOALS = (
    Goal("hand", "consume >= .90 of the same statement by hand", at_least=0.90),
    Goal("literal", "consume >= .60 of the bare literal UPDATE", at_least=0.60),
    Goal("literal prepared", "the same >= .80 with prepared options", at_least=0.80),
    Goal("lock", "consume >= 2.5 x select_for_update + save", at_least=2.5),
    Goal("lock prepared", "the same >= 3.5 x with prepared options", at_least=3.5),
    Goal("lock sqlite", "the same >= 12 x on SQLite", at_least=12),
    Goal("grant", "statements of a grant: 1", at_most=1, exact=True),
    Goal("denial", "statements of a denial: 2 at most", at_most=2, exact=True),
    Goal("first use", "statements at first use of a period: 4 at most", at_most=4, exact=True),
    Goal("vinta", "consume >= 4 x vinta-django-billing, locked", at_least=4),
    Goal("vinta 10,000", "the same >= 10 x for a tenant with 10,000 rows", at_least=10),
    Goal("plans", "consume >= 3 x django-plans' validator", at_least=3),
    Goal("growth", "1 million rows >= .90 of 10 thousand", at_least=0.90),
    Goal("hot", "HOT updates of the counters >= 99 %", at_least=99),
    Goal("over-grants", "units granted above a limit in any race: 0", at_most=0, exact=True),
    Goal("leases", "leases of 100 >= 60 x"),
)


def broken(measured: Mapping[str, Measured]) -> list[Goal]:
    """The exact goals that were measured and missed."""
    return [goal for goal in GOALS if goal.exact and goal.key in measured and not goal.met_by(measured[goal.key].value)]


def table(measured: Mapping[str, Measured]) -> list[str]:
    """Goal, figure, and whether it is met, a line each."""
    rows = [("goal", "measured", "met?")]
    for goal in GOALS:
        found = measured.get(goal.key)
        if goal.at_least is None and goal.at_most is None:
            rows.append((goal.text, "later", "-"))
        elif found is None:
            rows.append((goal.text, "not measured", "-"))
        else:
            rows.append((goal.text, found.text, "yes" if goal.met_by(found.value) else "NO"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [" | ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
