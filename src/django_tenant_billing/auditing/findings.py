"""What an audit has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    VIOLATION = "violation"
    """Something that must always hold does not."""
    WARNING = "warning"
    """Something waits for a person or for a command that does not run."""
    NOTE = "note"
    """Worth knowing, and nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found, of one payment, counter, organization or command."""

    id: str
    severity: Severity
    subject: str
    """A payment's reference, or what else it is about."""
    problem: str
    command: str
    """What to type next."""

    def __str__(self) -> str:
        return f"{self.id} {self.subject}: {self.problem}. Next: {self.command}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
