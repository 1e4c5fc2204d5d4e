"""What a decision says of itself."""

import dataclasses
from typing import Any

import pytest

from django_tenant_billing.decisions import Decision, Reason


def decision(**changes: Any) -> Decision:
    values: dict[str, Any] = {
        "feature": "invoices",
        "singular": "invoice",
        "plural": "invoices",
        "plan": "FREE",
        "amount": 1,
        "limit": 10,
        "used": 0,
        "held": 0,
        "period_start": None,
        "period_end": None,
        "upgradable": True,
    }
    return Decision(**values | changes)


@pytest.mark.parametrize(
    ("limit", "used", "held", "amount", "reason", "remaining", "percent"),
    [
        (10, 0, 0, 1, Reason.WITHIN_LIMIT, 10, 0),
        (10, 9, 0, 1, Reason.WITHIN_LIMIT, 1, 90),
        (10, 0, 0, 10, Reason.WITHIN_LIMIT, 10, 0),
        (10, 4, 5, 1, Reason.WITHIN_LIMIT, 1, 90),
        (3, 2, 0, 1, Reason.WITHIN_LIMIT, 1, 66),
        (10, 10, 0, 1, Reason.LIMIT_REACHED, 0, 100),
        (10, 0, 0, 11, Reason.LIMIT_REACHED, 10, 0),
        (10, 4, 6, 1, Reason.LIMIT_REACHED, 0, 100),
        (10, 25, 0, 1, Reason.LIMIT_REACHED, 0, 250),
        (0, 0, 0, 1, Reason.NOT_INCLUDED, 0, 100),
        (0, 3, 0, 1, Reason.NOT_INCLUDED, 0, 100),
        (None, 10**12, 0, 10**12, Reason.UNLIMITED, None, None),
    ],
)
def test_a_decision_says_yes_or_no_why_and_what_is_left(
    limit: int | None, used: int, held: int, amount: int, reason: Reason, remaining: int | None, percent: int | None
) -> None:
    made = decision(limit=limit, used=used, held=held, amount=amount)
    assert made.allowed is bool(made) is (reason in (Reason.WITHIN_LIMIT, Reason.UNLIMITED))
    assert (made.reason, made.remaining, made.percent) == (reason, remaining, percent)


def test_what_is_allowed_needs_no_message() -> None:
    assert decision(limit=10, used=9).message == ""
    assert decision(limit=None).message == ""


def test_a_reached_limit_reads_as_in_the_guide() -> None:
    assert decision(limit=10, used=10).message == "Reached invoice limit (10). Upgrade your plan."


def test_where_no_plan_gives_more_nobody_is_told_to_upgrade() -> None:
    assert decision(limit=10, used=10, upgradable=False).message == "Reached invoice limit (10)."


def test_what_a_plan_does_not_include_is_not_called_a_reached_limit() -> None:
    reports = decision(feature="reports", singular="report", plural="reports", limit=0)
    assert reports.message == "The FREE plan does not include reports. Upgrade your plan."
    top = dataclasses.replace(reports, plan="PRO", upgradable=False)
    assert top.message == "The PRO plan does not include reports."


def test_a_label_with_a_percent_sign_is_shown_as_it_is() -> None:
    assert decision(limit=0, plural="100%s").message == "The FREE plan does not include 100%s. Upgrade your plan."


def test_a_decision_is_never_changed() -> None:
    made = decision()
    assert dataclasses.replace(made, used=5).used == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.used = 5  # type: ignore[misc]
