"""The peers' guards beside ours: their own code, with the row that each guard is for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

from django.apps import apps
from django.db import connection

from benchmarks import variants
from benchmarks.cells import Bench, Figures, figure, verify
from benchmarks.clients import Variant
from benchmarks.databases import Settings, add_counters, use
from benchmarks.goals import Measured
from benchmarks.ratios import Round, ratio
from tests.testapp.models import Customer

VINTA, PLANS = "vinta-django-billing", "django-plans"
PEERS = {"vinta_billing": (VINTA, "peer_vinta"), "plans": (PLANS, "peer_plans")}
FEW = range(1, 1_001)
"""Tenants with a handful of customers."""

HEAVY = {"100,000": range(1_001, 1_011), "1,000,000": range(1_011, 1_101)}
"""Tenants with 10,000 each, by the customers of all of them: their rows lie the further apart, the more there are."""

ROWS = 10_000
TENANTS = range(1, 1_101)
GOALS = {"vinta": VINTA, "plans": PLANS}


def installed() -> dict[str, ModuleType]:
    """By the name of the package."""
    return {
        package: import_module(f"benchmarks.{module}")
        for app, (package, module) in PEERS.items()
        if apps.is_installed(app)
    }


def peers(bench: Bench) -> Figures:
    """PostgreSQL, 1 client, 1,000 tenants: guard and insert in one transaction, then the guards alone"""
    found = installed()
    for package, _module in PEERS.values():
        print(f"{package} {version(package) if package in found else 'not installed (dependency group bench)'}")
    settings = bench.postgres.fill("peers", TENANTS[-1])
    use(settings)
    add_counters("customers", len(TENANTS))
    for peer in found.values():
        peer.seed(TENANTS)
    few = _create(bench, settings, found, FEW)
    figures = {key: figure(ratio(few, "consume", package)) for key, package in GOALS.items() if package in found}
    heavy = {}
    for customers, keys in HEAVY.items():
        print(f"-- tenants with {ROWS:,} customers of {customers}")
        use(settings)
        _add_customers(keys)
        rounds = _create(bench, settings, found, keys)
        if VINTA in found:
            heavy[customers] = ratio(rounds, "consume", VINTA)
    if heavy:
        text = "; ".join(f"{each} among {customers}" for customers, each in heavy.items())
        # By the less favourable one: which it is depends on the site.
        figures["vinta 10,000"] = Measured(min(each.median for each in heavy.values()), text)
    print("-- the guards alone")
    guards = [Variant(package, peer.guard, settings, FEW) for package, peer in found.items()]
    ours = Variant("consume", variants.consume, settings, FEW)
    bench.measure([ours, *guards], baselines=["consume"], uncounted=list(found))
    return figures


def _create(bench: Bench, settings: Settings, found: dict[str, ModuleType], keys: Sequence[int]) -> list[Round]:
    use(settings)
    before = Customer.objects.count()
    cell = bench.measure(
        [
            Variant("no guard", variants.create_only, settings, keys),
            Variant("consume", variants.create_and_consume, settings, keys),
            Variant("consuming", variants.create_consuming, settings, keys),
            *(Variant(package, peer.create, settings, keys) for package, peer in found.items()),
        ],
        baselines=["no guard", *found], uncounted=["no guard", *found],
    )  # fmt: skip
    verify(cell.granted.total(), Customer.objects.count() - before)
    return cell.rounds


def _add_customers(keys: range) -> None:
    with connection.cursor() as cursor:
        # In the order in which customers come, which is not by tenant.
        cursor.execute(
            """INSERT INTO testapp_customer (organization_id, name)
            SELECT o, 'Customer' FROM generate_series(%s, %s) o, generate_series(1, %s) ORDER BY random()""",
            (keys[0], keys[-1], ROWS),
        )
        cursor.execute("VACUUM ANALYZE")
