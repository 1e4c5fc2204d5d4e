"""The transition table, and when an open payment is asked about."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from django_tenant_billing import states
from django_tenant_billing.states import (
    CHECK_AFTER,
    HORIZON,
    NOT_FOUND_AFTER,
    NOT_FOUND_APART,
    OPEN,
    SETTLED,
    SOFT_FAILED,
    TRANSITIONS,
    PaymentState,
    may_move,
    next_check,
)

S = PaymentState
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

ALLOWED = {
    S.CREATED: {S.INITIATED, S.FAILED, S.PAID},
    S.INITIATED: {S.PENDING, S.PAID, S.REVIEW, S.FAILED, S.CANCELED, S.EXPIRED},
    S.PENDING: {S.INITIATED, S.PAID, S.REVIEW, S.FAILED, S.CANCELED, S.EXPIRED},
    S.PAID: {S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED},
    S.REVIEW: {S.PAID, S.REFUND_PENDING, S.DISMISSED},
    S.FAILED: {S.PAID, S.REVIEW},
    S.CANCELED: {S.PAID, S.REVIEW},
    S.EXPIRED: {S.PAID, S.REVIEW},
    S.REFUND_PENDING: {S.PAID, S.REVIEW, S.PARTIALLY_REFUNDED, S.REFUNDED},
    S.PARTIALLY_REFUNDED: {S.REFUND_PENDING, S.REFUNDED},
    S.REFUNDED: set[PaymentState](),
    S.DISMISSED: set[PaymentState](),
}


def test_the_table_allows_these_steps_and_no_other() -> None:
    for source in PaymentState:
        for target in PaymentState:
            assert may_move(source, target) is (target in ALLOWED[source]), (source, target)


def test_a_state_that_nobody_knows_is_an_error_and_not_a_no() -> None:
    assert may_move("created", "initiated")
    for source, target in (("created", "settled"), ("settled", "paid")):
        with pytest.raises(ValueError, match="settled"):
            may_move(source, target)


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(PaymentState)
    assert set().union(*TRANSITIONS.values()) == set(PaymentState) - {S.CREATED}


def test_the_groups_do_not_overlap_and_a_proved_success_always_wins() -> None:
    assert not OPEN & SOFT_FAILED and not OPEN & SETTLED and not SOFT_FAILED & SETTLED
    for state in OPEN | SOFT_FAILED:
        assert may_move(state, S.PAID) and may_move(state, S.REVIEW)


def test_settled_money_never_becomes_a_failed_attempt() -> None:
    for state in SETTLED:
        assert not TRANSITIONS[state] & (OPEN | SOFT_FAILED | {S.CREATED, S.DISMISSED})


def test_people_read_of_each_state_what_was_translated() -> None:
    words = {"review": "in review", "refund_pending": "refund pending", "partially_refunded": "partially refunded"}
    assert [(value, str(label)) for value, label in PaymentState.choices] == [
        (state.value, words.get(state.value, state.value)) for state in PaymentState
    ]


def minutes(*numbers: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=number) for number in numbers)


def days(*numbers: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(days=number) for number in numbers)


FIGURES: dict[str, Any] = {
    "OPEN": {S.INITIATED, S.PENDING},
    "SOFT_FAILED": {S.FAILED, S.CANCELED, S.EXPIRED},
    "SETTLED": {S.PAID, S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED},
    "CHECK_AFTER": minutes(1, 3, 6, 10, 20, 35, 60, 120, 360, 720, 1440, 2160, 2880, 4320, 5760, 7200, 10080),
    "PRICE_HOLDS_FOR": timedelta(hours=1),
    "HORIZON": timedelta(days=7),
    "STALE_AFTER": timedelta(days=30),
    "NOT_FOUND_AFTER": timedelta(minutes=30),
    "NOT_FOUND_APART": timedelta(minutes=10),
    "LATE_CHECKS": days(1, 30),
    "REFUND_GIVEN_UP_AFTER": timedelta(days=1),
    "REFUND_CHECK": timedelta(hours=1),
    "DASHBOARD_CHECKS": days(7, 14, 21, 28, 35),
    "UNSENT_AFTER": timedelta(minutes=15),
    "NOT_RECEIVED_AFTER": timedelta(days=30),
    "UNANSWERED_RETRIES": 3,
}


def test_the_groups_and_the_times_are_these() -> None:
    assert {name: getattr(states, name) for name in FIGURES} == FIGURES


def test_questions_come_ever_later_until_the_horizon() -> None:
    assert all(earlier < later for earlier, later in pairwise(CHECK_AFTER))
    asked = [START]
    while (following := next_check(START, asked[-1])) is not None:
        asked.append(following)
    assert [at - START for at in asked[1:]] == list(CHECK_AFTER)
    assert asked[-1] == START + HORIZON


@pytest.mark.parametrize(
    ("passed", "due"),
    [
        (timedelta(0), timedelta(minutes=1)),
        (timedelta(seconds=59), timedelta(minutes=1)),
        (timedelta(minutes=1), timedelta(minutes=3)),
        (timedelta(minutes=34), timedelta(minutes=35)),
        (HORIZON - timedelta(microseconds=1), HORIZON),
    ],
)
def test_the_next_question_lies_after_now(passed: timedelta, due: timedelta) -> None:
    assert next_check(START, START + passed) == START + due


def test_after_the_horizon_there_is_no_next_question() -> None:
    assert next_check(START, START + HORIZON) is None


def question_after(passed: timedelta) -> timedelta:
    """How long after this moment of an attempt the gateway is asked next."""
    following = next_check(START, START + passed)
    assert following is not None
    return following - START - passed


def test_t8_whatever_is_paid_before_khaltis_link_ends_is_asked_about_soon_after_it_ended() -> None:
    link = timedelta(seconds=1800)
    assert question_after(link) <= timedelta(minutes=5)
    assert any(after > link for after in CHECK_AFTER)
    assert max(question_after(timedelta(seconds=second)) for second in range(600)) <= timedelta(minutes=6)
    assert max(question_after(timedelta(seconds=second)) for second in range(1801)) <= timedelta(minutes=20)


def test_t8_esewa_is_asked_within_a_minute_of_the_five_that_it_wants_us_to_wait() -> None:
    five = timedelta(minutes=5)
    assert question_after(five) == timedelta(minutes=1)
    # What it does not find it may find later, and is asked about again before that counts, and after.
    assert any(NOT_FOUND_AFTER - NOT_FOUND_APART <= after < NOT_FOUND_AFTER for after in CHECK_AFTER)
    assert any(NOT_FOUND_AFTER <= after <= NOT_FOUND_AFTER + NOT_FOUND_APART for after in CHECK_AFTER)
