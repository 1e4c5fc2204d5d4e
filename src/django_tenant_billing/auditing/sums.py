"""Where the money is, by currency: the figures that a merchant holds beside the gateway's statement."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from ..models import PaymentTransaction
from ..states import SETTLED, PaymentState

S = PaymentState


@dataclass(slots=True)
class Books:
    """Of one currency, in paisa: ``came`` is ``applied``, ``in_review``, ``dismissed`` and ``refunded`` together."""

    came: int = 0
    applied: int = 0
    in_review: int = 0
    dismissed: int = 0
    refunded: int = 0
    open_payments: int = 0


def books(using: str) -> dict[str, Books]:
    """The sums over all payments. One statement."""
    found: dict[str, Books] = {}
    money = Sum(Coalesce("received_minor", "amount_minor"))
    rows = PaymentTransaction.objects.using(using).order_by().values("currency", "status")
    for row in rows.annotate(money=money, back=Sum("refunded_minor"), number=Count("pk")).order_by("currency"):
        book, status = found.setdefault(row["currency"], Books()), S(row["status"])
        if status in SETTLED | {S.REVIEW, S.DISMISSED}:
            book.came += row["money"]
            book.refunded += row["back"]
        if status in SETTLED:
            book.applied += row["money"] - row["back"]
        elif status is S.REVIEW:
            book.in_review += row["money"]
        elif status is S.DISMISSED:
            book.dismissed += row["money"]
        else:
            book.open_payments += row["number"] * (status in (S.CREATED, S.INITIATED, S.PENDING))
    return found
