"""The log is the truth: folded from its first line, it gives the state of every payment."""

from __future__ import annotations

from django_tenant_billing.auditing import IDS, Severity, payment_findings


def assert_log_folds_to_state() -> None:
    """No invariant of any payment is broken, as billing_verify sees it: among them that every status was reached by
    legal steps that are all in the log, and that exactly what was ever paid was activated.
    """
    found = payment_findings("default", IDS)
    assert [str(finding) for finding in found if finding.severity is Severity.VIOLATION] == []
