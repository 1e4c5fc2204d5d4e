"""A payment as its log tells it, from the first line on. No database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One line of a payment's log, as far as anything follows from it."""

    payment: int
    kind: str
    source: str
    to: str
    detail: str
    actor: str
    data: dict[str, Any]
    at: datetime
    reference: str
    gateway: str


@dataclass(slots=True)
class Story:
    """What the lines come to."""

    status: str = ""
    detail: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """From, to; in their order."""
    gaps: list[str] = field(default_factory=list)
    """Where a line does not begin at what the one before it ended in."""

    @property
    def was_paid(self) -> bool:
        return any(to == "paid" for _source, to in self.steps)


def fold(lines: Iterable[Line]) -> Story:
    """The state that the lines lead to, and where they do not fit together."""
    story = Story()
    for line in lines:
        if line.kind == "started":
            if story.status:
                story.gaps.append("it was started twice")
            story.status = line.to
        elif line.kind == "moved":
            if line.source != story.status:
                story.gaps.append(f"a step begins at {line.source} where it was {story.status or 'nothing yet'}")
            story.steps.append((line.source, line.to))
            story.status, story.detail = line.to, line.detail
    return story
