"""What does not depend on the machine: the statements of a call, and the races."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from benchmarks import variants
from benchmarks.cells import Bench, Figures
from benchmarks.clients import Crew, Variant
from benchmarks.databases import LOW_LIMIT, use
from benchmarks.goals import Measured
from django_tenant_billing import quotas
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.testing import set_used
from tests.testapp.models import Organization

TRANSACTION = ("SAVEPOINT", "RELEASE", "ROLLBACK")
"""What a statement of a transaction starts with, where Django sends it through a cursor at all."""

RACERS = 8
RACES = 5


def statements(bench: Bench) -> Figures:
    """Statements of a call, those of the transaction not counted"""
    use(bench.small)
    organization = Organization.objects.create(name="Fresh")
    consume = variants.consume_api_calls()
    exists = _counted(lambda: bool(quotas.consume(organization, "customers")))
    first = _counted(lambda: consume(organization))
    figures = {
        "first use": Measured(first.value, f"{first.text}; of a feature that exists {exists.text}"),
        "grant": _counted(lambda: consume(organization)),
    }
    set_used(organization, "api_calls", LOW_LIMIT)
    figures["denial"] = _counted(lambda: consume(organization))
    print("\n".join(f"{name}: {found.text}" for name, found in figures.items()))
    return figures


def _counted(call: Callable[[], bool]) -> Measured:
    verbs = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's
        if not sql.startswith(TRANSACTION):
            verbs.append(sql.split(maxsplit=1)[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        call()
    return Measured(len(verbs), f"{len(verbs)} ({', '.join(verbs)})")


def races(bench: Bench) -> Figures:
    """8 processes, each trying 100 times, against a limit of 100 and, for ours, no counter yet"""
    over = 0
    for name, make, settings in (
        ("consume", variants.consume_api_calls, bench.small),
        ("consume, prepared", variants.consume_api_calls, bench.prepared),
        ("read, compare, save", variants.naive, bench.small),
    ):
        grants = []
        for _number in range(RACES):
            use(bench.small)
            organization = Organization.objects.create(name="Contended")
            if make is variants.naive:
                set_used(organization, "api_calls", 0)
            grants.append(_race(Variant(name, make, settings, [organization.pk])))
            if make is not variants.naive:
                use(bench.small)
                counted = UsageCounter.objects.get(organization=organization, feature="api_calls").used
                over += max(grants[-1], counted) - LOW_LIMIT
                if grants[-1] != counted:
                    raise AssertionError(f"{grants[-1]} granted, {counted} stored")
        print(f"{name}: granted {grants} of {LOW_LIMIT}")
    return {"over-grants": Measured(abs(over), f"{over} in {2 * RACES} races")}


def _race(variant: Variant) -> int:
    with Crew(variant, RACERS) as crew:
        return crew.run(calls=LOW_LIMIT, warm_up=0).granted
