"""The oracle of the quota machine: what the engine must answer, in plain Python with no database.

It knows no rows, locks or statements: holds are a list, a period's ``held`` is what of it is alive, and a call over
several features first finds all its answers and writes then. Only the calendar is the package's own, which
``test_periods`` judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django_tenant_billing.periods import FOREVER, Interval, Reset, add, extended, period_around

ZONE = ZoneInfo("Asia/Kathmandu")
SEATS = 2
"""How many seats the site counts of every organization."""

KINDS = {"invoices": Reset.ANCHOR, "seats": None, "calls": Reset.DAY, "reports": None}
"""The features in the catalogue's order, which is not the order of the slugs, and when they start again."""


class No(Exception):
    """The answer is no; its text says which one."""


@dataclass
class Limit:
    limit_value: int | None
    trial_differs: bool = False
    trial_limit_value: int | None = None
    grace_days: int = 0


def catalogue_limits() -> dict[tuple[str, str], Limit]:
    """BASIC names no seats and FREE no reports: where no row is, there is nothing to use."""
    return {
        ("FREE", "invoices"): Limit(4),
        ("FREE", "seats"): Limit(4),
        ("FREE", "calls"): Limit(3),
        ("BASIC", "invoices"): Limit(6, trial_differs=True, trial_limit_value=2, grace_days=3),
        ("BASIC", "calls"): Limit(5, grace_days=1),
        ("BASIC", "reports"): Limit(1),
        ("PRO", "invoices"): Limit(None),
        ("PRO", "seats"): Limit(6, trial_differs=True),
        ("PRO", "calls"): Limit(9),
        ("PRO", "reports"): Limit(2),
    }


@dataclass
class Row:
    start: datetime
    end: datetime
    used: int = 0
    grace: datetime | None = None


@dataclass
class Held:
    amounts: dict[str, int]
    at: datetime
    state: str = "held"


@dataclass
class Key:
    body: Any
    answer: Any
    released: bool = False


@dataclass
class Override:
    feature: str
    limit: int | None
    starts_at: datetime
    ends_at: datetime | None


@dataclass
class Took:
    """What a call got, when, and which features it did not count."""

    amounts: dict[str, int]
    at: datetime
    uncounted: frozenset[str] = frozenset()
    replayed: bool = False
    late: bool = False


@dataclass(kw_only=True)
class Verdict:
    plan: str
    limit: int | None
    source: str
    used: int
    held: int
    amount: int
    grace_days: int
    grace_ends_at: datetime | None
    now: datetime

    @property
    def grace_end(self) -> datetime:
        return self.grace_ends_at or self.now + timedelta(days=self.grace_days)

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(self.limit - self.used - self.held, 0)

    @property
    def over(self) -> int:
        return 0 if self.limit is None else max(self.used + self.held - self.limit, 0)

    @property
    def fits(self) -> bool:
        return self.limit is None or self.used + self.held + self.amount <= self.limit

    @property
    def allowed(self) -> bool:
        return self.fits or bool(self.limit and self.grace_days and self.now < self.grace_end)

    def share(self, when_short: str) -> tuple[int, datetime | None]:
        """How much is taken, and when the grace time that it needs ends. Raises No."""
        if self.allowed:
            return self.amount, None if self.fits else self.grace_end
        if when_short == "allow":
            return self.amount, self.grace_ends_at
        if when_short == "cap" and self.remaining:
            return self.remaining, None
        raise No("refused")


@dataclass
class Account:
    """Everything that is known of one organization. ``limits`` are those of all."""

    limits: dict[tuple[str, str], Limit]
    anchor: datetime
    plan: str = "FREE"
    paid_until: datetime | None = None
    trial_ends_at: datetime | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    holds: list[Held] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    overrides: list[Override] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = {"invoices": [], "calls": [], "seats": [Row(*FOREVER, used=SEATS)]}

    def copy(self) -> Account:
        """As it is now; what is written once, such as an answer, is shared."""
        copied = replace(self, overrides=list(self.overrides), holds=[replace(hold) for hold in self.holds])
        copied.rows = {feature: [replace(row) for row in rows] for feature, rows in self.rows.items()}
        copied.keys = {name: replace(key) for name, key in self.keys.items()}
        return copied

    # --- what holds ---------------------------------------------------------------------------------------------------

    def row(self, feature: str, at: datetime) -> Row | None:
        """The period that ``at`` lies in; never two."""
        rows = [row for row in self.rows.get(feature, []) if row.start <= at < row.end]
        assert len(rows) <= 1
        return rows[0] if rows else None

    def held(self, feature: str, row: Row | None) -> int:
        alive = [hold for hold in self.holds if hold.state == "held" and row and row.start <= hold.at < row.end]
        return sum(hold.amounts.get(feature, 0) for hold in alive)

    def limit(self, feature: str, now: datetime) -> tuple[str, int | None, str, int]:
        """The plan in force, the limit, where it comes from, and its days of grace."""
        plan = self.plan if self.paid_until is None or self.paid_until > now else "FREE"
        found = self.limits.get((plan, feature))
        for override in reversed(self.overrides):
            ended = override.ends_at is not None and override.ends_at <= now
            if override.feature == feature and override.starts_at <= now and not ended:
                return plan, override.limit, "override", 0
        if found is None:
            return plan, 0, "none", 0
        if found.trial_differs and self.trial_ends_at is not None and self.trial_ends_at > now:
            return plan, found.trial_limit_value, "trial", found.grace_days
        return plan, found.limit_value, "plan", found.grace_days

    def decide(self, feature: str, amount: int, now: datetime, row: Row | None = None) -> Verdict:
        """The limit in force now against the numbers of ``row``, or of the period that lies now."""
        row = row or self.row(feature, now)
        plan, limit, source, grace_days = self.limit(feature, now)
        return Verdict(
            plan=plan, limit=limit, source=source, used=row.used if row else 0, held=self.held(feature, row),
            amount=amount, grace_days=grace_days, grace_ends_at=row.grace if row else None, now=now,
        )  # fmt: skip

    def open(self, feature: str, now: datetime) -> Row:
        """The period that lies now, made where it is missing, between those that are there."""
        row = self.row(feature, now)
        if row is None:
            start, end = period_around(KINDS[feature] or Reset.ANCHOR, self.anchor, now, ZONE)
            rows = self.rows[feature]
            # Only what a purchase closed: the clock goes forward, so that nothing lies in the future.
            start = max((other.end for other in rows if start < other.end <= now), default=start)
            row = Row(start, end)
            rows.append(row)
        return row

    # --- verbs --------------------------------------------------------------------------------------------------------

    def once(self, key: str | None, body: Any, act: Callable[[], Any]) -> tuple[Any, bool]:
        """What ``act`` answers, and was it answered before? A key has one answer, and a no is one. Raises No."""
        if key is None:
            return act(), False
        found = self.keys.get(key)
        if found is None:
            try:
                answer = act()
            except No as no:
                answer = no
            self.keys[key] = Key(body, answer)
        elif found.body != body:
            raise No("key reused")
        else:
            answer = found.answer
        if isinstance(answer, No):
            raise answer
        return answer, found is not None

    def enter(self, amounts: Mapping[str, int], now: datetime) -> None:
        for feature in sorted(amounts):
            if not self.decide(feature, amounts[feature], now).allowed:
                raise No(f"refused {feature}")

    def take(self, amounts: Mapping[str, int], when_short: str, now: datetime, *, hold: bool = False) -> Took:
        """Count or hold all of it, or raise No. A period that was opened on the way stays open."""
        got: dict[str, int] = {}
        rows: dict[str, tuple[Row, datetime | None]] = {}
        for feature in sorted(amounts):
            verdict = self.decide(feature, amounts[feature], now)
            try:
                got[feature], grace = verdict.share(when_short)
            except No:
                raise No(f"refused {feature}") from None
            if feature == "reports":
                got[feature] = amounts[feature]
                continue
            rows[feature] = self.open(feature, now), grace
        for feature, (row, grace) in rows.items():
            row.grace = grace
            row.used += 0 if hold else got[feature]
        return Took(got, now, frozenset(got) - frozenset(rows))

    def give_back(self, amounts: Mapping[str, int], at: datetime) -> bool:
        """Where that much is counted in the period of ``at``; something given back?"""
        back = [(self.row(feature, at), n) for feature, n in amounts.items()]
        given = [(row, n) for row, n in back if row is not None and row.used >= n > 0]
        for row, n in given:
            row.used -= n
        return bool(given)

    def release(self, amounts: Mapping[str, int], now: datetime) -> None:
        counted = {feature: n for feature, n in amounts.items() if feature != "reports"}
        for feature, n in counted.items():
            row = self.row(feature, now)
            if row is None or row.used < n:
                raise No("too much to release")
        self.give_back(counted, now)

    def reserve(self, amounts: Mapping[str, int], when_short: str, now: datetime) -> int:
        took = self.take(amounts, when_short, now, hold=True)
        self.holds.append(Held({f: 0 if f in took.uncounted else n for f, n in took.amounts.items()}, now))
        return len(self.holds) - 1

    def commit(self, number: int, actual: Mapping[str, int], now: datetime) -> Took | None:
        hold = self.holds[number]
        if hold.state in ("committed", "released"):
            return None
        late = hold.state == "expired"
        counted = {feature: actual.get(feature, n) for feature, n in hold.amounts.items() if n}
        grace = {}
        for feature in sorted(counted):
            row = self.row(feature, hold.at)
            assert row is not None
            grace[feature] = row.grace
            if counted[feature] > hold.amounts[feature] and not late:
                more = counted[feature] - hold.amounts[feature]
                try:
                    _more, grace[feature] = self.decide(feature, more, now, row).share("reject")
                except No:
                    raise No(f"refused {feature}") from None
        for feature, n in counted.items():
            row = self.row(feature, hold.at)
            assert row is not None
            row.used, row.grace = row.used + n, grace[feature]
        hold.state = "committed"
        return Took(counted, hold.at, late=late)

    def let_go(self, number: int) -> bool:
        hold = self.holds[number]
        was_held, hold.state = hold.state == "held", "released" if hold.state == "held" else hold.state
        return was_held

    def expire(self, number: int) -> None:
        hold = self.holds[number]
        hold.state = "expired" if hold.state == "held" else hold.state

    def set_usage(self, feature: str, used: int, now: datetime) -> tuple[int, int]:
        row = self.open(feature, now)
        before, row.used = row.used, used
        return before, used

    def purchase(self, plan: str, interval: Interval, now: datetime) -> None:
        if plan == self.plan and self.paid_until is not None and self.paid_until > now:
            self.paid_until = extended(self.anchor, self.paid_until, interval, 1, ZONE)
        else:
            for feature in ("invoices", "calls"):
                for row in self.rows[feature]:
                    row.end = min(row.end, now)
            self.plan, self.anchor, self.paid_until = plan, now, add(now, interval, 1, ZONE)
        self.trial_ends_at = None
