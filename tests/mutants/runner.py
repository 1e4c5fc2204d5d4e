"""Runs tests against a copy of the package, as it is or with a mutant in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import django_tenant_billing
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = Path(django_tenant_billing.__file__).parent
SETTINGS = {"sqlite": "tests.settings", "postgres": "tests.settings_postgres"}
SECONDS = 300
"""After this long the tests hang, which no test passes by."""

PASSED, FAILED = 0, 1
"""How pytest ends. Anything else is no verdict: it could not even collect."""


class NoVerdict(Exception):
    """The tests could not be run, so nothing is known of the mutant."""


@dataclass(frozen=True)
class Run:
    """How the tests ended: the first that failed, if any, and how long it took."""

    failed: str | None
    seconds: float


def run(mutant: Mutant | None, tests: tuple[str, ...], database: str = "sqlite", seconds: float = SECONDS) -> Run:
    """Run these test files until the first failure, against a copy of the package with the mutant in it.

    ``seconds`` is for all of them together. Raises NotApplicable, NoVerdict.
    """
    with _copy() as source:
        if mutant is not None:
            for path, text in mutant.planted(source / PACKAGE.name).items():
                path.write_text(text)
        began = time.monotonic()
        failed = _failed(source, tests, database, seconds)
    return Run(failed, time.monotonic() - began)


@contextmanager
def _copy() -> Iterator[Path]:
    with TemporaryDirectory(prefix="mutant-") as scratch:
        # With what is compiled: Python sees by its time that a planted file is another.
        shutil.copytree(PACKAGE, Path(scratch, PACKAGE.name))
        yield Path(scratch)


def _failed(source: Path, tests: tuple[str, ...], database: str, seconds: float) -> str | None:
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no",
        f"--ds={SETTINGS[database]}", *(f"tests/{name}" for name in tests),
    ]  # fmt: skip
    # Not measured: the copy is no file of ours.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)]), "DTB_RACE_RUNS": "8"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as pytest:  # fmt: skip
        try:
            output, _none = pytest.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # With whatever it started: a simulator, forked workers.
            os.killpg(pytest.pid, signal.SIGKILL)
            return f"a test that hangs for {seconds:g} seconds"
    if pytest.returncode not in (PASSED, FAILED):
        raise NoVerdict(f"pytest ended with {pytest.returncode}:\n{output[-2000:]}")
    if pytest.returncode == PASSED:
        return None
    return ", ".join(re.findall(r"^(?:FAILED|ERROR) tests/(.+?)(?: - |$)", output, re.M))
