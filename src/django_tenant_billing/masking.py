"""Numbers of payment cards, which nobody needs here: what a gateway writes may hold one by mistake."""

from __future__ import annotations

import re

CARD_DIGITS = range(13, 20)
"""How many digits the number of a payment card has (ISO/IEC 7812)."""

_GROUPS = re.compile(r"\d+(?:[ \u00a0-]\d+)*")
_GROUP = re.compile(r"\d+")


def mask_cards(text: str) -> str:
    """The text with each card number in it masked but for its last four digits; as long as it was.

    A card number is 13 to 19 digits with a right check digit, whole or in groups with one space or dash between. Digits
    that stand right beside them are part of a longer number, which is no card.
    """
    return _GROUPS.sub(lambda run: _masked(run[0]), text)


def is_card(digits: str) -> bool:
    """Has this text of digits the length and the check digit of a card number?"""
    if len(digits) not in CARD_DIGITS:
        return False
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


def _masked(run: str) -> str:
    groups = [group.span() for group in _GROUP.finditer(run)]
    shown, behind = list(run), 0
    for first, (start, _end) in enumerate(groups):
        end = _end_of_card(run, groups[first : first + CARD_DIGITS.stop]) if start >= behind else None
        if end is not None:
            hidden = [position for position in range(start, end) if run[position].isdigit()]
            for position in hidden[:-4]:
                shown[position] = "*"
            behind = end
    return "".join(shown)


def _end_of_card(run: str, groups: list[tuple[int, int]]) -> int | None:
    """Where the card number ends that begins with the first of these groups; None where none does."""
    digits, found = "", None
    for start, end in groups:
        digits += run[start:end]
        if len(digits) >= CARD_DIGITS.stop:
            break
        # The longest counts: a part of a number in groups may fit by chance.
        found = end if is_card(digits) else found
    return found
