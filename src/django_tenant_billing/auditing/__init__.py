"""Does the database keep what is promised? Invariants of money and counters, and signs that something stands still.

Reads only. Every rule is a small function with the id under which the documentation explains it.
"""

from .counters import counter_findings
from .findings import Finding, Severity
from .folding import Line, fold
from .payments import payment_findings
from .reading import Case, case_of
from .running import IDS, audit
from .sums import books

__all__ = [
    "IDS",
    "Case",
    "Finding",
    "Line",
    "Severity",
    "audit",
    "books",
    "case_of",
    "counter_findings",
    "fold",
    "payment_findings",
]
