"""The hand-written SQL under the other way of binding parameters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from django_tenant_billing import quotas
from django_tenant_billing.models import Hold, PlanLimit, UsageCounter
from django_tenant_billing.testing import seed_catalogue
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bound_by_the_server() -> Iterator[None]:
    """What the docs recommend on PostgreSQL; the others have one way only."""
    options, before = connection.settings_dict["OPTIONS"], dict(connection.settings_dict["OPTIONS"])
    connection.close()
    options.update({"postgresql": {"server_side_binding": True, "prepare_threshold": 1}}.get(connection.vendor, {}))
    yield
    connection.close()
    options.clear()
    options.update(before)


@pytest.mark.usefixtures("bound_by_the_server")
def test_every_statement_runs_with_parameters_that_the_server_binds() -> None:
    seed_catalogue()
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=100)
    organization = Organization.objects.create(name="Himal Traders")
    for _time in range(3):  # the third is a prepared statement
        grant = quotas.consume(organization, {"customers": 1, "invoices": 1})
        quotas.track(organization, "api_calls", 2)
        reservation = quotas.reserve(organization, "invoices", 2)
        reservation.commit(3)
        quotas.reserve(organization, "invoices", 2).release()
        grant.release()
        Hold.objects.filter(key=quotas.reserve(organization, "api_calls", 90).key).update(expires_at=grant.at)
        quotas.consume(organization, "api_calls", 20)  # there is room once that is swept
        UsageCounter.objects.filter(feature="api_calls").delete()
    assert [decision.used for decision in quotas.check_all(organization)][:2] == [9, 0]
    assert quotas.consume(organization, "invoices", 200, when_short="cap").amount == 91
