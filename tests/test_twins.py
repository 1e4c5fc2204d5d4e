"""The async twins: each does what its sync one does, with everything it was given."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import KeyReused, QuotaExceeded, ReleaseTooLarge, UnknownFeature
from django_tenant_billing.models import Hold, UsageEntry
from tests.quota_tools import numbers, with_ledger
from tests.testapp.models import Invoice, Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ledger(settings: Any, organization: Organization) -> Organization:
    settings.TENANT_BILLING_CATALOGUE = with_ledger("invoices")
    return organization


def run(story: Coroutine[Any, Any, None]) -> None:
    """To the end, and without leaving the connection of its thread open."""

    async def told() -> None:
        try:
            await story
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(told())


def lines() -> list[tuple[Any, ...]]:
    return list(UsageEntry.objects.order_by("pk").values_list("change", "verb", "actor", "subject"))


def test_every_verb_has_a_twin_that_takes_the_same() -> None:
    twins = [name for name in quotas.__all__ if name.startswith("a")]
    assert len(twins) == 8
    for name in set(twins) - {"aconsuming"}:
        twin, verb = getattr(quotas, name), getattr(quotas, name[1:])
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(verb)
    for owner, name in ((quotas.Grant, "release"), (quotas.Reservation, "commit"), (quotas.Reservation, "release")):
        assert inspect.signature(getattr(owner, f"a{name}")) == inspect.signature(getattr(owner, name))


def test_consuming_tracking_and_giving_back(ledger: Organization) -> None:
    async def story() -> None:
        grant = await quotas.aconsume(
            ledger, "invoices", 12, when_short="cap", key="k", actor="sita", subject="invoice 7"
        )
        assert (grant.amount, grant.replayed) == (10, False)
        assert (await quotas.aconsume(ledger, "invoices", 12, when_short="cap", key="k")).replayed is True
        with pytest.raises(KeyReused):
            await quotas.atrack(ledger, "invoices", 12, key="k")
        with pytest.raises(QuotaExceeded):
            await quotas.aconsume(ledger, {"api_calls": 1, "invoices": 1})
        assert [await grant.arelease(), await grant.arelease()] == [True, False]
        await quotas.atrack(ledger, {"invoices": 3}, actor="hari", subject="import")
        await quotas.arelease(ledger, "invoices", 2, actor="ram", subject="mistake")
        with pytest.raises(ReleaseTooLarge):
            await quotas.arelease(ledger, "invoices", 2)

    run(story())
    assert lines() == [
        (10, "consume", "sita", "invoice 7"),
        (-10, "release", "sita", "invoice 7"),
        (3, "track", "hari", "import"),
        (-2, "release", "ram", "mistake"),
    ]
    assert (numbers(ledger), numbers(ledger, "api_calls")) == ((1, 0), (0, 0))


def test_looking_and_setting(ledger: Organization) -> None:
    async def story() -> None:
        assert await quotas.aset_usage(ledger, "invoices", 7, actor="sita", subject="import") == (0, 7)
        decision = await quotas.acheck(ledger, "invoices", 3)
        assert (decision.used, decision.amount, decision.allowed) == (7, 3, True)
        decisions = await quotas.acheck_all(ledger)
        assert [(d.feature, d.used) for d in decisions[:2]] == [("invoices", 7), ("customers", 0)]
        assert len(decisions) == 5
        for wrong in (quotas.acheck(ledger, "invocies"), quotas.aset_usage(ledger, "invocies", 1)):
            with pytest.raises(UnknownFeature):
                await wrong

    run(story())
    assert lines() == [(7, "set", "sita", "import")]


def test_reserving_committing_and_letting_go(ledger: Organization) -> None:
    async def story() -> None:
        reservation = await quotas.areserve(
            ledger, "invoices", 12, expires_in=timedelta(days=2), when_short="cap", key="k", actor="sita", subject="job"
        )
        assert (reservation.amounts, reservation.replayed) == ({"invoices": 10}, False)
        again = await quotas.areserve(ledger, "invoices", 12, when_short="cap", key="k")
        assert (again.key, again.replayed, again.expires_at) == (reservation.key, True, reservation.expires_at)
        with pytest.raises(QuotaExceeded):
            await quotas.areserve(ledger, "invoices")
        with pytest.raises(ValueError, match="at most 7 days"):
            await quotas.areserve(ledger, "invoices", expires_in=timedelta(days=8))
        grant = await reservation.acommit({"invoices": 4})
        assert grant is not None
        assert grant.amounts == {"invoices": 4}
        assert (await again.acommit(1), await again.arelease()) == (None, False)
        let_go = await quotas.areserve(ledger, "invoices", 6)
        assert [await let_go.arelease(), await let_go.arelease()] == [True, False]

    run(story())
    assert (numbers(ledger), lines()) == ((4, 0), [(4, "commit", "sita", "job")])
    first = Hold.objects.earliest("pk")
    assert first.expires_at - first.at > timedelta(days=1)


def test_working_and_counting_in_one_transaction(ledger: Organization) -> None:
    def work() -> str:
        Invoice.objects.create(organization=ledger, number="I1")
        return "made"

    def fail() -> None:
        Invoice.objects.create(organization=ledger, number="I2")
        raise RuntimeError

    async def story() -> None:
        asked = {"invoices": 2, "api_calls": 3}
        assert await quotas.aconsuming(ledger, asked, 1, work, actor="sita", subject="I1") == "made"
        with pytest.raises(RuntimeError):
            await quotas.aconsuming(ledger, asked, 1, fail)

    run(story())
    assert (numbers(ledger), numbers(ledger, "api_calls"), Invoice.objects.count()) == ((2, 0), (3, 0), 1)
    assert lines() == [(2, "consume", "sita", "I1")]
