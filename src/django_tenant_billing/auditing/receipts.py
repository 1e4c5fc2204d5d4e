"""What must hold of receipts: one for each payment that was paid, of its money, numbered without a gap."""

from __future__ import annotations

from collections.abc import Iterator

from ..models import Receipt, ReceiptSequence
from .findings import Finding, Severity
from .reading import BATCH, Case

AGAIN = "manage.py billing_verify --only receipts"


def receipted(case: Case) -> Iterator[str]:
    """What was paid has a receipt, of the money that came; what was not paid has none."""
    receipt, came = case.receipt, case.payment.money_minor
    if receipt is None:
        if case.story.was_paid:
            yield "it was paid, and has no receipt"
        return
    if not case.story.was_paid:
        yield f"it has receipt {receipt.number}, and its log never says that it was paid"
    if (receipt.total_minor, receipt.currency) != (came, case.payment.currency):
        told = f"{receipt.total_minor} paisa of {receipt.currency}"
        yield f"{came} paisa of {case.payment.currency} came, and receipt {receipt.number} says {told}"


def number_findings(using: str) -> Iterator[Finding]:
    """Numbers that no receipt has, and a sequence that would give one twice. Safe while receipts are issued."""
    # A number is committed with its receipt: of those that the sequence has given by now none can still be to come.
    given, expected = _last(using), 1
    numbers = Receipt.objects.using(using).filter(number__lte=given).order_by("number")
    for number in numbers.values_list("number", flat=True).iterator(chunk_size=BATCH):
        if number > expected:
            yield _found(expected, number - 1)
        expected = number + 1
    if expected <= given:
        yield _found(expected, given)
    highest = Receipt.objects.using(using).order_by("-number").values_list("number", flat=True).first() or 0
    if highest > (last := _last(using)):
        yield Finding(
            id="receipts", severity=Severity.VIOLATION, subject=f"receipt {highest}", command=AGAIN,
            problem=f"the sequence stands at {last}, so that the next payment would get a number that is taken",
        )  # fmt: skip


def _last(using: str) -> int:
    return ReceiptSequence.objects.using(using).values_list("last", flat=True).first() or 0


def _found(first: int, last: int) -> Finding:
    span = f"receipt {first}" if first == last else f"receipts {first} to {last}"
    return Finding(
        id="receipts", severity=Severity.VIOLATION, subject=span, problem="the number was given, and is gone",
        command=AGAIN,
    )  # fmt: skip
