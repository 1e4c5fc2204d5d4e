"""The log is the truth: folded from its first line, it gives the state of every payment."""

from __future__ import annotations

from collections.abc import Collection

from django_tenant_billing.auditing import IDS, Severity, payment_findings
from django_tenant_billing.models import PaymentTransaction

FOLD = ("I-1", "I-3", "I-16")


def assert_log_folds_to_state(*of: PaymentTransaction) -> None:
    """Every status was reached by legal steps that are all in the log; exactly what was ever paid was activated.

    Of these payments; of all, where none is named.
    """
    assert_no_violation(FOLD, *of)


def assert_no_violation(only: Collection[str] = IDS, *of: PaymentTransaction) -> None:
    """No invariant of any payment is broken, as billing_verify sees it."""
    of_these = {payment.reference for payment in of}
    violations = [f for f in payment_findings("default", only) if f.severity is Severity.VIOLATION]
    found = [str(violation) for violation in violations if not of or violation.subject in of_these]
    assert found == [], found
