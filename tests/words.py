"""Two hundred texts that are almost what a gateway says, and are not."""

from __future__ import annotations

from collections.abc import Iterable

PATTERNS = (
    "{} ", " {}", "{}\u0000", "{}.", "{}\n", "\u200b{}", "{}s", "NOT {}", "not {}", "un{}", "In{}", "{} {}", "'{}'",
    "{}?", "{}d", "\ufeff{}", "{};", "{}/", "{}\u00a0", "0{}",
)  # fmt: skip

SPELT = (
    "unsuccessful", "not verified", "AMBIGIOUS", "SUCCESS", "Success", "success", "paid", "PAID", "Paid", "Canceled",
    "CANCELLED", "User cancelled", "User Canceled", "NOT FOUND", "NOT-FOUND", "COMPLETED", "Complete", "C\u041eMPLETE",
    "Compl\u0435ted", "INCOMPLETE", "Not Completed", "true", "1", "200", "OK", "ok", "", "null", "None", "Verified",
    "partially_refunded", "PARTIALLY REFUNDED", "FULL REFUND", "Confirmed", "Captured", "Settled", "Authorised",
)  # fmt: skip


def other_words(words: Iterable[str]) -> list[str]:
    """Other cases, additions and misspellings of these words, 200 of them; none of the words themselves."""
    known = list(words)
    made = list(SPELT)
    for word in known:
        made += [word.lower(), word.upper(), word.title(), word.swapcase(), word[:-1], word[1:], word[::-1]]
        made += [pattern.replace("{}", word) for pattern in PATTERNS]
    return [text for text in dict.fromkeys(made) if text not in known][:200]
