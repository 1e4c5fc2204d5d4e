"""Idempotency keys: the first answer to a key is the answer for ever, denials included."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.decisions import Decision
from django_tenant_billing.exceptions import KeyReused, QuotaExceeded, UnknownFeature
from django_tenant_billing.models import Hold, HoldState, IdempotencyKey, Usage, UsageEntry
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import change_limit, let_expire, numbers, statements, with_ledger
from tests.testapp.models import Organization

Verb = Callable[..., Any]
VERBS: list[Verb] = [quotas.consume, quotas.track, quotas.reserve]


def refusal(act: Callable[[], object]) -> Decision:
    with pytest.raises(QuotaExceeded) as caught:
        act()
    return caught.value.decision


# The same answer


@pytest.mark.parametrize("verb", [quotas.consume, quotas.track])
def test_the_same_request_again_is_answered_the_same_and_counted_once(organization: Organization, verb: Verb) -> None:
    first = verb(organization, {"invoices": 2, "api_calls": 3}, key="order 7")
    with clock.moved(timedelta(hours=1)):
        again = verb(organization, {"api_calls": 3, "invoices": 2}, key="order 7")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.amounts, again.at, again.uncounted, again.key) == (first.amounts, first.at, frozenset(), "order 7")
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (3, 0))
    assert verb(organization, {"api_calls": 3, "invoices": 2}, key="order 8").replayed is False
    assert numbers(organization) == (4, 0)


def test_a_reservation_is_answered_with_the_same_reservation(organization: Organization) -> None:
    first = quotas.reserve(organization, "invoices", 3, key="job 1")
    again = quotas.reserve(organization, "invoices", 3, key="job 1", expires_in=timedelta(days=1))
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.key, again.amounts, again.expires_at) == (first.key, first.amounts, first.expires_at)
    assert (Hold.objects.count(), numbers(organization)) == (1, (0, 3))
    assert first.commit(2) is not None
    finished = quotas.reserve(organization, "invoices", 3, key="job 1")
    assert (finished.commit(3), finished.release(), numbers(organization)) == (None, False, (2, 0))


def test_what_was_left_is_answered_again_though_there_is_more_by_now(organization: Organization) -> None:
    set_used(organization, "invoices", 7)
    set_used(organization, "customers", 1)
    first = quotas.consume(organization, {"invoices": 5, "customers": 1}, when_short="cap", key="k")
    held = quotas.reserve(organization, "customers", 5, when_short="cap", key="h")
    assert (first.amounts, held.amounts) == ({"customers": 1, "invoices": 3}, {"customers": 3})
    change_limit(limit_value=100)
    change_limit("customers", limit_value=100)
    assert quotas.consume(organization, {"invoices": 5, "customers": 1}, when_short="cap", key="k").amounts == {
        "customers": 1,
        "invoices": 3,
    }
    assert quotas.reserve(organization, "customers", 5, when_short="cap", key="h").amounts == {"customers": 3}
    assert (numbers(organization), numbers(organization, "customers")) == ((10, 0), (2, 3))


@pytest.mark.parametrize("verb", [quotas.consume, quotas.reserve])
def test_a_denial_stays_one_with_all_its_numbers_though_the_limit_was_raised(
    organization: Organization, verb: Verb
) -> None:
    set_used(organization, "invoices", 9)
    other = quotas.reserve(organization, "invoices", 1)
    first = refusal(lambda: verb(organization, "invoices", 2, key="k"))
    change_limit(limit_value=100)
    subscribe(organization, "PRO")
    other.release()
    again = refusal(lambda: verb(organization, "invoices", 2, key="k"))
    assert again == first
    assert (again.plan, again.limit, again.used, again.held, again.amount) == ("FREE", 10, 9, 1, 2)
    assert again.facts() == first.facts()
    assert again.message == first.message == "Reached invoice limit (10). Upgrade your plan."
    assert numbers(organization) == (9, 0)
    verb(organization, "invoices", 2, key="another")
    assert sum(numbers(organization)) == 11


def test_a_denial_of_the_second_feature_leaves_nothing_of_the_first_and_stays(organization: Organization) -> None:
    def ask() -> object:
        return quotas.consume(organization, {"api_calls": 1, "invoices": 11}, key="k")

    assert [refusal(ask).feature, refusal(ask).feature] == ["invoices", "invoices"]
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 0), (0, 0))
    assert IdempotencyKey.objects.count() == 1


def test_a_feature_that_is_on_is_answered_as_uncounted(organization: Organization) -> None:
    subscribe(organization, "BASIC")
    grants = [quotas.consume(organization, "reports", key="k") for _time in range(2)]
    assert [(grant.replayed, grant.uncounted, grant.release()) for grant in grants] == [
        (False, frozenset({"reports"}), False),
        (True, frozenset({"reports"}), False),
    ]


def test_a_bug_is_not_an_answer(organization: Organization) -> None:
    with pytest.raises(UnknownFeature), transaction.atomic():
        quotas.consume(organization, "invocies", key="k")
    assert not IdempotencyKey.objects.exists()
    assert quotas.consume(organization, "invoices", key="k").replayed is False


def test_a_replay_asks_for_the_lock_and_the_answer_and_writes_nothing(organization: Organization) -> None:
    quotas.consume(organization, "invoices", key="k")
    before = list(IdempotencyKey.objects.values())
    with statements() as asked:
        quotas.consume(organization, "invoices", key="k")
    assert [sql.split()[0] for sql in asked] == ["SELECT", "SELECT"]
    assert list(IdempotencyKey.objects.values()) == before


def test_an_organization_without_its_usage_row_gets_it(organization: Organization) -> None:
    Usage.objects.all().delete()
    assert quotas.consume(organization, "invoices", key="k").amount == 1
    assert Usage.objects.get().organization == organization
    assert quotas.consume(organization, "invoices", key="k").replayed is True


# Another request


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "asked",
    [("invoices", 3), ("api_calls", 2), ({"invoices": 2, "api_calls": 1},)],
    ids=["amount", "feature", "features"],
)
def test_a_key_that_names_another_request_is_refused_and_counts_nothing(
    organization: Organization, verb: Verb, asked: tuple[Any, ...]
) -> None:
    verb(organization, "invoices", 2, key="k")
    before = numbers(organization)
    with pytest.raises(KeyReused, match="The idempotency key 'k' was used before, for another request") as caught:
        verb(organization, *asked, key="k")
    assert caught.value.key == "k"
    assert (numbers(organization), numbers(organization, "api_calls")) == (before, (0, 0))
    assert verb(organization, "invoices", 2, key="k").replayed is True


def test_another_verb_or_another_way_when_short_is_another_request(organization: Organization) -> None:
    quotas.consume(organization, "invoices", key="k")
    for ask in (
        lambda: quotas.track(organization, "invoices", key="k"),
        lambda: quotas.reserve(organization, "invoices", key="k"),
        lambda: quotas.consume(organization, "invoices", when_short="cap", key="k"),
    ):
        with pytest.raises(KeyReused):
            ask()
    assert quotas.consume(organization, "invoices", key="k", actor="sita", subject="else").replayed is True
    assert numbers(organization) == (1, 0)


def test_a_denied_key_is_refused_for_another_request_as_well(organization: Organization) -> None:
    refusal(lambda: quotas.consume(organization, "invoices", 11, key="k"))
    with pytest.raises(KeyReused):
        quotas.consume(organization, "invoices", 1, key="k")
    assert numbers(organization) == (0, 0)


@pytest.mark.parametrize("verb", VERBS)
def test_the_key_of_another_organization_is_another_key(organization: Organization, verb: Verb) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    verb(organization, "invoices", 2, key="k")
    assert verb(other, "invoices", 5, key="k").replayed is False
    assert (sum(numbers(organization)), sum(numbers(other))) == (2, 5)


@pytest.mark.parametrize("other", ["K", "k ", "ķ"], ids=["case", "space", "accent"])
def test_a_key_is_never_taken_for_one_that_only_looks_alike(organization: Organization, other: str) -> None:
    # MariaDB cannot keep both: that is told, and never answered with what was counted for the other.
    exact = connection.vendor != "mysql"
    quotas.consume(organization, "invoices", key="k")
    with nullcontext() if exact else pytest.raises(KeyReused):
        assert quotas.consume(organization, "invoices", key=other).replayed is False
    assert numbers(organization) == (2 if exact else 1, 0)


@pytest.mark.parametrize("key", ["", "x" * 101, 7, b"k", True, "a\0b", "a\nb"])
def test_a_key_is_text_of_1_to_100_printable_characters(organization: Organization, key: Any) -> None:
    for verb in VERBS:
        with pytest.raises(ValueError, match="An idempotency key is text of 1 to 100 printable characters"):
            verb(organization, "invoices", key=key)
    assert numbers(organization) == (0, 0)
    assert quotas.consume(organization, "invoices", key="x" * 100).amount == 1


# Transactions


def test_a_key_of_a_rolled_back_transaction_is_forgotten(organization: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        quotas.consume(organization, "invoices", key="k")
        quotas.reserve(organization, "invoices", key="h")
        refusal(lambda: quotas.consume(organization, "invoices", 11, key="d"))
        raise RuntimeError
    assert not IdempotencyKey.objects.exists()
    assert numbers(organization) == (0, 0)
    assert quotas.consume(organization, "invoices", 3, key="k").replayed is False
    change_limit(limit_value=100)
    assert quotas.consume(organization, "invoices", 11, key="d").replayed is False


def test_a_denial_leaves_the_callers_transaction_usable(organization: Organization) -> None:
    with transaction.atomic():
        refusal(lambda: quotas.consume(organization, {"api_calls": 1, "invoices": 11}, key="k"))
        quotas.consume(organization, "invoices", 2)
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (0, 0))
    assert IdempotencyKey.objects.get().key == "k"


# Giving back


def test_a_grant_with_a_key_is_given_back_once_by_whoever_holds_it(organization: Organization) -> None:
    first = quotas.consume(organization, "invoices", 3, key="k")
    replay = quotas.consume(organization, "invoices", 3, key="k")
    quotas.consume(organization, "invoices", 3)
    assert [replay.release(), first.release(), replay.release()] == [True, False, False]
    assert numbers(organization) == (3, 0)
    later = quotas.consume(organization, "invoices", 3, key="k")
    with statements() as asked:
        assert (later.replayed, later.release()) == (True, False)
    assert asked == []
    assert IdempotencyKey.objects.get().released_at is not None


def test_a_grant_given_back_twice_in_one_hand_is_given_back_once(organization: Organization) -> None:
    grant = quotas.consume(organization, {"invoices": 3, "api_calls": 2}, key="k")
    quotas.consume(organization, {"invoices": 3, "api_calls": 2})
    assert [grant.release(), grant.release()] == [True, False]
    assert (numbers(organization), numbers(organization, "api_calls")) == ((3, 0), (2, 0))


def test_giving_back_one_key_leaves_the_others(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    grants = [quotas.consume(of, "invoices", key=key) for of in (organization, other) for key in ("a", "b")]
    assert grants[0].release() is True
    assert (numbers(organization), numbers(other)) == ((1, 0), (2, 0))
    assert [grant.release() for grant in grants] == [False, True, True, True]


def test_what_is_given_back_has_its_line_in_the_ledger_once(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = with_ledger("invoices")
    for _time in range(2):
        grant = quotas.consume(organization, "invoices", 3, key="k", actor="sita")
    assert [grant.release(), quotas.consume(organization, "invoices", 3, key="k").release()] == [True, False]
    assert list(UsageEntry.objects.order_by("pk").values_list("change", "verb")) == [(3, "consume"), (-3, "release")]


def test_a_keyed_reservation_that_expired_is_answered_as_such(organization: Organization) -> None:
    let_expire(quotas.reserve(organization, "invoices", 3, key="k"))
    quotas.consume(organization, "invoices", 10)
    again = quotas.reserve(organization, "invoices", 3, key="k")
    assert Hold.objects.get().state == HoldState.EXPIRED
    grant = again.commit()
    assert grant is not None
    assert (grant.late, numbers(organization)) == (True, (13, 0))


def test_a_key_reads_as_itself(organization: Organization) -> None:
    quotas.consume(organization, "invoices", key="order 7")
    assert str(IdempotencyKey.objects.get()) == "order 7"
