"""The runner of tests/mutants: each mutant still finds its place, and what no test sees is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import MUTANTS, main, survivors
from tests.mutants.mutant import Mutant, NotApplicable, one
from tests.mutants.runner import PACKAGE, ROOT, SETTINGS, NoVerdict, run

STATES = "test_states.py"
"""The cheapest of all: it needs no database."""

HARMLESS = one("harmless", "states.py", "No database.", "No database!", STATES)


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_every_mutant_changes_what_stands_in_the_source_once_and_names_tests_that_are_there(mutant: Mutant) -> None:
    assert all(path.read_text() != text for path, text in mutant.planted(PACKAGE).items())
    assert mutant.tests
    assert all((ROOT / "tests" / name).is_file() for name in mutant.tests)
    assert mutant.database in SETTINGS


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("what is nowhere in the source", "x", id="gone"),
        pytest.param("PaymentState", "x", id="several times"),
        pytest.param("No database.", "No database.", id="changes nothing"),
    ],
)
def test_a_mutant_that_finds_no_place_of_its_own_is_an_error_and_no_kill(old: str, new: str) -> None:
    with pytest.raises(NotApplicable, match="mend this mutant"):
        run(one("misplaced", "states.py", old, new, STATES), (STATES,))


def test_a_mutant_that_is_no_python_is_an_error_and_no_kill() -> None:
    with pytest.raises(SyntaxError):
        one("broken", "states.py", "def may_move(", "def may_move((", STATES).planted(PACKAGE)


def test_a_harmless_mutant_survives_and_one_of_ours_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert survivors([HARMLESS]) == ["harmless"]
    assert main(["paid, in the table"]) == 0
    told = capsys.readouterr().out
    assert "SURVIVED" in told
    assert "a failure overwrites paid, in the table: test_states.py::test_" in told
    assert told.endswith("1 of 1 killed\n")
    assert (PACKAGE / "states.py").read_text().count("No database.") == 1


def test_tests_that_fail_without_the_mutant_kill_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert survivors([HARMLESS], seconds=0.01) == ["harmless"]
    assert "without it a test that hangs for 0.01 seconds fails too" in capsys.readouterr().out


def test_tests_that_cannot_be_run_are_an_error_and_no_kill() -> None:
    with pytest.raises(NoVerdict, match=r"nowhere\.py"):
        run(None, ("nowhere.py",))


def test_a_word_that_no_mutant_has_is_a_failure() -> None:
    command = [sys.executable, "-m", "tests.mutants", "no such mutant"]
    told = subprocess.run(command, cwd=Path(ROOT), capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (1, "0 of 0 killed")
