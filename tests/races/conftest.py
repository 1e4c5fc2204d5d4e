"""How often a race is run: enough to see a bug in CI, far more in ``tox -e deep``."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from django.db import connection

from tests.races.harness import run_processes, run_together


@pytest.fixture(scope="session")
def runs() -> int:
    return int(os.environ.get("DTB_RACE_RUNS", "20"))


@pytest.fixture
def together() -> Callable[[int, Callable[[int], int]], list[int]]:
    """Threads where the database is a server, processes where it is a file."""
    return run_processes if connection.vendor == "sqlite" else run_together
