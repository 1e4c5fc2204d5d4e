"""``python -m tests.mutants``: plants each defect into a copy of the package, and expects the tests to see it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache

from tests.mutants.mutant import Mutant
from tests.mutants.proofs import PROOFS
from tests.mutants.runner import SECONDS, run
from tests.mutants.writes import WRITES

MUTANTS = [*PROOFS, *WRITES]

NOT_OURS = {
    "a COUNT quota without the lock of its parent": "no quota counts rows: the counter's own row is the guard, and a "
    "recount, which counts rows, has a mutant above",
}
"""Known defects of other systems that this design has no place for."""


@cache
def broken(tests: tuple[str, ...], database: str, seconds: float) -> str | None:
    """What fails of these files without any mutant; None where a failure would be the mutant's own."""
    return run(None, tests, database, seconds).failed


def survivors(mutants: Iterable[Mutant], seconds: float = SECONDS) -> list[str]:
    """Run and print each; the names of those that no test sees, and of those whose tests fail without them."""
    names = []
    for mutant in mutants:
        if (failed := broken(mutant.tests, mutant.database, seconds)) is not None:
            print(f"CONTROL          {mutant.name}: without it {failed} fails too", flush=True)
            names.append(mutant.name)
            continue
        found = run(mutant, mutant.tests, mutant.database, seconds)
        if found.failed is None:
            names.append(mutant.name)
        verdict, by = ("killed", found.failed) if found.failed else ("SURVIVED", ", ".join(mutant.tests))
        print(f"{verdict:<8} {found.seconds:5.1f} s  {mutant.name}: {by}", flush=True)
    return names


def main(words: list[str]) -> int:
    """Run all mutants, or those with one of these words in their names; 1 where one survives or there is none."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    alive = survivors(chosen)
    for name, reason in NOT_OURS.items():
        print(f"not ours          {name}: {reason}")
    print(f"{len(chosen) - len(alive)} of {len(chosen)} killed", *(f"- alive: {name}" for name in alive), sep="\n")
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
