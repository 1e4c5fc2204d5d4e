"""The subscription machine: all that people and time do, in any order, done to the product and to plain Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from django_tenant_billing import subscriptions
from django_tenant_billing.exceptions import NotForSale, NotPossible
from django_tenant_billing.models import Activation, PlanPrice, Subscription, SubscriptionEvent
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import terms_of
from django_tenant_billing.quotas import check
from tests.races.subscription_model import PLANS, PRICES, Account, Refused, Span
from tests.testapp.models import Organization

START = datetime(2026, 1, 30, 18, 30, tzinfo=UTC)
"""In Kathmandu a day that February lacks, a quarter past midnight; elsewhere the day before."""
ZONES = [ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York")]
HORIZON = 130
"""Days to come that are looked at after each step."""

sales = st.sampled_from([*PRICES])
plans = st.sampled_from(PLANS[1:])
days = st.integers(1, 40)


class SubscriptionMachine(RuleBasedStateMachine):
    now: ClassVar[datetime] = START

    def __init__(self) -> None:
        super().__init__()
        self.undone_at_the_end = ExitStack()
        self.paid = 0
        self.told: list[Any] = []

    @initialize(zone=st.sampled_from(ZONES))
    def begin(self, zone: ZoneInfo) -> None:
        self.undone_at_the_end.enter_context(transaction.atomic())
        self.undone_at_the_end.callback(transaction.set_rollback, True)
        SubscriptionMachine.now = START
        self.organization = Organization.objects.create(name=zone.key)
        self.account = Account(zone, START, [Span("given", "FREE", START, None)])

    def teardown(self) -> None:
        self.undone_at_the_end.close()

    # --- time --------------------------------------------------------------------------------------------------------

    @rule(hours=st.integers(1, 30))
    def let_hours_pass(self, hours: int) -> None:
        self.pass_until(self.now + timedelta(hours=hours))

    @rule(days=st.integers(1, 60))
    def let_days_pass(self, days: int) -> None:
        self.pass_until(self.now + timedelta(days=days))

    @rule(which=st.sampled_from(["own_end", "end", "grace_end"]), seconds=st.integers(-1, 1))
    def let_an_end_come(self, which: str, seconds: int) -> None:
        end = getattr(self.account, which)
        if end is not None and end + timedelta(seconds=seconds) > self.now:
            self.pass_until(end + timedelta(seconds=seconds))

    def pass_until(self, moment: datetime) -> None:
        """Nobody runs anything; each day is asked for as a request asks for it."""
        spans = list(Activation.objects.filter(closed_at=None))
        step = max(timedelta(days=1), (moment - self.now) / 60)
        while self.now < moment:
            SubscriptionMachine.now = min(self.now + step, moment)
            plan = check(self.organization, "customers").plan
            assert plan == self.account.plan_at(self.now)
            # A day that was paid is had, and none is sold twice.
            assert [span.plan for span in spans if span.starts_at <= self.now < span.ends_at] in ([], [plan])

    @rule()
    def run_billing(self) -> None:
        self.account.settle(self.now)
        list(subscriptions.run_due(self.now))
        row, events = Subscription.objects.values().get(), SubscriptionEvent.objects.count()
        assert list(subscriptions.run_due(self.now)) == []
        assert (Subscription.objects.values().get(), SubscriptionEvent.objects.count()) == (row, events)
        happened = SubscriptionEvent.objects.filter(actor="time").exclude(change="reminded").values_list("change", "at")
        assert sorted(happened) == sorted(self.account.noted)

    # --- money -------------------------------------------------------------------------------------------------------

    @rule(sale=sales)
    def pay(self, sale: tuple[str, int]) -> None:
        """For a first time, early, late, for more, for what comes next, on a trial: as it stands."""
        price = price_of(sale)

        def pay() -> int:
            due = subscriptions.preview(self.organization, sale[0], price)[0].due_minor
            row = Subscription.objects.lock(self.organization.pk, self.now)
            buy(row, terms_of(price), self.now, paid_minor=due, actor="payer")
            return due

        self.paid += self.both(pay, lambda: self.account.buy(*sale, self.now)) or 0

    @rule(days=st.integers(1, 40), sale=sales)
    def pay_some_days_later(self, days: int, sale: tuple[str, int]) -> None:
        self.pass_until(self.now + timedelta(days=days))
        self.pay(sale)

    @rule(sale=sales)
    def buy_with_credit(self, sale: tuple[str, int]) -> None:
        self.both(
            lambda: subscriptions.buy_with_credit(self.organization, sale[0], price_of(sale), actor="user") and 0,
            lambda: self.account.buy(*sale, self.now, with_credit=True),
        )

    # --- people ------------------------------------------------------------------------------------------------------

    @rule()
    def cancel(self) -> None:
        self.both(lambda: subscriptions.cancel(self.organization, actor="user"), lambda: self.account.cancel(self.now))

    @rule()
    def resume(self) -> None:
        self.both(lambda: subscriptions.resume(self.organization, actor="user"), lambda: self.account.resume(self.now))

    @rule(plan=plans)
    def schedule(self, plan: str) -> None:
        self.both(
            lambda: subscriptions.schedule_change(self.organization, plan, actor="user"),
            lambda: self.account.schedule(plan, self.now),
        )

    @rule()
    def undo_change(self) -> None:
        self.both(
            lambda: subscriptions.undo_change(self.organization, actor="user"), lambda: self.account.undo(self.now)
        )

    @rule(plan=st.none() | st.sampled_from(PLANS), days=st.none() | days)
    def set_by_staff(self, plan: str | None, days: int | None) -> None:
        """The plan in force, or another."""
        plan = plan or self.account.plan_at(self.now)
        until = self.now + timedelta(days=days) if days and plan != "FREE" else None
        self.both(
            lambda: subscriptions.set_by_staff(self.organization, plan, until, actor="anna", reason="a gift"),
            lambda: self.account.give(plan, until, self.now),
        )

    @rule(days=days)
    def extend(self, days: int) -> None:
        self.both(
            lambda: subscriptions.extend(self.organization, days, actor="anna", reason="an outage"),
            lambda: self.account.extend(days, self.now),
        )

    @rule()
    def start_trial(self) -> None:
        self.both(
            lambda: subscriptions.start_trial(self.organization, "PRO", actor="user"),
            lambda: self.account.start_trial(self.now),
        )

    @rule(days=days)
    def extend_trial(self, days: int) -> None:
        self.both(
            lambda: subscriptions.extend_trial(self.organization, days, actor="anna", reason="a holiday"),
            lambda: self.account.extend_trial(days, self.now),
        )

    def both(self, act: Callable[[], Any], expected: Callable[[], Any]) -> Any:
        """Done, or refused, by both alike; what was paid for it."""
        try:
            paid = expected()
        except Refused:
            with pytest.raises((NotPossible, NotForSale)):
                act()
            return None
        done = act()
        assert paid is None or done == paid
        return paid

    # --- what must always hold ---------------------------------------------------------------------------------------

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        row = Subscription.objects.get()
        self.every_day_to_come_is_the_models(row)
        self.every_paisa_is_worth_days_or_credit(row)
        self.history_is_only_added_to_and_has_no_gap(row)

    def every_day_to_come_is_the_models(self, row: Subscription) -> None:
        ends = [self.account.own_end, self.account.end, self.account.grace_end]
        near = [end + timedelta(seconds=by) for end in ends if end is not None for by in (-1, 0)]
        moments = [self.now + timedelta(days=day) for day in range(HORIZON)] + [end for end in near if end >= self.now]
        assert [row.plan_in_force(moment) for moment in moments] == self.account.plans_at(moments)
        assert row.state(self.now) == self.account.state(self.now)
        assert row.ends_at == self.account.grace_end

    def every_paisa_is_worth_days_or_credit(self, row: Subscription) -> None:
        columns = ("plan", "starts_at", "ends_at", "value_minor", "closed_at", "credited_minor")
        spans = list(Activation.objects.order_by("pk").values_list(*columns))
        assert self.paid == sum(value - credited for *_when, value, _closed, credited in spans) + row.credit_minor
        assert row.credit_minor == self.account.credit
        assert spans == [
            (span.plan, span.starts, span.ends, span.value, span.closed, span.credited) for span in self.account.sold
        ]

    def history_is_only_added_to_and_has_no_gap(self, row: Subscription) -> None:
        told = list(SubscriptionEvent.objects.order_by("pk").values_list("pk", "change", "at", "before", "after"))
        assert told[: len(self.told)] == self.told
        for (*_what, before, after), (*_what, then, later) in pairwise(told):
            assert then == after or (then, later) == (before, after)  # several things at once have one before and after
        assert not told or told[-1][-1] == row.snapshot()
        self.told = told


def price_of(sale: tuple[str, int]) -> PlanPrice:
    return PlanPrice.objects.get(plan=sale[0], interval="year" if sale[1] == 12 else "month")


def run(examples: int, *, shrink: bool = False) -> None:
    """The same examples each time: derandomized, and nothing remembered from another run."""
    phases = [Phase.generate, Phase.shrink][: 1 + shrink]
    run_state_machine_as_test(
        SubscriptionMachine,
        settings=settings(
            max_examples=examples, stateful_step_count=30, phases=phases, derandomize=True, database=None,
            deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
        ),
    )  # fmt: skip
