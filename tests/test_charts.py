"""Where the bars stand, to the unit."""

from __future__ import annotations

import pytest

from django_tenant_billing.charts import HEIGHT, LEAST, Bar, BarChart, bar_chart


def heights(*values: int) -> list[int]:
    return [bar.height for bar in bar_chart(values).bars]


def test_without_a_value_there_is_an_empty_drawing() -> None:
    assert bar_chart([]) == BarChart(width=0, height=160, bars=())


def test_one_value_is_one_bar_of_full_height_in_the_middle() -> None:
    assert bar_chart([7]) == BarChart(width=312, height=160, bars=(Bar(120, 0, 72, 160),))


def test_bars_stand_side_by_side_on_the_base_line_each_as_high_as_its_share_of_the_highest() -> None:
    chart = bar_chart([5, 20, 0, 10])
    assert chart.width == 4 * 78
    assert chart.bars == (Bar(6, 120, 66, 40), Bar(84, 0, 66, 160), Bar(162, 160, 66, 0), Bar(240, 80, 66, 80))


@pytest.mark.parametrize(
    ("number", "width", "bar"),
    [(1, 312, 72), (2, 312, 72), (3, 312, 72), (4, 312, 66), (5, 310, 50), (6, 312, 40), (7, 364, 40), (12, 624, 40)],
)
def test_few_bars_are_wider_and_many_make_the_drawing_wider(number: int, width: int, bar: int) -> None:
    chart = bar_chart([1] * number)
    assert (chart.width, {one.width for one in chart.bars}) == (width, {bar})


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
