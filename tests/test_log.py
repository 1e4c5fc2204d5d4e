"""One line of the payment log: bounded, printable by every database, and without card numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from django_tenant_billing.models import PaymentEvent
from django_tenant_billing.models.log import LONGEST, short


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (4111111111111111, "************1111"), (390000, 390000), (4111111111111112, 4111111111111112), (True, True),
        (None, None), (["4111111111111111"], "['************1111']"), ("a\x00b", "ab"), ("a\ud800b", "a?b"),
        ("x" * 501, "x" * 500),
        ("4111\x001111\x001111\x001111", "************1111"), ("x" * 490 + "4111111111111111", "x" * 490 + "*" * 10),
    ],
)  # fmt: skip
def test_l4_a_value_is_masked_whatever_its_type_and_before_it_is_cut(value: Any, kept: Any) -> None:
    assert short(value) == kept


@pytest.mark.django_db
def test_l4_no_column_of_a_line_keeps_a_card_number() -> None:
    card = "4111111111111111"
    PaymentEvent.objects.append(
        None, PaymentEvent.Kind.CLAIM, gateway="khalti", reference=card, detail=f"odd: {card}",
        data={"status": card, card: "x", "nested": {"number": card}, "amount": int(card)},
    )  # fmt: skip
    (row,) = PaymentEvent.objects.values()
    assert card not in repr(row)
    assert row["data"]["status"] == "************1111"


@pytest.mark.django_db
@pytest.mark.parametrize("letter", ["x", "\u0915", "\U0001f4b8", "\ud800", '"'])
def test_c9_a_line_is_cut_to_four_kilobytes_and_what_comes_first_stays(letter: str) -> None:
    told = {f"field{number}": letter * 600 for number in range(50)}
    PaymentEvent.objects.append(None, PaymentEvent.Kind.CLAIM, gateway="khalti", data={"status": "Completed", **told})
    data = PaymentEvent.objects.get().data
    assert data["status"] == "Completed"
    assert 1 < len(data) < 50
    assert len(json.dumps(data, ensure_ascii=False).encode()) <= LONGEST <= 4096
