"""Money for people: rupees from paisa, grouped the Nepali way."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext

from django.utils import numberformat

MINOR_UNITS = 100
"""Paisa in a rupee; every currency the package knows has two decimal places."""

GROUPED_IN_LAKHS = frozenset({"NPR", "INR"})


def to_major(amount_minor: int) -> int | Decimal:
    """Rupees of an amount in paisa: an int where it is whole, else an exact Decimal."""
    whole, rest = divmod(amount_minor, MINOR_UNITS)
    return whole if rest == 0 else Decimal(amount_minor) / MINOR_UNITS


def to_minor(amount: int | str | Decimal) -> int:
    """Paisa of an amount in rupees. Raises ValueError for floats and for parts of a paisa."""
    if isinstance(amount, bool | float):
        raise ValueError(f"{amount!r} is not money: write it as an int, a Decimal or a string")
    try:
        with localcontext(Context(traps=[Inexact, InvalidOperation, Overflow])):  # never rounded in silence
            minor = Decimal(amount) * MINOR_UNITS
    except ArithmeticError:
        minor = Decimal("NaN")
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError(f"{amount!r} is not an amount with at most two decimal places")
    return int(minor)


def format_money(amount_minor: int, currency: str) -> str:
    """``"NPR 12,34,567.50"``: what a person reads. Whole amounts show no decimals."""
    decimals = 0 if amount_minor % MINOR_UNITS == 0 else 2
    grouping = (3, 2, 0) if currency in GROUPED_IN_LAKHS else 3
    number = numberformat.format(
        Decimal(amount_minor) / MINOR_UNITS, ".", decimals, grouping=grouping, thousand_sep=",", force_grouping=True
    )
    return f"{currency} {number}"


def format_count(number: int) -> str:
    """``"1,00,000"``: a number of things, grouped as rupees are."""
    return numberformat.format(number, ".", grouping=(3, 2, 0), thousand_sep=",", force_grouping=True)
