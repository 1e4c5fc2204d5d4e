"""What a spreadsheet would run, and what it may show."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from django_tenant_billing.spreadsheets import lines


def test_rows_are_csv_that_any_reader_reads_back() -> None:
    rows = [("a", 'said "yes", twice', 12, None), ("ग्राहक", "two\nlines", -1, "")]
    text = lines(rows)
    assert text.startswith('a,"said ""yes"", twice",12,\r\n')
    back = list(csv.reader(StringIO(text, newline="")))
    assert back == [["a", 'said "yes", twice', "12", ""], ["ग्राहक", "two\nlines", "-1", ""]]


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@A1", "\tx", "\rx", "\nx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "  =1", "\u00a0=1"],
)
def test_a4_text_that_would_be_run_is_text_with_an_apostrophe(cell: str) -> None:
    ((first, second),) = csv.reader(StringIO(lines([(cell, "x")]), newline=""))
    assert (first, second) == (f"'{cell}", "x")


@pytest.mark.parametrize("cell", ["a=1", "2026-01-31T00:00:00+05:45", "", "'=1", "x@y"])
def test_a4_text_that_is_harmless_stays_as_it_is(cell: str) -> None:
    ((first, _second),) = csv.reader(StringIO(lines([(cell, "x")]), newline=""))
    assert first == cell
