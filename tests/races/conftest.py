"""How often a race is run: enough to see a bug in CI, far more in ``tox -e deep``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from django_tenant_billing.models import ReceiptSequence
from django_tenant_billing.models.receipts import SERIES
from django_tenant_billing.testing import seed_catalogue
from tests.conftest import use_simulator
from tests.races.counting import Together, set_limit
from tests.races.harness import run_processes, run_together, simulator_process
from tests.testapp.models import Organization


@pytest.fixture(scope="session")
def runs() -> int:
    asked = int(os.environ.get("DTB_RACE_RUNS", "20"))
    # SQLite has one writer at a time: its processes queue for longer than they race.
    return max(asked // 4, 1) if connection.vendor == "sqlite" else asked


@pytest.fixture
def together() -> Together:
    """Threads where the database is a server, processes where it is a file."""
    return run_processes if connection.vendor == "sqlite" else run_together


@pytest.fixture(scope="session")
def wallet() -> Iterator[str]:
    """The address of the simulator, in a process of its own."""
    with simulator_process() as url:
        yield url


@pytest.fixture
def site(settings: Any, wallet: str, transactional_db: None) -> None:
    """A seeded site that pays at the wallet. Its receipts have begun: the very first costs more statements."""
    use_simulator(settings, wallet)
    seed_catalogue()
    ReceiptSequence.objects.create(name=SERIES)


@pytest.fixture
def contended(transactional_db: None) -> Organization:
    """An organization on FREE that may make 100 invoices."""
    seed_catalogue()
    set_limit(100)
    return Organization.objects.create(name="Contended")
