"""The quota machine: every verb in every order, done to the engine and to an oracle in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from django_tenant_billing import clock, quotas
from django_tenant_billing.subscriptions import backfill
from tests.races import drawn, model
from tests.races.acts import Act
from tests.races.model import Account
from tests.races.world import World
from tests.testapp.models import Organization

START = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
"""A day that February lacks, an hour before midnight in Kathmandu."""


# Of every period: what its row says is used and held; what the reservations hold of it, and that is not expired; and
# what the ledger says was used.
FACTS = """SELECT c.organization_id, c.feature_id, c.used, c.held,
    (SELECT COALESCE(SUM(h.amount), 0) FROM tenant_billing_hold h WHERE {same} AND h.state = 'held'),
    (SELECT COALESCE(SUM(h.amount), 0) FROM tenant_billing_hold h
        WHERE {same} AND h.state = 'held' AND h.expires_at > '2020-01-01 00:00:00'),
    (SELECT COALESCE(SUM(h.change), 0) FROM tenant_billing_usageentry h WHERE {same})
FROM tenant_billing_usagecounter c WHERE c.organization_id IN (%s, %s)
ORDER BY c.organization_id, c.feature_id, c.period_start""".format(
    same="h.organization_id = c.organization_id AND h.feature_id = c.feature_id "
    "AND h.at >= c.period_start AND h.at < c.period_end"
)


class Site:
    """The one long-lived site of a run: each example gets two organizations that nobody has used."""

    def __init__(self) -> None:
        self.ticks = 0
        self.examples = 0
        self.fresh: list[Organization] = []

    def now(self) -> datetime:
        """The time that billing sees where the clock is not moved: a second later at each step of an example."""
        return START + timedelta(seconds=self.ticks)

    def begin(self) -> list[Organization]:
        self.ticks = 0
        self.examples += 1
        if not self.fresh:
            # Many at once: one by one, signing up would cost more than the steps.
            Organization.objects.bulk_create(Organization(name="Fresh") for _number in range(200))
            self.fresh = list(Organization.objects.filter(subscription=None).order_by("pk"))
            backfill([organization.pk for organization in self.fresh], START)
        second, first = self.fresh.pop(), self.fresh.pop()
        return [first, second]


class QuotaMachine(RuleBasedStateMachine):
    site: ClassVar[Site]

    @initialize()
    def begin(self) -> None:
        organizations, limits = self.site.begin(), model.catalogue_limits()
        self.world = World(organizations, [Account(limits, START) for _organization in organizations])
        for organization in organizations:
            quotas.check_all(organization)  # starts the seats from what the site counts

    def teardown(self) -> None:
        self.world.undone_at_the_end.close()

    def do(self, act: Act) -> None:
        self.site.ticks += 1
        act(self.world)

    @rule(act=drawn.looks)
    def look(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.consumes)
    def consume(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.counts)
    def count(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.consumings)
    def consuming(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.grant_releases)
    def release_a_grant(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.reserves)
    def reserve(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.commits)
    def commit_a_reservation(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.let_gos)
    def release_a_reservation(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.expiries)
    def let_a_reservation_expire(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.blocks)
    def act_in_one_transaction(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.spans)
    def let_time_pass(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.repeats)
    def repeat_a_request(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.subscribes)
    def subscribe(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.purchases)
    def purchase(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.limits)
    def change_a_limit(self, act: Act) -> None:
        self.do(act)

    @rule(act=drawn.overrides)
    def override(self, act: Act) -> None:
        self.do(act)

    # --- what must always hold ---------------------------------------------------------------------------------------

    @invariant()
    def every_number_is_the_oracles(self) -> None:
        self.look_at_the_rows()
        self.look_at_the_decisions()

    def look_at_the_rows(self) -> None:
        """Of both organizations: every unit is in one period, and every number of it has its holds and entries."""
        with connection.cursor() as cursor:
            cursor.execute(FACTS, [organization.pk for organization in self.world.organizations])
            facts = cursor.fetchall()
        told = []
        for organization, feature, used, held, in_holds, alive, in_ledger in facts:
            assert min(used, held) >= 0
            assert held == in_holds
            assert feature != "invoices" or used == in_ledger
            told.append((organization, feature, used, alive))
        assert told == [
            (organization.pk, feature, row.used, account.held(feature, row))
            for organization, account in zip(self.world.organizations, self.world.accounts, strict=True)
            for feature in sorted(account.rows)
            for row in account.rows[feature]
        ]

    def look_at_the_decisions(self) -> None:
        """Of the organization that was acted on: everything that a decision tells is what the oracle says."""
        now, who = clock.now(), self.world.touched
        organization, account = self.world.organizations[who], self.world.accounts[who]
        told = quotas.check_all(organization)
        assert [decision.feature for decision in told] == drawn.FEATURES
        for decision in told:
            verdict, row = account.decide(decision.feature, 1, now), account.row(decision.feature, now)
            assert (
                decision.plan, decision.limit, decision.limit_source.value, decision.used, decision.held,
                decision.remaining, decision.over, decision.allowed, decision.grace_ends_at,
            ) == (
                verdict.plan, verdict.limit, verdict.source, verdict.used, verdict.held,
                verdict.remaining, verdict.over, verdict.allowed, verdict.grace_ends_at,
            ), decision.feature  # fmt: skip
            counted_in = row is not None and decision.kind == "happens" and (row.start, row.end)
            assert counted_in in (False, (decision.period_start, decision.period_end))
            assert decision.feature not in self.world.bounded or not decision.over


def run(examples: int, *, shrink: bool = False) -> None:
    """The same examples each time: derandomized, and nothing remembered from another run."""
    phases = [Phase.generate, Phase.shrink][: 1 + shrink]
    run_state_machine_as_test(
        QuotaMachine,
        settings=settings(
            max_examples=examples, stateful_step_count=50, phases=phases, derandomize=True, database=None,
            deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
        ),
    )  # fmt: skip
