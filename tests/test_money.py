"""Paisa and rupees: exact both ways, and grouped as people in Nepal read them."""

from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tenant_billing.money import format_count, format_money, to_major, to_minor


@pytest.mark.parametrize(
    ("paisa", "rupees"),
    [(0, 0), (100, 1), (390000, 3900), (150, Decimal("1.5")), (1, Decimal("0.01")), (-250, Decimal("-2.5"))],
)
def test_paisa_become_rupees_exactly(paisa: int, rupees: int | Decimal) -> None:
    assert to_major(paisa) == rupees
    assert type(to_major(paisa)) is type(rupees)


@pytest.mark.parametrize(
    ("rupees", "paisa"),
    [
        (0, 0),
        (3900, 390000),
        ("3900.", 390000),
        ("1.5", 150),
        ("0.01", 1),
        (Decimal("12.30"), 1230),
        ("1.5000", 150),
        ("1e3", 100000),
        (-2, -200),
        (10**30, 10**32),
    ],
)
def test_rupees_become_paisa_exactly(rupees: int | str | Decimal, paisa: int) -> None:
    assert to_minor(rupees) == paisa


@pytest.mark.parametrize("value", [1.5, 1.0, True, False])
def test_floats_and_booleans_are_not_money(value: float) -> None:
    with pytest.raises(ValueError, match="is not money: write it as an int, a Decimal or a string"):
        to_minor(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "1.005",
        Decimal("0.001"),
        "1.00000000000000000000000000000000000000001",
        "ten",
        "",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1e999999",
        "1e999999999999999999999",
    ],
)
def test_parts_of_a_paisa_and_what_is_no_number_are_refused(value: str | Decimal) -> None:
    with pytest.raises(ValueError, match="is not an amount with at most two decimal places"):
        to_minor(value)


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_amount_that_a_column_holds_comes_back_from_rupees(paisa: int) -> None:
    rupees = to_major(paisa)
    assert to_minor(rupees) == to_minor(str(rupees)) == paisa


@pytest.mark.parametrize(
    ("paisa", "currency", "text"),
    [
        (0, "NPR", "NPR 0"),
        (1, "NPR", "NPR 0.01"),
        (50, "NPR", "NPR 0.50"),
        (100000, "NPR", "NPR 1,000"),
        (390050, "NPR", "NPR 3,900.50"),
        (10000000, "NPR", "NPR 1,00,000"),
        (123456750, "NPR", "NPR 12,34,567.50"),
        (123456789012300, "INR", "INR 12,34,56,78,90,123"),
        (123456750, "USD", "USD 1,234,567.50"),
        (-123456750, "NPR", "NPR -12,34,567.50"),
        (2**63 - 1, "NPR", "NPR 92,23,37,20,36,85,47,758.07"),
    ],
)
def test_people_read_rupees_grouped_the_nepali_way(paisa: int, currency: str, text: str) -> None:
    assert format_money(paisa, currency) == text


@pytest.mark.parametrize("language", ["de", "ne", "en"])
def test_money_reads_the_same_in_every_language(language: str) -> None:
    with translation.override(language):
        assert format_money(123456750, "NPR") == "NPR 12,34,567.50"


def test_counts_are_grouped_as_rupees_are() -> None:
    assert [format_count(number) for number in (0, 999, 1000, 123456, 12345678)] == [
        "0", "999", "1,000", "1,23,456", "1,23,45,678",
    ]  # fmt: skip
