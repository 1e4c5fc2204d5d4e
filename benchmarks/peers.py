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
from benchmarks.ratios import Round, ratio
from tests.testapp.models import Customer

VINTA, PLANS = "vinta-django-billing", "django-plans"
PEERS = {"vinta_billing": (VINTA, "peer_vinta"), "plans": (PLANS, "peer_plans")}
FEW, HEAVY = range(1, 1_001), range(1_001, 1_101)
"""Tenants with a handful of customers, and tenants with 10,000 each: a site with a million customers."""

ROWS = 10_000


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
    settings = bench.postgres.fill("peers", HEAVY[-1])
    use(settings)
    _seed(found)
    figures = {}
    few = _create(bench, settings, found, FEW)
    if VINTA in found:
        figures["vinta"] = figure(ratio(few, "consume", VINTA))
        print(f"-- tenants with {ROWS:,} rows each")
        heavy = _create(bench, settings, found, HEAVY)
        figures["vinta 10,000"] = figure(ratio(heavy, "consume", VINTA))
    if PLANS in found:
        figures["plans"] = figure(ratio(few, "consume", PLANS))
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


def _seed(found: dict[str, ModuleType]) -> None:
    add_counters("customers", HEAVY[-1])
    with connection.cursor() as cursor:
        # In the order in which customers come, which is not by tenant.
        cursor.execute(
            """INSERT INTO testapp_customer (organization_id, name)
            SELECT o, 'Customer' FROM generate_series(%s, %s) o, generate_series(1, %s) ORDER BY random()""",
            (HEAVY[0], HEAVY[-1], ROWS),
        )
    for peer in found.values():
        peer.seed([*FEW, *HEAVY])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
