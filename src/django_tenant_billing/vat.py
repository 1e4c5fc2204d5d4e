"""Value added tax of Nepal: 13 percent, in prices, on top of them, or none. Whole paisa, rounded half up."""

from __future__ import annotations

from enum import StrEnum

from django.utils.translation import gettext as _

from .conf import conf

PERCENT = 13


class Vat(StrEnum):
    """What TENANT_BILLING_VAT says of the prices in the catalogue."""

    EXEMPT = "exempt"
    """There is none."""
    INCLUSIVE = "inclusive"
    """They contain it."""
    EXCLUSIVE = "exclusive"
    """It is added to them."""


def in_force() -> Vat:
    """What holds of prices now. What is no word of ours counts as exempt: the check E027 says so."""
    value = conf.vat
    return Vat(value) if value in list(Vat) else Vat.EXEMPT


def percent() -> int:
    """What receipts of now say; 0 where there is none."""
    return 0 if in_force() is Vat.EXEMPT else PERCENT


def to_pay(price_minor: int) -> int:
    """What a price in the catalogue comes to, in paisa."""
    return price_minor + (_part(price_minor, PERCENT, 100) if in_force() is Vat.EXCLUSIVE else 0)


def split(total_minor: int) -> tuple[int, int]:
    """Net and tax of money that was paid, in paisa. What to_pay added comes back to the paisa."""
    net = _part(total_minor, 100, 100 + percent())
    return net, total_minor - net


def note_of_price() -> str:
    """What stands beside a price in the catalogue; empty where there is no tax."""
    if in_force() is Vat.EXCLUSIVE:
        return _("plus %(percent)d %% VAT") % {"percent": PERCENT}
    return note_of_total()


def note_of_total() -> str:
    """What stands beside what is to be paid; empty where there is no tax."""
    return _("includes %(percent)d %% VAT") % {"percent": PERCENT} if percent() else ""


def _part(amount_minor: int, share: int, of: int) -> int:
    return (2 * amount_minor * share + of) // (2 * of)
