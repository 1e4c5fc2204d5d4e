"""All of it, one finding after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from .counters import counter_findings
from .findings import Finding
from .payments import RULES, payment_findings
from .signs import SIGNS, sign_findings

IDS = (*dict.fromkeys(rule.id for rule in RULES), "I-11", "I-14", "rows", *SIGNS)
"""Everything that can be looked at, by the names of ``--only``."""


def audit(using: str, now: datetime, only: Collection[str] = IDS) -> Iterator[Finding]:
    """Look at the database of this alias and change nothing: findings as they are found, in bounded memory."""
    yield from payment_findings(using, only)
    yield from counter_findings(using, only, now)
    yield from sign_findings(using, only, now)
