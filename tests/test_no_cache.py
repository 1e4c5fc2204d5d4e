"""No cache takes part in a decision, a page or a JSON of ours: one that fails or lies changes nothing (X1, X2)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command

from django_tenant_billing import clock, quotas
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import PaymentTransaction, PlanLimit
from tests.members import member
from tests.test_payments import pay, plan_of, start
from tests.testapp.models import Organization


class Used(Exception):
    """Somebody asked the cache."""


class Down(BaseCache):
    """A cache whose server is gone: every use fails."""

    def __init__(self, _server: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        raise Used

    get = set = touch = delete = clear = has_key = incr = get_many = set_many = delete_many = add


class Lies(LocMemCache):
    """A cache that knows a wrong answer to every question."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return 10**9

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return True

    def get_many(self, keys: Any, version: int | None = None) -> Any:
        return dict.fromkeys(keys, 10**9)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return 0


BACKENDS = {"none": "django.core.cache.backends.dummy.DummyCache"} | {
    backend.__name__.lower(): f"{__name__}.{backend.__name__}" for backend in (Down, Lies)
}


def use(settings: Any, name: str) -> None:
    settings.CACHES = {"default": {"BACKEND": BACKENDS[name]}}


def seen(organization: Organization, user: User, simulator: Server, tag: str) -> list[Any]:
    """A life of an organization, and all that was decided and shown in it."""
    client = member(organization, user)
    found: list[Any] = []
    for path in ("", "plans/", "payments/", "checkout/?plan=PRO", "usage/", "subscription/"):
        answer = client.get(f"/billing/{path}")
        found.append((path, answer.status_code, answer.content.decode()))
    for _time in range(12):
        decision = quotas.check(organization, "invoices")
        found.append((decision.allowed, decision.used, decision.limit))
        try:
            quotas.consume(organization, "invoices")
        except QuotaExceeded as error:
            found.append(str(error))
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=11)
    found.append(quotas.check(organization, "invoices").allowed)
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=10)
    found.append(quotas.check(organization, "invoices").allowed)
    init = client.post("/billing/khalti/init/", {"plan": "BASIC"}, "application/json").json()
    payment = PaymentTransaction.objects.get(reference=init["reference"])
    pay(simulator, payment)
    answer = client.get(f"/billing/khalti/callback/{payment.reference}/", {"pidx": payment.gateway_reference or ""})
    found.append((answer.status_code, client.get(answer.headers["Location"]).content.decode()))
    answer = client.post("/billing/khalti/verify/", {"reference": payment.reference}, "application/json")
    found.append((answer.status_code, answer.content.decode()))
    closed = start(organization, "PRO")
    pay(simulator, closed)
    with clock.moved(timedelta(minutes=2)):
        call_command("reconcile_payments", verbosity=0)
    found.append((plan_of(organization), client.get("/billing/usage/").json()["features"]["invoices"]["limit"]))
    moments = r"\d{4}-\d\d-\d\dT[^\"]+|[\d:]+ [ap]\.m\."
    return [re.sub(rf"TB-\w+|[0-9A-Za-z]{{64}}|{moments}|{tag}", "", str(one)) for one in found]


@pytest.mark.parametrize("name", ["down", "lies"])
def test_x2_a_cache_that_is_down_or_lies_changes_no_decision_no_page_and_no_json(
    simulator: Server, catalogue: None, user: User, settings: Any, name: str
) -> None:
    told = {}
    with clock.moved(timedelta()):
        for backend in ("none", name):
            use(settings, backend)
            told[backend] = seen(
                Organization.objects.create(name=f"Site {backend}"), user, simulator, f"Site {backend}"
            )
    assert told[name] == told["none"]
    assert "Reached invoice limit (10). Upgrade your plan." in told[name]
    assert told[name][-1] == "('PRO', 3000)"


def test_x1_there_is_nothing_that_a_reader_could_put_back_stale(organization: Organization, settings: Any) -> None:
    use(settings, "down")
    before, limits = quotas.check(organization, "invoices").limit, []
    for number in (11, 0, None, 5):
        PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=number)
        limits.append(quotas.check(organization, "invoices").limit)
    assert (before, limits) == (10, [11, 0, None, 5])


def test_x2_the_caches_of_these_tests_would_be_noticed(settings: Any) -> None:
    use(settings, "down")
    with pytest.raises(Used):
        cache.get("x")
    with pytest.raises(Used):
        cache.get_or_set("x", 10)
    use(settings, "lies")
    assert cache.get("limit") == cache.get_many(["x"])["x"] == cache.get_or_set("limit", 10) == 10**9
    assert "limit" in cache
    assert cache.incr("tries") == 0
