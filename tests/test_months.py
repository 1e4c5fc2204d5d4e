"""The fourteen months of the example, beside the same account kept by hand; and books that do not balance."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.test_example import PROJECT, example_environment, manage, until

BASIC, YEAR, PRO = 1_000_00, 10_000_00, 3_900_00

# By hand, in paisa; the day of a change is unused, and a part of a paisa is dropped.
APRIL = BASIC * 17 // 30  # BASIC from 2 April until 2 May is 30 days; on 15 April 17 of them are left
JULY = YEAR * 336 // 366  # 18 June 2027 until 18 June 2028 is 366 days; on 18 July 30 are over
NOVEMBER = BASIC * 15 // 31  # 18 October until 18 November is 31 days; on 3 November 16 are over
DECEMBER = BASIC * 13 // 30  # 14 November until 14 December is 30 days; on 1 December 17 are over

HISTORY = """
2027-01-17 trial started Maya PRO 2027-01-17 2027-01-31 14
2027-01-24 reminded, days left: 7 time PRO 2027-01-31
2027-01-30 reminded, days left: 1 time PRO 2027-01-31
2027-01-31 trial ended time PRO 2027-01-31
2027-01-31 started Maya BASIC 2027-01-31 2027-02-28 28 NPR 1,000
2027-02-20 renewed Maya BASIC 2027-02-28 2027-03-31 31 NPR 1,000
2027-03-24 reminded, days left: 7 time BASIC 2027-03-31
2027-03-30 reminded, days left: 1 time BASIC 2027-03-31
2027-03-31 grace started time BASIC 2027-03-31 2027-04-03 3
2027-04-02 started Maya BASIC 2027-04-02 2027-05-02 30 NPR 1,000
2027-04-15 upgraded Maya PRO 2027-04-15 2027-05-15 30 NPR 3,333.34
2027-05-05 change scheduled Maya BASIC 2027-05-15
2027-05-06 change undone Maya PRO 2027-05-15
2027-05-07 change scheduled Maya BASIC 2027-05-15
2027-05-08 reminded, days left: 7 time PRO 2027-05-15
2027-05-10 paid for the next plan Maya BASIC 2027-05-15 2027-06-15 31 NPR 1,000
2027-05-15 changed to the next plan time BASIC 2027-05-15 2027-06-15 31
2027-06-01 canceled Maya BASIC 2027-06-15
2027-06-03 resumed Maya BASIC 2027-06-15
2027-06-08 reminded, days left: 7 time BASIC 2027-06-15
2027-06-10 extended by staff Anna BASIC 2027-06-15 2027-06-18 3
2027-06-11 reminded, days left: 7 time BASIC 2027-06-18
2027-06-12 renewed Maya BASIC 2027-06-18 2028-06-18 366 NPR 10,000
2027-07-18 upgraded Maya PRO 2027-07-18 2027-08-18 31 NPR 0
2027-08-10 renewed Maya PRO 2027-08-18 2027-09-18 31 NPR 0
2027-09-11 reminded, days left: 7 time PRO 2027-09-18
2027-09-14 renewed Maya PRO 2027-09-18 2027-10-18 30 NPR 2,519.68
2027-10-08 paid for the next plan Maya BASIC 2027-10-18 2027-11-18 31 NPR 1,000
2027-10-18 changed to the next plan time BASIC 2027-10-18 2027-11-18 31
2027-11-03 set by staff Anna PRO 2027-11-03 2027-11-13 10
2027-11-06 reminded, days left: 7 time PRO 2027-11-13
2027-11-12 reminded, days left: 1 time PRO 2027-11-13
2027-11-13 grace started time PRO 2027-11-13 2027-11-16 3
2027-11-14 started Maya BASIC 2027-11-14 2027-12-14 30 NPR 516.13
2027-12-01 upgraded Maya PRO 2027-12-01 2028-01-01 31 NPR 3,466.67
2027-12-20 renewed Maya PRO 2028-01-01 2028-02-01 31 NPR 3,900
2028-01-20 paid for the next plan Maya BASIC 2028-02-01 2028-03-01 29 NPR 1,000
2028-02-01 the gate gives BASIC; nobody has noted it yet
2028-03-04 the gate gives FREE; nobody has noted it yet
2028-02-01 changed to the next plan time BASIC 2028-02-01 2028-03-01 29
2028-03-01 grace started time BASIC 2028-03-01 2028-03-04 3
2028-03-04 expired time BASIC 2028-03-01
"""

EXPLAINED = f"""
preview: PRO at NPR 3,900, to pay {{{PRO - APRIL}}}
credit: 17 of 30 days unused of BASIC at NPR 1,000 = {{{APRIL}}}
price NPR 3,900 - credit {{{APRIL}}} = {{{PRO - APRIL}}}
too many customers: 60, and BASIC allows 50
60 customers stay; one more: Reached customer limit (50). Upgrade your plan.
reason: the site was down on 8 June
credit: 336 of 366 days unused of BASIC at NPR 10,000 = {{{JULY}}}
credit left: {{{JULY - PRO}}}
credit left: {{{JULY - 2 * PRO}}}
price NPR 3,900 - credit {{{JULY - 2 * PRO}}} = {{{3 * PRO - JULY}}}
credit: 15 of 31 days unused of BASIC at NPR 1,000 = {{{NOVEMBER}}}
reason: the trade fair of Tihar
price NPR 1,000 - credit {{{NOVEMBER}}} = {{{BASIC - NOVEMBER}}}
credit: 13 of 30 days unused of BASIC at NPR 1,000 = {{{DECEMBER}}}
price NPR 3,900 - credit {{{DECEMBER}}} = {{{PRO - DECEMBER}}}
run_billing last ran on 2028-01-24. Now it runs once.
noted on 2028-03-05
"""


def rupees(paisa: int) -> str:
    whole, rest = divmod(paisa, 100)
    return f"NPR {whole:,}" + (f".{rest:02}" if rest else "")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command prints, where no database of the site can be reached, with single spaces."""
    scratch = tmp_path_factory.mktemp("months")
    nowhere = "postgresql://nobody@nowhere.invalid/nothing"
    done = manage("fourteen_months", DATABASE_URL=nowhere, TMPDIR=str(scratch))
    assert done.returncode == 0, done.stderr
    assert list(scratch.iterdir()) == []
    assert max(map(len, done.stdout.splitlines())) <= 100
    return re.sub(" +", " ", done.stdout)


def test_every_line_of_history_is_the_one_an_accountant_expects(played: str) -> None:
    dated = [line for line in played.splitlines() if re.match(r"\d{4}-", line)]
    assert dated == HISTORY.strip().splitlines()


def test_every_amount_is_explained_by_days_worked_out_by_hand(played: str) -> None:
    assert (APRIL, JULY, NOVEMBER, DECEMBER) == (566_66, 9_180_32, 483_87, 433_33)
    place = 0
    for line in EXPLAINED.strip().splitlines():
        wanted = re.sub(r"\{(\d+)\}", lambda found: rupees(int(found[1])), line)
        place = played.find(wanted, place)
        assert place >= 0, f"{wanted} is missing in:\n{played}"


def test_the_books_balance_in_the_middle_and_at_the_end(played: str) -> None:
    # Until 1 August: five months at their price, April's upgrade for what credit left to pay, a year.
    first = 4 * BASIC + PRO - APRIL + YEAR
    to_come = PRO * 17 // 31  # PRO from 18 July until 18 August
    left = JULY - PRO
    middle = played.partition("The books on 2027-08-01.")[2]
    for line in (
        f"Paid in total {rupees(first)} 6 payments",
        f"= days had {rupees(first - to_come - left)}",
        f"+ days to come {rupees(to_come)}",
        f"+ credit {rupees(left)}",
        f"The wallet's ledger {rupees(first)} 6 payments",
        "= together 138 58",
        "The gate gave 138 58",
    ):
        assert line in middle, line
    # At the end everything was had: of BASIC what was used, of PRO six months.
    paid = first + (3 * PRO - JULY) + BASIC + (BASIC - NOVEMBER) + (PRO - DECEMBER) + PRO + BASIC
    had = (
        2 * BASIC + (BASIC - APRIL) + PRO + BASIC + (YEAR - JULY) + 3 * PRO  # until 18 October
        + (BASIC - NOVEMBER) + (BASIC - DECEMBER) + 2 * PRO + BASIC
    )  # fmt: skip
    assert paid == had == 29_735_82
    end = played.partition("The books on 2028-03-17.")[2]
    for line in (
        "Paid in total NPR 29,735.82 12 payments",
        "= days had NPR 29,735.82",
        "+ days to come NPR 0",
        "+ credit NPR 0",
        "The wallet's ledger NPR 29,735.82 12 payments",
        # BASIC: 28 + 31 + 13 + 31 + 30 + 16 + 17 + 29; PRO: 30 + 31 + 31 + 30 + 31 + 31.
        "paid for 195 184",
        "trial 0 14",
        "grace 5 1",
        "extension 3 0",
        "gift 0 10",
        "= together 203 209",
        "The gate gave 203 209",
        "and 13 days of FREE: 425 days from 2027-01-17 until 2028-03-17",
        "The books balance, to the paisa and to the day.",
    ):
        assert line in end, line


def test_the_documentation_quotes_the_story(played: str) -> None:
    section = (PROJECT.parent / "docs" / "subscriptions.md").read_text().partition("fourteen_months\n")[2]
    quoted = section.partition("```")[0].splitlines()
    assert len(quoted) > 5
    assert {re.sub(" +", " ", line) for line in quoted} - {"..."} <= set(played.splitlines())


def test_a_product_that_counts_a_day_wrong_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    bug = "import django_tenant_billing.lifecycle as l; f = l.unused; l.unused = lambda *a: (f(*a)[0] - 1, f(*a)[1])"
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nif 'play_months' in sys.orig_argv:\n    {bug}\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    stopped = manage("fourteen_months", PYTHONPATH=paths)
    assert stopped.returncode == 1
    assert "The books do not balance." in stopped.stderr
    assert "17 of 30 days unused at NPR 1,000 are NPR 566.66, but NPR 533.33 became credit." in stopped.stderr


def test_months_that_are_terminated_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "manage.py"), "fourteen_months"],
            env=example_environment(TMPDIR=str(tmp_path / "scratch")),
            stdout=file,
            stderr=file,
        )
    until(lambda: "trial started" in output.read_text(), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert "The months were interrupted." in output.read_text()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_story_is_not_told_on_a_database_of_somebodys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    assert manage("migrate", "orgs", "--verbosity", "0", DATABASE_URL=url).returncode == 0
    refused = manage("play_months", DATABASE_URL=url, SIMULATOR_URL="http://127.0.0.1:9")
    assert refused.returncode == 1
    assert "needs a simulator and an empty database" in refused.stderr


# ---- the books -------------------------------------------------------------------------------------------------------


def days(first: str, number: int) -> list[date]:
    return [date.fromisoformat(first) + timedelta(days=passed) for passed in range(number)]


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's module, which needs nothing of the example's settings."""
    monkeypatch.syspath_prepend(PROJECT)
    yield importlib.import_module("tour.accounts")
    for name in ("tour", "tour.accounts"):
        del sys.modules[name]


@pytest.fixture
def balanced(accounts: Any) -> Any:
    """A trial of 10 days, 13 of 30 days of BASIC at NPR 1,000, then PRO, of which 20 of 30 days are to come."""
    return accounts.Books(
        start=date(2027, 3, 23),
        today=date(2027, 4, 25),
        paid=(BASIC, PRO - APRIL),
        taken=(BASIC, PRO - APRIL),
        credit=0,
        bought=(
            accounts.Bought(
                plan="BASIC", first=date(2027, 4, 2), last=date(2027, 5, 2), value=BASIC,
                closed=date(2027, 4, 15), credited=APRIL,
            ),
            accounts.Bought(plan="PRO", first=date(2027, 4, 15), last=date(2027, 5, 15), value=PRO),
        ),
        given=(accounts.Given(kind="trial", plan="PRO", first=date(2027, 3, 23), last=date(2027, 4, 2)),),
        gate={day: "BASIC" if 2 <= day.day < 15 and day.month == 4 else "PRO" for day in days("2027-03-23", 33)},
    )  # fmt: skip


def test_books_that_balance_have_no_problems(balanced: Any) -> None:
    assert list(balanced.problems()) == []
    assert balanced.to_come == PRO * 20 // 30
    assert balanced.had == BASIC - APRIL + PRO * 10 // 30


def closed(books: Any, **changes: Any) -> dict[str, Any]:
    """The same books with a changed first span."""
    return {"bought": (replace(books.bought[0], **changes), books.bought[1])}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda books: {"taken": (BASIC, PRO)}, "the wallet's ledger of NPR 1,000, NPR 3,900"),
        (lambda books: {"taken": (BASIC,)}, "the wallet's ledger of NPR 1,000."),
        (lambda books: {"credit": 1}, "and credit (NPR 0.01) are NPR 4,333.35"),
        (lambda books: closed(books, credited=APRIL + 1), "are NPR 566.66, but NPR 566.67 became credit"),
        (lambda books: closed(books, closed=date(2027, 4, 16)), "16 of 30 days unused"),
        (
            lambda books: closed(books, closed=None),
            "BASIC from 2027-04-02 until 2027-05-02 goes on, but NPR 566.66 of it became",
        ),
        (lambda books: {"bought": books.bought[:1]}, "NPR 4,333.34 was paid, but days had (NPR 433.34)"),
        (lambda books: {"given": ()}, "2027-04-01 was paid for or given as FREE, but the gate gave PRO."),
        (lambda books: {"given": books.given * 2}, "2027-04-01 was paid for or given as PRO and PRO, but"),
        (lambda books: {"gate": books.gate | {date(2027, 4, 15): "BASIC"}}, "given as PRO, but the gate gave BASIC."),
        (lambda books: {"gate": books.gate | {date(2027, 4, 14): "FREE"}}, "given as BASIC, but the gate gave FREE."),
        (
            lambda books: {"today": date(2027, 4, 26)},
            "2027-04-25 was paid for or given as PRO, but the gate gave None.",
        ),
    ],
)
def test_a_wrong_number_in_the_books_is_told(balanced: Any, wrong: Any, said: str) -> None:
    problems = list(replace(balanced, **wrong(balanced)).problems())
    assert any(said in problem for problem in problems), problems
