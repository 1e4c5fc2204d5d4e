"""Card numbers in texts, by the numbers that card networks publish for tests."""

from __future__ import annotations

import random

import pytest

from django_tenant_billing.masking import is_card, mask_cards
from django_tenant_billing.models.log import short

CARDS = [
    "4111111111111111", "4012888888881881", "4222222222222", "5555555555554444", "5105105105105100", "2223003122003222",
    "378282246310005", "6011111111111117", "3530111333300000", "30569309025904", "6304000000000000", "4000056655665556",
    "6212345678901232", "6212345678900000003",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_l4_a_card_number_keeps_its_last_four_digits_however_it_is_written(card: str) -> None:
    assert is_card(card)
    hidden = "*" * (len(card) - 4) + card[-4:]
    for before, behind in (("", ""), ("card ", " declined"), ("PAN=", ";"), ("no", "x"), ("(5) ", ", 12")):
        assert mask_cards(f"{before}{card}{behind}") == f"{before}{hidden}{behind}"
    for separator in (" ", "-", "\u00a0"):
        grouped = separator.join(card[at : at + 4] for at in range(0, len(card), 4))
        masked = mask_cards(f"5 {grouped} 12")
        assert masked[2:6] == "****"
        assert masked.count("*") >= len(card) - 4
        assert len(masked) == len(f"5 {grouped} 12")


@pytest.mark.parametrize("card", CARDS)
def test_l4_a_number_with_another_check_digit_is_no_card(card: str) -> None:
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert not is_card(wrong)
    assert mask_cards(wrong) == wrong


@pytest.mark.parametrize(
    "text",
    ["", "110.0", "TB-ABCDEFGH23456789Z", "bZQLD9wRVWo4CdESSfuSsB", "250610-162413", "2023-05-25T16:26:16.471649+05:45",
     "9800000001", "977-9800000001", "000AWEO", "4111111111111111" * 2, "12345678901234567890", "4111.1111.1111.1111",
     "4111  1111  1111  1111"],
)  # fmt: skip
def test_l4_what_is_no_card_number_stays_as_it_is(text: str) -> None:
    assert mask_cards(text) == text


def test_l4_of_ten_thousand_references_and_ids_of_ours_and_theirs_none_is_touched() -> None:
    draw = random.Random(13)
    for _number in range(5000):
        ours = "TB-" + "".join(draw.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=17))
        pidx = "".join(draw.choices("23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=22))
        assert mask_cards(f"{ours} {pidx}") == f"{ours} {pidx}"


def test_l4_two_cards_in_one_text_are_both_masked_and_digits_of_nepal_are_digits() -> None:
    assert mask_cards("4111111111111111 5555555555554444") == "************1111 ************4444"
    assert mask_cards("४१११११११११११११११") == "************११११"


def test_l4_a_long_text_of_digits_takes_no_time() -> None:
    assert mask_cards("1 " * 5_000).count("1") > 0


def test_l4_a_log_line_masks_texts_numbers_and_what_lies_deeper() -> None:
    card = CARDS[0]
    hidden = "************1111"
    assert short(card) == short(int(card)) == hidden
    assert short(-int(card)) == f"-{hidden}"
    assert short({"detail": [card]}) == f"{{'detail': ['{hidden}']}}"
    assert short("x" * 490 + card) == "x" * 490 + hidden[:10]
    assert short(390000) == 390000


def test_l4_an_id_of_digits_is_kept_to_the_digit_where_it_is_one_word() -> None:
    card = CARDS[0]
    for name in ("pidx", "transaction_id", "transaction_code", "transaction_uuid", "ref_id"):
        assert short(card, name) == card
        assert short("4111 1111 1111 1111", name) == "**** **** **** 1111"
        assert short("4111-1111-1111-1111", name) == "****-****-****-1111"
    assert short(int(card), "amount_minor") == int(card)
    assert short(card, "status") == "************1111"
