"""Lines of CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

BOM = "\ufeff"
"""Put first: without it Excel takes UTF-8 for an old code page and shows Devanagari as rubbish.

Programs read such a file as ``utf-8-sig``.
"""

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell of text must not begin with: some spreadsheets take it for a formula, the full-width forms included."""


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV of RFC 4180. Text that could be a formula gets an apostrophe before it; None is an empty cell."""
    text = StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    # Spreadsheets trim a cell before they judge it. A number is none of theirs to judge.
    return f"'{value}" if isinstance(value, str) and value.lstrip(" \u00a0").startswith(DANGEROUS) else value
