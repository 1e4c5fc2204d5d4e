"""Where the bars of a chart stand: whole numbers for an inline SVG, without a word of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SLOT, GAP, HEIGHT = 52, 12, 160
"""The width of a bar with the room beside it, that room, and the height of the highest bar: units of the drawing."""

NARROWEST, WIDEST = 6 * SLOT, 72
"""Few bars share what six would have, and none is wider than this."""

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
    slot = max(SLOT, NARROWEST // max(len(values), 1))
    width = min(slot - GAP, WIDEST)
    bars = (
        Bar(place * slot + (slot - width) // 2, HEIGHT - height, width, height) for place, height in enumerate(heights)
    )
    return BarChart(width=len(values) * slot, height=HEIGHT, bars=tuple(bars))
