"""The command: a server of its own, the measurements one after the other, the table of the goals."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks import goals
from benchmarks.cells import SMALL, Bench, Figures, contended, core, growth, hot, lite
from benchmarks.databases import Postgres, scalar, use
from benchmarks.exactness import races, statements
from benchmarks.peers import peers
from benchmarks.server import SETTINGS, postgres
from django_tenant_billing import __version__

MEASUREMENTS: dict[str, Callable[[Bench], Figures]] = {
    "statements": statements,
    "races": races,
    "core": core,
    "contended": contended,
    "peers": peers,
    "sqlite": lite,
    "hot": hot,
    "growth": growth,
}


def main() -> int:
    options = arguments()
    started = monotonic()
    measured: Figures = {}
    with TemporaryDirectory(prefix="dtb-bench-") as scratch, postgres(Path(scratch) / "postgres") as where:
        server = Postgres(where)
        bench = Bench(
            server, Path(scratch), rounds=options.rounds, seconds=options.seconds,
            large=100_000 if options.quick else 1_000_000,
        )  # fmt: skip
        server.prepare()
        server.fill("small", len(SMALL))
        introduce(bench)
        for name in options.only or MEASUREMENTS:
            print(f"\n== {name}: {MEASUREMENTS[name].__doc__} (load {os.getloadavg()[0]:.1f})", flush=True)
            measured |= MEASUREMENTS[name](bench)
        use(server.settings("postgres"))
    print(f"\n== goals (1 client, fsync on), after {monotonic() - started:.0f} s")
    print("\n".join(goals.table(measured)))
    return 1 if goals.broken(measured) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios, measured side by side.")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="short windows, few rounds: is it all still running?")
    parser.add_argument("--rounds", type=int, help="default: 15, or 5 with --quick")
    parser.add_argument("--seconds", type=float, help="of one window; default: 0.1, or 0.05 with --quick")
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 15)
    options.seconds = options.seconds or (0.05 if options.quick else 0.1)
    return options


def introduce(bench: Bench) -> None:
    """What it was measured with; the settings as the server says them."""
    use(bench.small)
    versions = {
        "django-tenant-billing": __version__,
        **{package: version(package) for package in ("Django", "psycopg")},
        "PostgreSQL": scalar("SHOW server_version"),
        "SQLite": sqlite3.sqlite_version,
        platform.python_implementation(): platform.python_version(),
    }
    print(", ".join(f"{name} {number}" for name, number in versions.items()), f"on {os.cpu_count()} CPUs")
    print(", ".join(f"{name} {scalar(f'SHOW {name}')}" for name in SETTINGS))
    print(f"{bench.rounds} rounds of {bench.seconds} s windows; a ratio is the median over the rounds (min..max)")


if __name__ == "__main__":
    sys.exit(main())
