"""Medians of ratios inside one round: the only figures of a shared machine that mean something elsewhere."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Round = Mapping[str, float]
"""Calls a second by variant, measured one right after the other."""


@dataclass(frozen=True)
class Ratio:
    """Of two variants: the median over the rounds, and the rounds that differ most from it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}..{self.high:.2f})"


def ratio(rounds: Sequence[Round], variant: str, baseline: str) -> Ratio:
    """How many calls of ``variant`` fit into the time of one of ``baseline``."""
    of_rounds = [each[variant] / each[baseline] for each in rounds]
    return Ratio(statistics.median(of_rounds), min(of_rounds), max(of_rounds))


def table(rounds: Sequence[Round], baselines: Sequence[str]) -> list[str]:
    """A line for each variant: its median of calls a second, and its ratio to each baseline."""
    variants = list(rounds[0])
    width = max(map(len, ["variant", *variants]))
    heads = [f"of {baseline}" for baseline in baselines]
    columns = [max(len(head), 20) for head in heads]
    lines = ["  ".join(["variant".ljust(width), "calls/s", *map(str.ljust, heads, columns)])]
    for variant in variants:
        rate = statistics.median(each[variant] for each in rounds)
        ratios = [str(ratio(rounds, variant, baseline)) for baseline in baselines]
        lines.append("  ".join([variant.ljust(width), f"{rate:7,.0f}", *map(str.ljust, ratios, columns)]))
    return [line.rstrip() for line in lines]
