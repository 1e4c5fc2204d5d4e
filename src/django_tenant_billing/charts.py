"""Where the bars of a chart stand: whole numbers for an inline SVG, without a word of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BAR, GAP, HEIGHT = 40, 12, 160
"""The width of a bar, the room beside it, and the height of the highest one, in units of the drawing."""

LEAST = 2
"""What is not nothing is seen, however little it is beside the highest."""


class Bar(NamedTuple):
    """A rectangle that stands on the base line; ``y`` counts from the top."""

    x: int
    y: int
    width: int
    height: int


class BarChart(NamedTuple):
    """Bars from left to right in the order of their values, in a drawing of this size."""

    width: int
    height: int
    bars: tuple[Bar, ...]


def bar_chart(values: Sequence[int]) -> BarChart:
    """The chart of these numbers. The highest fills the height, nothing has none. Raises ValueError for one below 0."""
    if any(value < 0 for value in values):
        raise ValueError(f"{min(values)} cannot be drawn: a bar stands on the base line, so give 0 or more.")
    top = max(values, default=0)
    heights = [max(value * HEIGHT // top, LEAST) if value else 0 for value in values]
    return BarChart(
        width=len(values) * (BAR + GAP),
        height=HEIGHT,
        bars=tuple(
            Bar(place * (BAR + GAP) + GAP // 2, HEIGHT - height, BAR, height) for place, height in enumerate(heights)
        ),
    )
