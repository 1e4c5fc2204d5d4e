"""The timed measurements. Each prints what it found, with its correctness, and returns the figures of its goals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import variants
from benchmarks.clients import Cell, Crew, Operation, Variant, measure
from benchmarks.databases import (
    LOW_LIMIT,
    PREPARED,
    Postgres,
    Settings,
    above_limit,
    add_counters,
    migrate,
    scalar,
    seed,
    sqlite,
    stored,
    use,
)
from benchmarks.goals import Measured
from benchmarks.ratios import Ratio, ratio, table

Figures = dict[str, Measured]

SMALL = range(1, 10_001)
"""The organizations of the database that most of it is measured on."""

FULL = range(1, 1_001)
"""Of these, API calls are spent."""

HOT_CALLS = 10_000


@dataclass(frozen=True)
class Bench:
    """One run: where, how long, how often."""

    postgres: Postgres
    scratch: Path
    rounds: int
    seconds: float
    large: int

    @property
    def small(self) -> Settings:
        return self.postgres.settings("small")

    @property
    def prepared(self) -> Settings:
        return self.postgres.settings("small", **PREPARED)

    def measure(
        self, compared: Sequence[Variant], *, clients: int = 1, baselines: Sequence[str], uncounted: Sequence[str] = ()
    ) -> Cell:
        """Time them on one database, print the table, and look whether the counters have what was granted."""
        use(compared[0].database)
        before = stored()
        cell = measure(compared, clients=clients, rounds=self.rounds, seconds=self.seconds)
        print("\n".join(table(cell.rounds, baselines)))
        granted = sum(number for name, number in cell.granted.items() if name not in uncounted)
        verify(granted, stored() - before, above_limit())
        return cell


def verify(granted: int, found: int, above: int = 0) -> None:
    """Print whether both say the same, and stop everything where they do not."""
    print(f"{granted:,} granted, {found:,} stored, {above} above a limit")
    if (found, above) != (granted, 0):
        raise AssertionError("The counters are wrong: no figure of this run means anything.")


def figure(found: Ratio, more: str = "") -> Measured:
    return Measured(found.median, f"{found}{more}")


def core(bench: Bench) -> Figures:
    """PostgreSQL, 1 client, 10,000 organizations, uniform keys"""
    use(bench.small)
    add_counters("api_calls", len(FULL), used=LOW_LIMIT)
    ways: dict[str, Callable[[], Operation]] = {
        "literal": variants.literal, "by hand": variants.by_hand, "consume": variants.consume,
        "lock + save": variants.lock_and_save,
    }  # fmt: skip
    cell = bench.measure(
        [
            Variant("raw literal", variants.raw_literal, bench.small, SMALL),
            *(Variant(name, make, bench.small, SMALL) for name, make in ways.items()),
            Variant("consume, denied", variants.consume_api_calls, bench.small, FULL),
            *(Variant(f"{name}, prepared", make, bench.prepared, SMALL) for name, make in ways.items()),
            Variant("consume, denied, prepared", variants.consume_api_calls, bench.prepared, FULL),
        ],
        baselines=["raw literal", "literal", "literal, prepared", "by hand", "by hand, prepared"],
    )

    def of(variant: str, baseline: str) -> Ratio:
        return ratio(cell.rounds, variant, baseline)

    denied, denied_prepared = of("consume, denied", "consume"), of("consume, denied, prepared", "consume, prepared")
    print(f"denials in the time of a grant: {denied}; prepared {denied_prepared}")
    by_hand = of("consume, prepared", "by hand, prepared")
    raw, raw_prepared = of("consume", "raw literal"), of("consume, prepared", "raw literal")
    return {
        "hand": figure(of("consume", "by hand"), f"; prepared {by_hand}"),
        "literal": figure(of("consume", "literal"), f"; of raw psycopg {raw}"),
        "literal prepared": figure(of("consume, prepared", "literal, prepared"), f"; of raw psycopg {raw_prepared}"),
        "lock": figure(of("consume", "lock + save")),
        "lock prepared": figure(of("consume, prepared", "lock + save, prepared")),
    }


def contended(bench: Bench) -> Figures:
    """PostgreSQL, 8 clients, one organization, then 10,000 (no goals)"""
    ways = {
        "raw literal": variants.raw_literal, "by hand": variants.by_hand, "consume": variants.consume,
        "lock + save": variants.lock_and_save,
    }  # fmt: skip
    for keys in (range(1, 2), SMALL):
        print(f"-- {len(keys):,} organizations")
        bench.measure(
            [Variant(name, make, bench.small, keys) for name, make in ways.items()],
            clients=8, baselines=["raw literal", "by hand", "lock + save"],
        )  # fmt: skip
    return {}


def lite(bench: Bench) -> Figures:
    """SQLite (WAL, synchronous=NORMAL, BEGIN IMMEDIATE), 1 client, 10,000 organizations"""
    settings = sqlite(bench.scratch / "bench.sqlite3")
    migrate(settings)
    seed(len(SMALL))
    ways = {
        "literal": variants.literal, "by hand": variants.by_hand, "consume": variants.consume,
        "lock + save": variants.lock_and_save,
    }  # fmt: skip
    cell = bench.measure(
        [Variant(name, make, settings, SMALL) for name, make in ways.items()],
        baselines=["literal", "by hand", "lock + save"],
    )
    return {"lock sqlite": figure(ratio(cell.rounds, "consume", "lock + save"))}


def growth(bench: Bench) -> Figures:
    """PostgreSQL, 1 client: few organizations against many, everything in memory"""
    many = f"{bench.large:,}"
    large = bench.postgres.fill("large", bench.large)
    small = bench.postgres.fill("few", len(SMALL))
    cell = measure(
        [
            Variant("10,000", variants.consume, small, SMALL),
            Variant(many, variants.consume, large, range(1, bench.large + 1)),
        ],
        clients=1, rounds=2 * bench.rounds, seconds=bench.seconds,
    )  # fmt: skip
    print("\n".join(table(cell.rounds, ["10,000"])))
    found = 0
    for settings in (small, large):
        use(settings)
        found += stored()
    verify(cell.granted.total(), found)
    return {"growth": figure(ratio(cell.rounds, many, "10,000"), "" if many == "1,000,000" else f" with {many} only")}


def hot(bench: Bench) -> Figures:
    """PostgreSQL: updates of a counter that touch no index (HOT), 2 clients, 10,000 fresh counters"""
    bench.postgres.fill("hot", len(SMALL))
    # Not timed, so that commits need not wait.
    settings = bench.postgres.settings("hot", options="-c synchronous_commit=off")
    table_of = "FROM pg_stat_user_tables WHERE relname = 'tenant_billing_usagecounter'"
    updated = share = 0.0
    for _turn in range(2):
        with Crew(Variant("consume", variants.consume, settings, SMALL), 2) as crew:
            crew.run(calls=HOT_CALLS // 2, warm_up=0)
        use(settings)
        updated = scalar(f"SELECT n_tup_upd {table_of}")
        share = float(scalar(f"SELECT 100.0 * n_tup_hot_upd / n_tup_upd {table_of}"))
        print(f"after {updated:,} updates: {share:.1f} % HOT")
    options = scalar("SELECT reloptions::text FROM pg_class WHERE relname = 'tenant_billing_usagecounter'")
    text = f"{share:.1f} % of {updated:,}; table options {options or 'none: fillfactor 100'}"
    return {"hot": Measured(share, text)}
