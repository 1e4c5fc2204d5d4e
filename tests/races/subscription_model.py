"""A subscription in plain Python: a line of days that were paid, given or tried, and which plan each day has.

Another calendar (dateutil) and another shape than the product's row: each purchase and each gift stays a span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from dateutil.tz import resolve_imaginary

PLANS = ["FREE", "SOLO", "BASIC", "PRO"]
"""Lower ones first."""
GRACE = {"FREE": 0, "SOLO": 0, "BASIC": 5, "PRO": 3}
PRICES = {("SOLO", 1): 40_000, ("BASIC", 1): 100_000, ("PRO", 1): 390_000, ("PRO", 12): 3_900_000}
"""In paisa, for so many months."""
TRIAL_DAYS = 14


class Refused(Exception):
    """What is asked for is not possible now."""


@dataclass
class Span:
    kind: str
    """paid, given or tried."""
    plan: str
    starts: datetime
    ends: datetime | None
    value: int = 0
    months: int = 0
    closed: datetime | None = None
    credited: int = 0

    def holds(self, moment: datetime) -> bool:
        return self.starts <= moment and (self.ends is None or moment < self.ends)


@dataclass
class Account:
    zone: ZoneInfo
    anchor: datetime
    line: list[Span]
    """What is had and what comes, in order; of what is over, the last."""
    sold: list[Span] = field(default_factory=list)
    noted: set[tuple[str, datetime]] = field(default_factory=set)
    """What happened by itself."""
    credit: int = 0
    scheduled: str | None = None
    canceled: bool = False
    tried: bool = False

    # --- days --------------------------------------------------------------------------------------------------------

    def later(self, moment: datetime, *, months: int = 0, days: int = 0) -> datetime:
        local = moment.astimezone(self.zone)
        wall = local.replace(tzinfo=None, fold=0) + relativedelta(months=months, days=days)
        return resolve_imaginary(wall.replace(tzinfo=self.zone, fold=local.fold)).astimezone(UTC)

    def renewed(self, end: datetime, months: int) -> datetime:
        """So many months after an end: by the anchor, where it is counted from there."""
        here, there = self.anchor.astimezone(self.zone), end.astimezone(self.zone)
        about = (there.year - here.year) * 12 + there.month - here.month
        for number in (about - 1, about, about + 1):
            if self.later(self.anchor, months=number) == end:
                return self.later(self.anchor, months=number + months)
        return self.later(end, months=months)

    def days(self, first: datetime, last: datetime) -> int:
        return (last.astimezone(self.zone).date() - first.astimezone(self.zone).date()).days

    # --- where it stands ---------------------------------------------------------------------------------------------

    @property
    def own(self) -> list[Span]:
        """Of the plan in force; after it comes what was prepaid for another."""
        return list(takewhile(lambda span: span.plan == self.line[0].plan, self.line))

    @property
    def next(self) -> list[Span]:
        return self.line[len(self.own) :]

    @property
    def own_end(self) -> datetime | None:
        return self.own[-1].ends

    @property
    def end(self) -> datetime | None:
        return self.line[-1].ends

    @property
    def grace_end(self) -> datetime | None:
        """When the fallback plan holds if nobody pays any more."""
        if self.end is None or self.canceled or self.line[-1].kind == "tried":
            return self.end
        return self.later(self.end, days=GRACE[self.scheduled or self.line[-1].plan])

    def plan_at(self, moment: datetime) -> str:
        return self.plans_at([moment])[0]

    def plans_at(self, moments: list[datetime]) -> list[str]:
        late, after = self.grace_end, self.scheduled or self.line[-1].plan
        return [
            next((span.plan for span in self.line if span.holds(moment)), after if late and moment < late else "FREE")
            for moment in moments
        ]

    def state(self, now: datetime) -> str:
        if self.end is None or now < self.end:
            return "canceled" if self.canceled else "trialing" if self.on_trial(now) else "active"
        assert self.grace_end is not None
        return "grace" if now < self.grace_end else "expired"

    def on_trial(self, now: datetime) -> bool:
        return self.own[-1].kind == "tried" and self.own[-1].holds(now)

    def settle(self, now: datetime) -> None:
        """Let what is over be over, and note it."""
        while self.next and self.own_end is not None and self.own_end <= now:
            self.noted.add(("changed", self.own_end))
            if self.own[-1].kind == "tried":
                self.noted.add(("trial_ended", self.own_end))
            self.line = self.next
        self.line = [span for span in self.line[:-1] if span.ends is None or span.ends > now] + self.line[-1:]
        if self.end is None or self.grace_end is None or self.end > now:
            return
        if self.line[-1].kind == "tried":
            self.noted.add(("trial_ended", self.end))
            return
        if self.grace_end > self.end:
            self.noted.add(("grace_started", self.end))
        if self.grace_end <= now:
            self.noted.add(("expired", self.grace_end))
        if self.scheduled is not None:
            self.noted.add(("changed", self.end))
            self.line, self.scheduled = [Span("given", self.scheduled, self.end, self.end)], None

    # --- money -------------------------------------------------------------------------------------------------------

    def worth(self, span: Span, now: datetime) -> int:
        if span.kind != "paid" or span.ends is None or span.ends <= now:
            return 0
        return span.value * self.days(max(now, span.starts), span.ends) // self.days(span.starts, span.ends)

    def give_back(self, spans: list[Span], now: datetime) -> None:
        for span in spans:
            if span.kind == "paid" and span.ends is not None and span.ends > now:
                span.closed, span.credited = now, self.worth(span, now)
                self.credit += span.credited

    def offer(self, plan: str, months: int, now: datetime) -> tuple[str, list[Span], int]:
        """What buying means, what it takes the place of, and what is left to pay."""
        self.settle(now)
        held, lower = self.line[0].plan, PLANS.index(plan) < PLANS.index(self.line[0].plan)
        replaced = self.line
        if (self.own_end is None and held == "FREE") or (self.end is not None and self.end <= now):
            means = "starts"
        elif self.own_end is None and (lower or plan == held):
            raise Refused
        elif plan == held and self.on_trial(now):
            means, replaced = "converts", self.next
        elif plan == held:
            means, replaced = "renews", []
        elif lower:
            means, replaced = "prepays", [] if self.next and self.next[0].plan == plan else self.next
        else:
            means = "upgrades"
        back = sum(self.worth(span, now) for span in replaced)
        return means, replaced, max(PRICES[plan, months] - self.credit - back, 0)

    def buy(self, plan: str, months: int, now: datetime, *, with_credit: bool = False) -> int:
        """What is paid."""
        means, replaced, due = self.offer(plan, months, now)
        if with_credit and due:
            raise Refused
        self.give_back(replaced, now)
        own, following, own_end = self.own, self.next, self.own_end
        starts, ends = now, self.later(now, months=months)
        if means == "renews" and own_end is not None:
            starts, ends = own_end, self.renewed(own_end, months)
            self.lay(following, ends)
        elif means == "converts" and own_end is not None:
            starts, ends = own_end, self.later(own_end, months=months)
            self.anchor, following = own_end, []
        elif means == "prepays" and own_end is not None:
            if not following and self.on_trial(now):
                self.anchor = own_end
            own, following = [*own, *(following if not replaced else [])], []
            starts = own[-1].ends or now
            ends = self.renewed(starts, months)
        else:
            own, following, self.anchor = [], [], now
        paid = Span("paid", plan, starts, ends, PRICES[plan, months], months)
        self.sold.append(paid)
        self.line = [*own, paid, *following]
        self.credit -= PRICES[plan, months] - due
        self.scheduled, self.canceled = None, False
        return due

    def lay(self, spans: list[Span], begins: datetime) -> None:
        for span in spans:
            span.starts, span.ends = begins, self.renewed(begins, span.months)
            begins = span.ends

    # --- acts --------------------------------------------------------------------------------------------------------

    def need(self, *facts: bool) -> None:
        if not all(facts):
            raise Refused

    def cancel(self, now: datetime) -> None:
        self.settle(now)
        self.need(self.end is not None, self.state(now) in ("active", "trialing"))
        self.scheduled, self.canceled = None, True

    def resume(self, now: datetime) -> None:
        self.settle(now)
        self.need(self.state(now) == "canceled")
        self.canceled = False

    def schedule(self, plan: str, now: datetime) -> None:
        self.settle(now)
        lower = PLANS.index(plan) < PLANS.index(self.line[0].plan)
        self.need(self.end is not None, self.state(now) in ("active", "canceled"), not self.next, lower)
        self.need(not self.on_trial(now))
        self.scheduled, self.canceled = plan, False

    def undo(self, now: datetime) -> None:
        self.settle(now)
        self.need(self.scheduled is not None or bool(self.next))
        self.give_back(self.next, now)
        self.line, self.scheduled = self.own, None

    def give(self, plan: str, until: datetime | None, now: datetime) -> None:
        self.settle(now)
        same, own, own_end = self.plan_at(now) == plan, self.own, self.own_end
        shorter = until is not None and any(
            until < span.ends for span in own if span.ends is not None and (own_end is not None or span.kind == "paid")
        )
        self.give_back(self.next if same and not shorter else self.line, now)
        if not same:
            self.anchor = now
        if not same or shorter or (own_end is not None and own_end <= now):
            own, own_end = [], now
        elif own_end is None:
            own, own_end = [span for span in own if span.kind == "paid"], now
        for span in own:
            span.kind = span.kind.replace("tried", "given")
        self.line = [*own, Span("given", plan, own_end, until)]
        self.scheduled, self.canceled = None, False

    def extend(self, days: int, now: datetime) -> None:
        self.settle(now)
        self.need(self.state(now) in ("active", "canceled", "grace"), not self.on_trial(now))
        own, following, own_end = self.own, self.next, self.own_end
        if own_end is None or (ends := self.later(own_end, days=days)) <= now:
            raise Refused
        self.anchor = ends
        self.lay(following, ends)
        self.line = [*own, Span("given", own[-1].plan, own_end, ends), *following]

    def start_trial(self, now: datetime) -> None:
        self.settle(now)
        self.need(self.plan_at(now) == "FREE", not self.tried)
        ends = self.later(now, days=TRIAL_DAYS)
        self.line, self.anchor, self.tried, self.canceled = [Span("tried", "PRO", now, ends)], now, True, False

    def extend_trial(self, days: int, now: datetime) -> None:
        self.settle(now)
        self.need(self.on_trial(now), not self.next, self.scheduled is None)
        assert self.own_end is not None
        self.own[-1].ends = self.later(self.own_end, days=days)
