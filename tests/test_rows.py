"""Every failure that the catalogue of payments names has a test that bears its id."""

from __future__ import annotations

import re
from pathlib import Path

ROWS = {"p": 13, "k": 9, "g": 15, "c": 14, "l": 6, "w": 8, "x": 2, "a": 4, "d": 3, "t": 9}
"""How many rows each part of the catalogue has: callbacks, deaths, gateways, tampering, secrets, web, caches, audit,
migrations, time."""

ELSEWHERE = {
    "l5": "no field is encrypted yet",
    "d1": "no release, so no migration of filled tables but the first",
    "d2": "likewise: there is no version before this one",
    **dict.fromkeys(
        ("t1", "t2", "t3", "t4", "t5", "t7", "t9"), "of periods: see test_periods.py and test_early_renewal.py"
    ),
}


def named() -> set[str]:
    """The ids in the names of tests."""
    texts = (path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    return {found for text in texts for found in re.findall(r"^def test_([a-z]\d{1,2})_", text, re.M)}


def test_every_row_has_a_test_or_a_reason() -> None:
    rows = {f"{letter}{number}" for letter, count in ROWS.items() for number in range(1, count + 1)}
    assert rows - named() == set(ELSEWHERE)
