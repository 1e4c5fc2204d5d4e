"""Where the bars stand, to the unit."""

from __future__ import annotations

import pytest

from django_tenant_billing.charts import HEIGHT, LEAST, Bar, BarChart, bar_chart


def heights(*values: int) -> list[int]:
    return [bar.height for bar in bar_chart(values).bars]


def test_without_a_value_there_is_an_empty_drawing() -> None:
    assert bar_chart([]) == BarChart(width=0, height=160, bars=())


def test_one_value_is_one_bar_of_full_height() -> None:
    assert bar_chart([7]) == BarChart(width=52, height=160, bars=(Bar(6, 0, 40, 160),))


def test_bars_stand_side_by_side_on_the_base_line_each_as_high_as_its_share_of_the_highest() -> None:
    chart = bar_chart([5, 20, 0, 10])
    assert chart.width == 4 * 52
    assert chart.bars == (Bar(6, 120, 40, 40), Bar(58, 0, 40, 160), Bar(110, 160, 40, 0), Bar(162, 80, 40, 80))


def test_a_hundred_bars_stay_inside_the_drawing_and_do_not_touch() -> None:
    chart = bar_chart(range(100))
    assert chart.width == 5200
    for left, right in zip(chart.bars, chart.bars[1:], strict=False):
        assert left.x + left.width < right.x
    assert chart.bars[-1].x + chart.bars[-1].width < chart.width
    assert {bar.y + bar.height for bar in chart.bars} == {HEIGHT}


def test_where_everything_is_nothing_no_bar_is_seen() -> None:
    assert heights(0, 0, 0) == [0, 0, 0]


def test_a_share_is_rounded_down_but_what_is_not_nothing_is_always_seen() -> None:
    assert heights(3, 2, 1) == [160, 106, 53]
    assert heights(10**6, 1, 0) == [HEIGHT, LEAST, 0]


def test_numbers_beyond_any_float_are_as_exact_as_small_ones() -> None:
    huge = 2**63 - 1
    assert heights(huge, huge - 1, huge // 2 + 1, 10**400) == [LEAST, LEAST, LEAST, HEIGHT]
    assert heights(huge, huge - 1, huge // 2, huge // 2 + 1) == [160, 159, 79, 80]


def test_a_number_below_nothing_is_refused_by_its_value() -> None:
    with pytest.raises(ValueError, match="-3 cannot be drawn: a bar stands on the base line, so give 0 or more"):
        bar_chart([4, -3])
