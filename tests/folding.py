"""The log is the truth: folded from its first line, it gives the state of every payment."""

from __future__ import annotations

from collections.abc import Collection

from django_tenant_billing.auditing import IDS, Severity, payment_findings

FOLD = ("I-1", "I-3", "I-16")


def assert_log_folds_to_state() -> None:
    """Every status was reached by legal steps that are all in the log; exactly what was ever paid was activated."""
    assert_no_violation(FOLD)


def assert_no_violation(only: Collection[str] = IDS) -> None:
    """No invariant of any payment is broken, as billing_verify sees it."""
    found = [str(f) for f in payment_findings("default", only) if f.severity is Severity.VIOLATION]
    assert found == [], found
