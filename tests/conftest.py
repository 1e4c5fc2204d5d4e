"""The database server of the run, and the few fixtures that everybody needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from requests.adapters import HTTPAdapter

from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.models import Feature, Plan, PlanLimit, PlanPrice, Subscription
from django_tenant_billing.testing import seed_catalogue
from tests.databases import mariadb, postgres
from tests.folding import assert_no_violation
from tests.sales import START
from tests.testapp.models import Organization


@pytest.fixture(scope="session")
def database_server() -> Iterator[dict[str, Any]]:
    """A server for this run alone; nothing for SQLite."""
    start = {"postgres": postgres, "mariadb": mariadb}.get(settings.DTB_DB)
    if start is None:
        yield {}
        return
    # A short path: sockets have a length limit.
    with start(settings.SCRATCH.with_suffix(f".{settings.DTB_DB}")) as where:
        yield where


def inside_a_transaction() -> bool:
    """Has this thread begun one? That of a test case, which it ends with, does not count."""
    begun = [connection.atomic_blocks for connection in connections.all(initialized_only=True)]
    return any(not getattr(block, "_from_testcase", False) for blocks in begun for block in blocks)


@pytest.fixture(autouse=True)
def nobody_is_asked_inside_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """K7, over every test there is: while the network is waited for, no transaction is open and no lock is held."""
    send = HTTPAdapter.send

    def watched(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
        assert not inside_a_transaction(), "Somebody was asked over the network inside a transaction."
        return send(self, *args, **kwargs)

    monkeypatch.setattr(HTTPAdapter, "send", watched)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, database_server: dict[str, Any]
) -> None:
    connections["default"].settings_dict.update(database_server)


@pytest.fixture(autouse=True)
def _a2_log_folds_to_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end of every test with a database that is not marked ``breaks_the_log``."""
    names = {"db", "transactional_db"} & set(request.fixturenames)
    uses_database = bool(names) or request.node.get_closest_marker("django_db") is not None
    if uses_database:
        # First, so that it is rolled back last.
        request.getfixturevalue("transactional_db" if "transactional_db" in names else "db")
    yield
    if uses_database and request.node.get_closest_marker("breaks_the_log") is None:
        assert_no_violation()


@pytest.fixture
def catalogue(db: None) -> None:
    """The package's own plans, features and limits."""
    seed_catalogue()


@pytest.fixture
def organization(catalogue: None) -> Organization:
    """An organization on FREE."""
    return Organization.objects.create(name="Himal Traders")


@pytest.fixture
def guarded(catalogue: None) -> None:
    """The features that count the guarded models of the test site, 10 of each on FREE."""
    seed_guarded()


def seed_guarded() -> None:
    for slug, singular in (("projects", "project"), ("tasks", "task")):
        Feature.objects.create(slug=slug, singular=singular, plural=slug, kind="exists")
        PlanLimit.objects.create(plan_id="FREE", feature_id=slug, limit_value=10)


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
        },
        "esewa": {
            "BACKEND": "django_tenant_billing.gateways.esewa.EsewaGateway",
            "OPTIONS": {
                "merchant_code": "EPAYTEST",
                "merchant_secret": "8gBm/:&EnhH.1/q",
                "form_url": f"{url}api/epay/main/v2/form",
                "status_url": f"{url}api/epay/transaction/status/",
            },
        },
    }


@pytest.fixture
def sold(organization: Organization) -> Organization:
    """Nepali prices: BASIC 1,000 and PRO 3,900 a month, PRO 39,000 a year; three days of grace."""
    Plan.objects.exclude(pk="FREE").update(grace_days=3)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    Subscription.objects.update(anchor=START - timedelta(days=90), period_start=START - timedelta(days=90))
    return organization
