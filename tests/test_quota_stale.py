"""What is remembered somewhere else decides nothing: a poisoned cache and an edited limit, at every entry point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.db import connections
from django.test import Client

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import PlanLimit, Usage
from django_tenant_billing.testing import set_used
from tests.testapp.models import Customer, Organization

POISON = 10**9


class PoisonedCache(BaseCache):
    """Every key is there, and claims a limit of a milliard."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return POISON


@pytest.fixture
def full(settings: Any, organization: Organization) -> Organization:
    """At an edited limit, with a cache that says otherwise, after everything was asked once in good days."""
    PlanLimit.objects.filter(plan="FREE").update(limit_value=1000)
    for feature in ("invoices", "customers", "reports"):
        assert quotas.check(organization, feature)
    set_used(organization, "invoices", 7)
    set_used(organization, "customers", 7)
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.PoisonedCache"}}
    # As an editor does who knows no model of ours: no save(), no signal.
    PlanLimit.objects.filter(plan="FREE").update(limit_value=7)
    PlanLimit.objects.filter(plan="FREE", feature="reports").update(limit_value=0)
    return organization


def test_the_poison_works(full: Organization) -> None:
    assert cache.get("anything") == POISON
    assert cache.get_many(["a", "b"]) == {"a": POISON, "b": POISON}


def enter_block(organization: Organization) -> None:
    with quotas.consuming(organization, "invoices"):
        raise AssertionError("the block must not run")  # pragma: no cover


VERBS: dict[str, Callable[[Organization], Any]] = {
    "consume": lambda o: quotas.consume(o, "invoices"),
    "consume several": lambda o: quotas.consume(o, {"api_calls": 1, "invoices": 1}),
    "consume what is on or off": lambda o: quotas.consume(o, "reports"),
    "consume with a key": lambda o: quotas.consume(o, "invoices", key="k"),
    "consume, capped": lambda o: quotas.consume(o, "invoices", when_short="cap"),
    "consuming": enter_block,
    "enter": lambda o: quotas.enter(o, "invoices"),
    "reserve": lambda o: quotas.reserve(o, "invoices"),
    "reserve with a key": lambda o: quotas.reserve(o, "invoices", key="k"),
    "reserve, capped": lambda o: quotas.reserve(o, "customers", when_short="cap"),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_refuses(full: Organization, verb: str) -> None:
    with pytest.raises(QuotaExceeded) as caught:
        VERBS[verb](full)
    assert caught.value.decision.limit in {0, 7}
    # The valid control: in the very next call the row says otherwise.
    PlanLimit.objects.filter(plan="FREE").update(limit_value=8)
    with opened(verb):
        VERBS[verb](full)


@contextmanager
def opened(verb: str) -> Iterator[None]:
    """Let in, the block runs; and a denial under a key is the answer to that key for ever."""
    expected = {"consuming": AssertionError, "consume with a key": QuotaExceeded, "reserve with a key": QuotaExceeded}
    if verb in expected:
        with pytest.raises(expected[verb]):
            yield
    else:
        yield


def test_every_look_says_no(full: Organization) -> None:
    assert not quotas.check(full, "invoices")
    assert not any(d for d in quotas.check_all(full) if d.feature in {"invoices", "customers", "reports"})
    usage = Usage.objects.get(organization=full)
    assert usage.can_create_invoice() == (False, "Reached invoice limit (7). Upgrade your plan.")
    assert not usage.can_add_customer()[0]


@pytest.fixture
def browser(full: Organization) -> Client:
    client = Client(headers={"X-Organization": str(full.pk), "Accept": "application/json"})
    client.force_login(User.objects.create_user("stale"))
    return client


@pytest.mark.parametrize(
    "path", ["/invoices/new/", "/customers/new/", "/customers/new-with-formset/", "/async-decorated/"]
)
def test_every_guarded_view_refuses(full: Organization, browser: Client, path: str) -> None:
    response = browser.post(path, {"name": "Sita"})
    assert (response.status_code, response.json()["limit"]) == (403, 7)
    assert not Customer.objects.exists()


def test_the_page_of_usage_says_what_the_gate_says(full: Organization, browser: Client) -> None:
    feature = browser.get("/billing/usage/").json()["features"]["invoices"]
    assert (feature["limit"], feature["remaining"], feature["allowed"]) == (7, 0, False)
    assert browser.get("/report/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_every_async_verb_refuses(full: Organization) -> None:
    async def refused(call: Any) -> None:
        with pytest.raises(QuotaExceeded):
            await call

    async def story() -> None:
        assert not await quotas.acheck(full, "invoices")
        await refused(quotas.aconsume(full, "invoices"))
        await refused(quotas.areserve(full, "invoices"))
        await refused(quotas.aconsuming(full, "invoices", 1, lambda: None))
        await sync_to_async(connections.close_all)()

    asyncio.run(story())


def test_a_limit_that_is_remembered_lets_everybody_in(full: Organization) -> None:
    """The negative control: what most code does, and what the poison was made for."""

    def naive_allowed() -> bool:
        return quotas.check(full, "invoices").used + 1 <= int(cache.get("limit:FREE:invoices"))

    assert naive_allowed()
