"""What a decision says of itself."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_tenant_billing.decisions import Decision, LimitSource, Offer, Reason

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


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
        "offers": (Offer("FREE", 10), Offer("PRO", 3000)),
        "as_of": NOW,
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
    assert decision(limit=10, used=10, offers=(Offer("FREE", 10),)).message == "Reached invoice limit (10)."


def test_what_a_plan_does_not_include_is_not_called_a_reached_limit() -> None:
    reports = decision(feature="reports", singular="report", plural="reports", limit=0)
    assert reports.message == "The FREE plan does not include reports. Upgrade your plan."
    top = dataclasses.replace(reports, plan="PRO", offers=())
    assert top.message == "The PRO plan does not include reports."


def test_a_label_with_a_percent_sign_is_shown_as_it_is() -> None:
    assert decision(limit=0, plural="100%s").message == "The FREE plan does not include 100%s. Upgrade your plan."


def test_a_decision_is_never_changed() -> None:
    made = decision()
    assert dataclasses.replace(made, used=5).used == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.used = 5  # type: ignore[misc]


@pytest.mark.parametrize("limit", [0, 1, 10, 1000])
@pytest.mark.parametrize(("used", "held"), [(0, 0), (3, 4), (10, 0), (0, 10), (12, 9)])
def test_used_held_remaining_and_over_add_up_to_the_limit(limit: int, used: int, held: int) -> None:
    made = decision(limit=limit, used=used, held=held)
    assert made.remaining is not None
    assert made.used + made.held + made.remaining - made.over == limit
    assert not (made.remaining and made.over)


def test_a_soft_limit_is_exceeded_until_its_grace_ends() -> None:
    soft = decision(limit=10, used=10, grace_days=3)
    assert (soft.allowed, soft.reason, soft.grace_end) == (True, Reason.IN_GRACE, NOW + 3 * DAY)
    running = dataclasses.replace(soft, used=12, grace_ends_at=NOW + DAY)
    assert (running.allowed, running.over, running.grace_end) == (True, 2, NOW + DAY)
    ended = dataclasses.replace(running, grace_ends_at=NOW)
    assert (ended.allowed, ended.reason) == (False, Reason.LIMIT_REACHED)
    assert not dataclasses.replace(soft, limit=0).allowed


def test_unlocks_names_the_plans_that_would_let_this_request_pass() -> None:
    offers = (Offer("FREE", 10), Offer("BASIC", 30), Offer("PRO", None))
    assert decision(limit=10, used=10, offers=offers).unlocks == ("BASIC", "PRO")
    assert decision(limit=10, used=30, offers=offers).unlocks == ("PRO",)
    assert decision(limit=10, used=9, offers=offers).unlocks == ()
    assert decision(limit=10, used=10, amount=5000, offers=offers[:2]).unlocks == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"used": 9, "period_end": NOW + 9 * DAY}, None),
        ({"used": 10, "period_end": NOW + 9 * DAY}, NOW + 9 * DAY),
        ({"used": 10}, None),
        ({"used": 10, "amount": 11, "period_end": NOW + 9 * DAY}, None),
        ({"used": 4, "held": 6, "period_end": NOW + 9 * DAY, "hold_expires_at": NOW + DAY}, NOW + DAY),
        ({"used": 4, "held": 6, "hold_expires_at": NOW + DAY}, NOW + DAY),
        ({"used": 10, "held": 6, "hold_expires_at": NOW + DAY}, None),
        ({"limit": 1, "used": 2, "limit_until": NOW + DAY, "period_end": NOW + 9 * DAY}, NOW + DAY),
        ({"limit": 1, "used": 10, "limit_until": NOW + DAY, "period_end": NOW + 9 * DAY}, NOW + 9 * DAY),
        ({"limit": 1, "used": 2, "limit_until": NOW + DAY, "plan": "RETIRED"}, None),
    ],
)
def test_it_says_when_the_request_could_pass_by_itself(changes: dict[str, Any], expected: datetime | None) -> None:
    assert decision(**changes).retry_at == expected


def test_a_decision_goes_through_json_and_back_unchanged() -> None:
    made = decision(
        period_start=NOW - DAY, period_end=NOW + DAY, limit_source=LimitSource.OVERRIDE, limit_until=NOW + DAY
    )
    assert Decision.unpack(json.loads(json.dumps(made.pack()))) == made


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"used": 4}, "4 of 10"),
        ({"used": 12, "held": 3}, "12 of 10"),
        ({"used": 4, "limit": None}, "4, no limit"),
        ({"limit": 0}, "not included"),
        ({"kind": "on_off", "limit": 0}, "not included"),
        ({"kind": "on_off", "limit": 1}, "included"),
        ({"kind": "on_off", "limit": None}, "included"),
    ],
)
def test_a_decision_as_text_is_what_a_page_shows_of_it(changes: dict[str, Any], shown: str) -> None:
    assert str(decision(**changes)) == shown


@pytest.mark.parametrize(
    ("used", "held", "limit", "near"),
    [(7, 0, 10, False), (7, 1, 10, True), (12, 0, 10, True), (9, 0, None, False), (1, 0, 0, False)],
)
def test_a_limit_is_near_from_eighty_percent_on(used: int, held: int, limit: int | None, near: bool) -> None:
    assert decision(used=used, held=held, limit=limit).is_near is near
