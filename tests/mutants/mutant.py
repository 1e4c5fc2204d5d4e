"""What a mutant is: the package with one defect in it, and the tests that must see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class NotApplicable(Exception):
    """The text that a mutant replaces is not, or not exactly once, in the source any more."""


@dataclass(frozen=True)
class Mutant:
    """One defect: texts that are replaced, each in a file of the package."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    """File, what stands there exactly once, and what stands there instead."""
    tests: tuple[str, ...]
    """Files of tests/, of which one must fail."""
    database: str = "sqlite"

    def planted(self, package: Path) -> dict[Path, str]:
        """What the files of this package read with the defect in them. Raises NotApplicable, SyntaxError."""
        planted: dict[Path, str] = {}
        for name, old, new in self.changes:
            path = package / name
            source = planted.get(path) or path.read_text()
            if source.count(old) != 1 or old == new:
                raise NotApplicable(
                    f"{self.name}: {old!r} is {source.count(old)} times in {name}, and must be there once and change. "
                    "The source moved on: mend this mutant in tests/mutants/."
                )
            planted[path] = source.replace(old, new)
        for path, source in planted.items():
            compile(source, path, "exec")
        return planted


def one(name: str, file: str, old: str, new: str, *tests: str, database: str = "sqlite") -> Mutant:
    """A mutant of one change."""
    return Mutant(name, ((file, old, new),), tests, database)
