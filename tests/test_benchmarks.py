"""The arithmetic and the tables of the benchmarks. What they time is no test."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks import databases, goals, ratios
from benchmarks.goals import GOALS, Goal, Measured
from benchmarks.ratios import Ratio
from django_tenant_billing.models import Subscription, UsageCounter
from django_tenant_billing.testing import seed_catalogue
from tests.testapp.models import Organization

ROUNDS = [{"slow": 10.0, "fast": 20.0}, {"slow": 100.0, "fast": 400.0}, {"slow": 1.0, "fast": 3.0}]


def test_a_ratio_is_taken_inside_a_round_and_its_median_over_the_rounds() -> None:
    assert ratios.ratio(ROUNDS, "fast", "slow") == Ratio(3, 2, 4)
    assert str(Ratio(3, 2, 4.444)) == "3.00 (2.00..4.44)"


def test_the_table_has_a_line_for_each_variant_with_its_ratio_to_each_baseline() -> None:
    assert ratios.table(ROUNDS, ["slow"]) == [
        "variant  calls/s  of slow",
        "slow          10  1.00 (1.00..1.00)",
        "fast          20  3.00 (2.00..4.00)",
    ]


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("a", "A", at_least=0.9), 0.9, True),
        (Goal("a", "A", at_least=0.9), 0.89, False),
        (Goal("a", "A", at_most=1), 1, True),
        (Goal("a", "A", at_most=1), 2, False),
    ],
)
def test_a_goal_is_met_at_its_bound_and_not_beyond(goal: Goal, value: float, met: bool) -> None:
    assert goal.met_by(value) is met


def test_the_table_of_goals_says_what_was_met_missed_and_not_measured() -> None:
    lines = goals.table({"hand": Measured(0.95, "0.95 (0.90..1.00)"), "grant": Measured(2, "2 (SELECT, UPDATE)")})
    assert len(lines) == 1 + len(GOALS)
    cells = {
        goal.key: [cell.strip() for cell in line.split(" | ")] for goal, line in zip(GOALS, lines[1:], strict=True)
    }
    assert cells["hand"][1:] == ["0.95 (0.90..1.00)", "yes"]
    assert cells["grant"][1:] == ["2 (SELECT, UPDATE)", "NO"]
    assert cells["vinta"][1:] == ["not measured", "-"]
    assert cells["leases"][1:] == ["later", "-"]


def test_only_a_missed_count_fails_the_run() -> None:
    slow, many = Measured(0.1, "0.10"), Measured(5, "5")
    assert goals.broken({"hand": slow, "denial": Measured(2, "2")}) == []
    assert [goal.key for goal in goals.broken({"hand": slow, "first use": many})] == ["first use"]


@pytest.mark.django_db(transaction=True)
def test_the_rows_that_are_written_by_hand_fit_the_tables() -> None:
    if connection.vendor == "mysql":
        pytest.skip("The benchmarks run on PostgreSQL and SQLite.")
    seed_catalogue()
    Organization.objects.create(name="The first key is taken").delete()
    databases.seed(3)
    assert list(Subscription.objects.values_list("plan", flat=True)) == ["FREE"] * 3
    assert (databases.stored(), UsageCounter.objects.count()) == (0, 3)
