"""How counting goes: too little room, several features at once, first use, statements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaContended, QuotaExceeded, UnknownFeature
from django_tenant_billing.models import Feature, Hold, PlanLimit, UsageCounter, UsageEntry, counters
from django_tenant_billing.models.statements import CONSUME
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import change_limit, let_expire, look, numbers, statements, with_ledger
from tests.testapp.models import Invoice, Organization

Run = Callable[..., Any]


def kinds(asked: list[str]) -> list[str]:
    return [sql.split()[0] for sql in asked]


# Too little room


def test_what_is_left_is_taken_and_nothing_left_is_a_rejection(organization: Organization) -> None:
    assert quotas.consume(organization, "invoices", 7, when_short="cap").amount == 7
    grant = quotas.consume(organization, "invoices", 7, when_short="cap")
    assert (grant.amount, numbers(organization)) == (3, (10, 0))
    with statements() as asked, pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices", 7, when_short="cap")
    assert (kinds(asked), numbers(organization)) == (["UPDATE", "SELECT"], (10, 0))
    assert grant.release() is True
    assert numbers(organization) == (7, 0)


def test_what_is_left_excludes_what_is_held(organization: Organization) -> None:
    quotas.reserve(organization, "invoices", 8)
    assert quotas.consume(organization, "invoices", 7, when_short="cap").amount == 2
    assert numbers(organization) == (2, 8)


def test_the_first_use_may_already_be_more_than_there_is(organization: Organization) -> None:
    assert quotas.consume(organization, "invoices", 70, when_short="cap").amount == 10
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "customers", 6)
    assert quotas.consume(organization, "customers", 6, when_short="allow").amount == 6
    assert (numbers(organization), numbers(organization, "customers")) == ((10, 0), (6, 0))


@pytest.mark.parametrize(
    "count",
    [quotas.track, lambda *asked: quotas.consume(*asked, when_short="allow")],
    ids=["track", "allow"],
)
def test_what_has_happened_is_counted_whatever_the_limit(organization: Organization, count: Run) -> None:
    count(organization, "invoices", 9)
    with statements() as asked:
        count(organization, "invoices", 1)
    assert kinds(asked) == ["UPDATE"]
    assert count(organization, "invoices", 5).amount == 5
    decision = look(organization)
    assert (decision.used, decision.over, decision.remaining, decision.percent) == (15, 5, 0, 150)
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    change_limit(limit_value=0)
    assert count(organization, "invoices").release() is True
    assert look(organization).over == 15


def test_a_feature_that_is_on_or_off_is_never_counted_however_it_is_asked_for(organization: Organization) -> None:
    for when_short in ("reject", "cap"):
        with pytest.raises(QuotaExceeded, match="does not include reports"):
            quotas.consume(organization, "reports", when_short=when_short)
    assert quotas.track(organization, "reports").uncounted == {"reports"}
    subscribe(organization, "BASIC")
    for when_short in ("reject", "cap", "allow"):
        assert quotas.consume(organization, "reports", when_short=when_short).counted is False
    assert not UsageCounter.objects.exists()


def test_an_unlimited_feature_is_counted_all_the_same(organization: Organization) -> None:
    subscribe(organization, "PRO")
    for when_short in ("reject", "cap", "allow"):
        assert quotas.consume(organization, "api_calls", 10**6, when_short=when_short).amount == 10**6
    assert (look(organization, "api_calls").limit, numbers(organization, "api_calls")) == (None, (3 * 10**6, 0))


STORY: list[Run] = [
    lambda o: quotas.consume(o, "invoices", 4),
    lambda o: quotas.release(o, "invoices", 1),
    lambda o: quotas.reserve(o, "invoices", 2),
    lambda o: quotas.reserve(o, "invoices", 2).commit(3),
    lambda o: quotas.reserve(o, "invoices", 2).release(),
    lambda o: let_expire(quotas.reserve(o, "invoices", 1)),
    lambda o: quotas.consume(o, "invoices", 9, when_short="cap"),
    lambda o: quotas.consume(o, "invoices", 2, when_short="allow").release(),
    lambda o: quotas.track(o, "invoices", 5),
    lambda o: quotas.set_usage(o, "invoices", 3),
    lambda o: quotas.override(o, "invoices", 4, reason="a deal", actor="staff"),
    lambda o: quotas.set_usage(o, "invoices", 30),
    lambda o: subscribe(o, "PRO"),
]


def test_used_held_remaining_and_over_add_up_to_the_limit_after_every_verb(organization: Organization) -> None:
    seen = []
    for step in STORY:
        step(organization)
        decision = look(organization)
        seen.append((decision.used, decision.held, decision.remaining, decision.over))
    assert seen == [
        (4, 0, 6, 0), (3, 0, 7, 0), (3, 2, 5, 0), (6, 2, 2, 0), (6, 2, 2, 0), (6, 2, 2, 0), (8, 2, 0, 0), (8, 2, 0, 0),
        (13, 2, 0, 5), (3, 2, 5, 0), (3, 2, 0, 1), (30, 2, 0, 28), (30, 2, 0, 28),
    ]  # fmt: skip


# Setting the count


def test_a_count_is_set_to_what_it_truly_is_below_and_above_the_limit(organization: Organization) -> None:
    assert quotas.set_usage(organization, "invoices", 4) == (0, 4)
    assert quotas.set_usage(organization, "invoices", 14) == (4, 14)
    assert look(organization).over == 4
    assert quotas.set_usage(organization, "invoices", 0) == (14, 0)
    assert quotas.set_usage(organization, "customers", 2) == (0, 2)
    assert numbers(organization, "customers") == (2, 0)


def test_what_is_held_stays_held_while_the_count_is_set(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 3)
    assert quotas.set_usage(organization, "invoices", 6) == (0, 6)
    assert numbers(organization) == (6, 3)
    reservation.commit()
    assert numbers(organization) == (9, 0)


def test_what_has_no_count_cannot_have_one_set(organization: Organization) -> None:
    with pytest.raises(ValueError, match="'reports' is on or off: it has no count to set"):
        quotas.set_usage(organization, "reports", 1)
    with pytest.raises(UnknownFeature):
        quotas.set_usage(organization, "invocies", 1)
    wrong: Any
    for wrong in (-1, 1.0, True, None):
        with pytest.raises(ValueError, match="whole number from 0 to"):
            quotas.set_usage(organization, "invoices", wrong)
    assert not UsageCounter.objects.exists()


# Several features at once


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside the caller's transaction"])
def test_if_the_second_is_short_nothing_of_the_first_is_counted(organization: Organization, inside: bool) -> None:
    quotas.consume(organization, {"api_calls": 5, "invoices": 9})
    with transaction.atomic() if inside else nullcontext():
        with pytest.raises(QuotaExceeded) as caught:
            quotas.consume(organization, {"api_calls": 5, "invoices": 2})
        # The caller may go on after it has caught that.
        Invoice.objects.create(organization=organization, number="kept")
    assert (caught.value.decision.feature, caught.value.decision.amount) == ("invoices", 2)
    assert (numbers(organization), numbers(organization, "api_calls")) == ((9, 0), (5, 0))
    assert Invoice.objects.count() == 1
    grant = quotas.consume(organization, {"api_calls": 5, "invoices": 1})
    assert (grant.amounts, numbers(organization, "api_calls")) == ({"api_calls": 5, "invoices": 1}, (10, 0))


def test_an_unknown_feature_among_several_counts_none(organization: Organization) -> None:
    with pytest.raises(UnknownFeature, match="zebras"):
        quotas.consume(organization, {"invoices": 1, "zebras": 1})
    assert numbers(organization) == (0, 0)


def test_several_features_are_counted_in_the_order_of_their_slugs(organization: Organization) -> None:
    asked = {"invoices": 1, "customers": 1, "api_calls": 1}
    quotas.consume(organization, asked)
    with statements() as found:
        quotas.consume(organization, asked)
    assert kinds(found) == ["UPDATE"] * 3
    places = [[slug in sql for sql in found].index(True) for slug in sorted(asked)]
    assert places == [0, 1, 2]


def test_of_several_each_may_be_capped_or_counted_over(organization: Organization) -> None:
    set_used(organization, "invoices", 8)
    grant = quotas.consume(organization, {"invoices": 5, "api_calls": 5}, when_short="cap")
    assert grant.amounts == {"api_calls": 5, "invoices": 2}
    quotas.track(organization, {"invoices": 5, "api_calls": 500, "reports": 1})
    assert (numbers(organization), numbers(organization, "api_calls")) == ((15, 0), (505, 0))


def test_consuming_counts_several_features_with_the_work_or_none(organization: Organization) -> None:
    asked = {"invoices": 2, "api_calls": 3}
    with quotas.consuming(organization, asked) as decision:
        Invoice.objects.create(organization=organization, number="I1")
        assert (decision.feature, numbers(organization)) == ("api_calls", (0, 0))
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (3, 0))
    with pytest.raises(ValueError, match="work"), quotas.consuming(organization, asked):
        raise ValueError("work")
    with pytest.raises(QuotaExceeded), quotas.consuming(organization, {"invoices": 9, "api_calls": 3}):
        raise AssertionError("the block must not run")  # pragma: no cover
    with pytest.raises(QuotaExceeded), quotas.consuming(organization, asked):
        Invoice.objects.create(organization=organization, number="I2")
        set_used(organization, "invoices", 10)
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (3, 0))
    assert Invoice.objects.count() == 1


def test_consuming_writes_who_and_what_for_to_the_ledger(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = with_ledger("invoices")
    with quotas.consuming(organization, "invoices", actor="sita", subject=organization):
        pass
    entry = UsageEntry.objects.get()
    assert (entry.verb, entry.actor, entry.subject) == ("consume", "sita", f"testapp.organization:{organization.pk}")


@pytest.fixture
def many(organization: Organization) -> dict[str, int]:
    """A dozen features, more than one try can make counters for."""
    slugs = [f"feature_{number:02}" for number in range(12)]
    for slug in slugs:
        Feature.objects.create(slug=slug, singular=slug, plural=slug, kind="happens")
        PlanLimit.objects.create(plan_id="FREE", feature_id=slug, limit_value=5)
    return dict.fromkeys(slugs, 2)


def test_a_dozen_features_are_used_for_the_first_time_at_once(organization: Organization, many: dict[str, int]) -> None:
    assert quotas.consume(organization, many).amounts == many
    assert set(UsageCounter.objects.values_list("used", flat=True)) == {2}
    assert UsageCounter.objects.count() == 12


def test_a_dozen_features_are_swept_and_committed_at_once(organization: Organization, many: dict[str, int]) -> None:
    reservation = quotas.reserve(organization, many)
    for slug in many:
        let_expire(quotas.reserve(organization, slug, 3))
    assert reservation.commit(dict.fromkeys(many, 5)) is not None
    assert set(UsageCounter.objects.values_list("used", "held")) == {(5, 0)}
    with clock.moved(timedelta(days=40)):
        quotas.reserve(organization, many).release()
    assert UsageCounter.objects.count() == 24


# Statements


def test_first_use_of_a_period_takes_four_statements_and_each_further_grant_one(organization: Organization) -> None:
    for feature in ("invoices", "customers"):
        with statements() as asked:
            quotas.consume(organization, feature)
        assert kinds(asked) == ["UPDATE", "SELECT", "INSERT", "UPDATE"]
        with statements() as asked:
            quotas.consume(organization, feature)
        assert kinds(asked) == ["UPDATE"]
    with clock.moved(timedelta(days=40)), statements() as asked:
        quotas.consume(organization, "invoices")
    assert kinds(asked) == ["UPDATE", "SELECT", "INSERT", "UPDATE"]


def test_a_look_is_one_statement_and_counts_nothing(organization: Organization) -> None:
    quotas.reserve(organization, "invoices", 3)
    let_expire(quotas.reserve(organization, "invoices", 3))
    quotas.override(organization, "invoices", 4, reason="a deal", actor="staff")
    for ask in (lambda: quotas.check(organization, "invoices"), lambda: quotas.check_all(organization)):
        before = list(UsageCounter.objects.values()), list(Hold.objects.values())
        with statements() as asked:
            ask()
        assert kinds(asked) == ["SELECT"]
        assert (list(UsageCounter.objects.values()), list(Hold.objects.values())) == before


@pytest.mark.parametrize(
    "ask",
    [
        lambda o: quotas.consume(o, "invoices"),
        lambda o: quotas.consume(o, "invoices", when_short="cap"),
        lambda o: quotas.reserve(o, "invoices"),
        lambda o: quotas.enter(o, "invoices"),
    ],
    ids=["consume", "cap", "reserve", "enter"],
)
def test_a_denial_is_at_most_two_statements_and_writes_nothing(organization: Organization, ask: Run) -> None:
    set_used(organization, "invoices", 10)
    before = list(UsageCounter.objects.values())
    with statements() as asked, pytest.raises(QuotaExceeded):
        ask(organization)
    assert kinds(asked)[-1] == "SELECT"
    assert len(asked) <= 2
    assert (list(UsageCounter.objects.values()), Hold.objects.count()) == (before, 0)


def test_a_denial_before_first_use_writes_nothing_either(organization: Organization) -> None:
    with statements() as asked, pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices", 11)
    assert kinds(asked) == ["UPDATE", "SELECT"]
    assert not UsageCounter.objects.exists()


def test_a_counter_that_moves_for_ever_is_told_though_a_grant_was_possible(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The statement misses and the look allows: what a stale snapshot at REPEATABLE READ shows.
    monkeypatch.setattr(counters, "CONSUME", CONSUME + " AND 1 = 0")
    with pytest.raises(QuotaContended, match="'invoices' met a moving counter 8 times"):
        quotas.consume(organization, "invoices", when_short="cap")
    assert numbers(organization) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_an_error_outside_a_transaction_leaves_nothing_to_roll_back(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(DatabaseError):
        patch.setattr(counters, "CONSUME", CONSUME.replace("SET used", "SET nowhere"))
        quotas.consume(organization, "invoices")
    assert not connection.in_atomic_block
    assert quotas.consume(organization, "invoices").amount == 1
