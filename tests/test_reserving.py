"""Reservations: held until one of commit, release and expiry wins, which happens once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded, UnknownReservation
from django_tenant_billing.models import Hold, HoldState, Subscription, UsageCounter, UsageEntry
from django_tenant_billing.periods import Interval
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import change_limit, let_expire, look, numbers, put_on, statements, with_ledger
from tests.testapp.models import Organization


def states(reservation: quotas.Reservation) -> set[str]:
    return set(Hold.objects.filter(key=reservation.key).values_list("state", flat=True))


def database_now() -> datetime:
    found: datetime = Hold.objects.annotate(now=clock.DatabaseNow()).values_list("now", flat=True)[0]
    return found


# Holding


def test_what_is_held_is_taken_from_everybody_else_and_not_yet_used(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    assert (reservation.organization, reservation.amounts, reservation.replayed) == (
        organization, {"invoices": 4}, False,
    )  # fmt: skip
    decision = look(organization)
    assert (decision.used, decision.held, decision.remaining, decision.percent) == (0, 4, 6, 40)
    assert decision.hold_expires_at == reservation.expires_at
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, "invoices", 7)
    assert (caught.value.decision.held, caught.value.decision.retry_at) == (4, reservation.expires_at)
    quotas.consume(organization, "invoices", 6)
    assert numbers(organization) == (6, 4)


def test_a_reservation_without_room_is_refused_and_holds_nothing(organization: Organization) -> None:
    set_used(organization, "invoices", 8)
    with statements() as asked, pytest.raises(QuotaExceeded, match=r"Reached invoice limit \(10\)"):
        quotas.reserve(organization, "invoices", 3)
    assert len(asked) == 2
    assert not Hold.objects.exists()
    assert numbers(organization) == (8, 0)
    quotas.reserve(organization, "invoices", 2)
    assert numbers(organization) == (8, 2)


def test_it_expires_by_the_clock_of_the_database_whatever_ours_says(organization: Organization) -> None:
    with clock.moved(timedelta(days=3)):
        by_default = quotas.reserve(organization, "invoices")
        soon = quotas.reserve(organization, "invoices", expires_in=timedelta(seconds=90))
        wait = soon.expires_at - database_now()
        assert timedelta(seconds=60) < wait <= timedelta(seconds=90)
        assert timedelta(minutes=14) < by_default.expires_at - database_now() <= timedelta(minutes=15)
        assert look(organization).hold_expires_at == soon.expires_at


@pytest.mark.parametrize("wait", [timedelta(0), timedelta(seconds=-1), timedelta(days=8), timedelta(days=7, seconds=1)])
def test_a_reservation_lasts_more_than_no_time_and_at_most_a_week(organization: Organization, wait: timedelta) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds and at most 7 days"):
        quotas.reserve(organization, "invoices", expires_in=wait)
    assert not Hold.objects.exists()
    for allowed in (timedelta(microseconds=1000), timedelta(days=7)):
        assert quotas.reserve(organization, "invoices", expires_in=allowed).amounts == {"invoices": 1}


def test_what_is_left_may_be_held_or_more_than_there_is(organization: Organization) -> None:
    set_used(organization, "invoices", 7)
    assert quotas.reserve(organization, "invoices", 5, when_short="cap").amounts == {"invoices": 3}
    with pytest.raises(QuotaExceeded):
        quotas.reserve(organization, "invoices", when_short="cap")
    assert numbers(organization) == (7, 3)
    assert quotas.reserve(organization, "invoices", 5, when_short="allow").amounts == {"invoices": 5}
    assert (numbers(organization), look(organization).over) == ((7, 8), 5)


def test_several_features_are_held_all_or_none(organization: Organization) -> None:
    reservation = quotas.reserve(organization, {"invoices": 3, "api_calls": 20})
    assert reservation.amounts == {"api_calls": 20, "invoices": 3}
    with pytest.raises(QuotaExceeded) as caught:
        quotas.reserve(organization, {"api_calls": 20, "invoices": 8})
    assert caught.value.decision.feature == "invoices"
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 3), (0, 20))


def test_a_reservation_is_picked_up_elsewhere_by_its_key(organization: Organization) -> None:
    made = quotas.reserve(organization, {"invoices": 3, "api_calls": 20})
    found = quotas.reservation(organization, made.key)
    assert found == made
    assert found.commit() is not None
    assert (made.commit(), made.release()) == (None, False)
    assert quotas.reservation(organization, made.key).amounts == made.amounts


def test_the_reservation_of_another_organization_is_unknown(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    made = quotas.reserve(organization, "invoices", 3)
    with pytest.raises(UnknownReservation, match=f"This organization has no reservation '{made.key}'") as caught:
        quotas.reservation(other, made.key)
    assert caught.value.key == made.key
    stolen = quotas.Reservation(other, made.key, made.amounts, made.expires_at)
    for finish in (stolen.commit, stolen.release):
        with pytest.raises(UnknownReservation):
            finish()
    assert states(made) == {HoldState.HELD}
    assert quotas.reservation(organization, made.key) == made


def test_a_reservation_lives_and_dies_with_its_transaction(organization: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        reservation = quotas.reserve(organization, "invoices", 3)
        raise RuntimeError
    assert numbers(organization) == (0, 0)
    with pytest.raises(UnknownReservation):
        reservation.commit()


# Committing


@pytest.mark.parametrize(("actual", "counted"), [(None, 4), (4, 4), (1, 1), (0, 0), (10, 10), ({"invoices": 3}, 3)])
def test_a_commit_counts_what_was_used_and_lets_go_of_the_rest(
    organization: Organization, actual: Any, counted: int
) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    grant = reservation.commit(actual)
    assert grant is not None
    assert (grant.amount, grant.late, grant.replayed) == (counted, False, False)
    assert numbers(organization) == (counted, 0)
    hold = Hold.objects.get()
    assert (hold.state, hold.amount, hold.committed, hold.late) == (HoldState.COMMITTED, 4, counted, False)
    assert hold.finished_at is not None
    # What was counted can be given back, once; of nothing there is nothing to give.
    assert [grant.release(), grant.release()] == [counted > 0, False]
    assert numbers(organization) == (0, 0)


def test_more_than_was_held_needs_room_or_stays_held(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    quotas.consume(organization, "invoices", 5)
    with pytest.raises(QuotaExceeded) as caught:
        reservation.commit(6)
    decision = caught.value.decision
    assert (decision.amount, decision.used, decision.held, decision.remaining) == (2, 5, 4, 1)
    assert (states(reservation), numbers(organization)) == ({HoldState.HELD}, (5, 4))
    grant = reservation.commit(5)
    assert grant is not None
    assert (grant.amount, numbers(organization)) == (5, (10, 0))


def test_more_than_was_held_of_one_feature_is_refused_for_all(organization: Organization) -> None:
    reservation = quotas.reserve(organization, {"api_calls": 10, "invoices": 4})
    with pytest.raises(QuotaExceeded):
        reservation.commit({"api_calls": 12, "invoices": 11})
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 4), (0, 10))
    grant = reservation.commit({"api_calls": 12})
    assert grant is not None
    assert grant.amounts == {"api_calls": 12, "invoices": 4}
    assert (numbers(organization), numbers(organization, "api_calls")) == ((4, 0), (12, 0))
    assert grant.release() is True
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 0), (0, 0))


def test_room_for_more_is_made_by_sweeping_what_expired_meanwhile(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    let_expire(quotas.reserve(organization, "invoices", 6))
    grant = reservation.commit(10)
    assert grant is not None
    assert (grant.amount, grant.late, numbers(organization)) == (10, False, (10, 0))


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        ({"api_calls": 1}, "holds nothing of api_calls"),
        ({"invoices": 1, "reports": 1, "api_calls": 1}, "holds nothing of api_calls, reports"),
        (-1, "whole number from 0 to"),
        (1.0, "whole number from 0 to"),
        (True, "whole number from 0 to"),
        ({"invoices": "1"}, "whole number from 0 to"),
    ],
)
def test_what_cannot_have_been_used_is_refused_and_stays_held(
    organization: Organization, actual: Any, words: str
) -> None:
    reservation = quotas.reserve(organization, "invoices", 2)
    with pytest.raises(ValueError, match=words):
        reservation.commit(actual)
    assert (states(reservation), numbers(organization)) == ({HoldState.HELD}, (0, 2))


def test_of_several_features_each_number_needs_its_name(organization: Organization) -> None:
    reservation = quotas.reserve(organization, {"invoices": 2, "api_calls": 2})
    with pytest.raises(ValueError, match="too many values"):
        reservation.commit(2)
    assert states(reservation) == {HoldState.HELD}


def test_a_commit_takes_no_more_statements_than_it_needs(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 2)
    with statements() as asked:
        reservation.commit()
    assert len(asked) == 3
    with statements() as asked:
        assert reservation.commit() is None
    assert len(asked) == 1


def test_a_feature_that_is_on_is_held_and_committed_without_a_count(organization: Organization) -> None:
    subscribe(organization, "BASIC")
    mixed = quotas.reserve(organization, {"reports": 1, "invoices": 2})
    alone = quotas.reserve(organization, "reports")
    assert (mixed.amounts, alone.amounts) == ({"invoices": 2, "reports": 0}, {"reports": 0})
    grants = [mixed.commit(), alone.commit(1)]
    assert [grant and grant.amounts for grant in grants] == [{"invoices": 2}, {}]
    assert [grant and grant.release() for grant in grants] == [True, False]
    assert numbers(organization) == (0, 0)
    assert not UsageCounter.objects.filter(feature="reports").exists()


# Releasing


def test_what_is_released_is_free_for_others_and_finished(organization: Organization) -> None:
    reservation = quotas.reserve(organization, {"invoices": 10, "api_calls": 2})
    assert [reservation.release(), reservation.release()] == [True, False]
    assert reservation.commit() is None
    assert states(reservation) == {HoldState.RELEASED}
    quotas.consume(organization, "invoices", 10)
    assert (numbers(organization), numbers(organization, "api_calls")) == ((10, 0), (0, 0))


# Expiring


def test_what_expired_is_free_for_a_check_at_once_and_for_a_consume_by_sweeping(organization: Organization) -> None:
    reservation = quotas.reserve(organization, {"invoices": 10, "api_calls": 2})
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    let_expire(reservation)
    assert UsageCounter.objects.get(feature="invoices").held == 10
    decision = quotas.check(organization, "invoices", 10)
    assert (decision.allowed, decision.held, decision.hold_expires_at) == (True, 0, None)
    assert states(reservation) == {HoldState.HELD}
    quotas.consume(organization, "invoices", 10)
    # The whole reservation is swept, so that its rows share one state.
    assert states(reservation) == {HoldState.EXPIRED}
    assert (numbers(organization), numbers(organization, "api_calls")) == ((10, 0), (0, 0))
    assert UsageCounter.objects.get(feature="api_calls").held == 0


def test_only_what_expired_is_swept(organization: Organization) -> None:
    kept = quotas.reserve(organization, "invoices", 3)
    let_expire(quotas.reserve(organization, "invoices", 7))
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, "invoices", 8)
    assert (caught.value.decision.held, caught.value.decision.hold_expires_at) == (3, kept.expires_at)
    quotas.consume(organization, "invoices", 7)
    assert numbers(organization) == (7, 3)
    assert states(kept) == {HoldState.HELD}


def test_expired_units_are_free_inside_the_callers_transaction_too(organization: Organization) -> None:
    let_expire(quotas.reserve(organization, "invoices", 10))
    with transaction.atomic(), quotas.consuming(organization, "invoices", 10):
        pass
    assert numbers(organization) == (10, 0)


@pytest.mark.parametrize("swept", [False, True])
def test_a_commit_after_expiry_is_late_and_counts_even_over_the_limit(organization: Organization, swept: bool) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    let_expire(reservation)
    quotas.consume(organization, "invoices", 10 if swept else 6)
    assert states(reservation) == {HoldState.EXPIRED if swept else HoldState.HELD}
    grant = reservation.commit(7)
    assert grant is not None
    assert (grant.late, grant.amount) == (True, 7)
    assert look(organization).over == (7 if swept else 3)
    assert numbers(organization) == (17 if swept else 13, 0)
    assert (Hold.objects.get().state, Hold.objects.get().late) == (HoldState.COMMITTED, True)
    assert (reservation.commit(), reservation.release()) == (None, False)


def test_a_late_commit_of_nothing_counts_nothing(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    let_expire(reservation)
    grant = reservation.commit(0)
    assert grant is not None
    assert (grant.late, numbers(organization)) == (True, (0, 0))
    assert UsageCounter.objects.get().held == 0


@pytest.mark.parametrize("swept", [False, True])
def test_a_release_after_expiry_says_so_and_gives_the_units_back_once(organization: Organization, swept: bool) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    let_expire(reservation)
    if swept:
        quotas.consume(organization, "invoices", 10)
    assert [reservation.release(), reservation.release()] == [False, False]
    assert states(reservation) == {HoldState.EXPIRED}
    assert UsageCounter.objects.get().held == 0
    assert numbers(organization) == (10 if swept else 0, 0)


# Periods


def test_a_commit_in_a_later_period_counts_in_the_one_it_was_held_in(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    with clock.moved(timedelta(days=40)):
        quotas.consume(organization, "invoices", 2)
        grant = reservation.commit(6)
        assert grant is not None
        assert numbers(organization) == (2, 0)
    assert numbers(organization) == (6, 0)
    with clock.moved(timedelta(days=40)):
        assert grant.release() is True
        assert numbers(organization) == (2, 0)
    assert numbers(organization) == (0, 0)


def test_more_than_was_held_needs_room_in_the_period_it_was_held_in(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    quotas.consume(organization, "invoices", 5)
    with clock.moved(timedelta(days=40)):
        with pytest.raises(QuotaExceeded):
            reservation.commit(6)
        assert reservation.commit(5) is not None
        assert numbers(organization) == (0, 0)
    assert numbers(organization) == (10, 0)


def test_a_purchase_in_between_leaves_the_units_to_the_period_it_closed(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    with clock.moved(timedelta(minutes=1)):
        with transaction.atomic():
            put_on(Subscription.objects.lock(organization.pk, clock.now()), "BASIC", Interval.MONTH, 1, clock.now())
        quotas.consume(organization, "invoices")
        assert reservation.commit() is not None
        assert numbers(organization) == (1, 0)
    rows = UsageCounter.objects.order_by("period_start")
    assert [(row.used, row.held) for row in rows] == [(4, 0), (1, 0)]


@pytest.mark.parametrize("actual", [4, 6])
def test_where_that_period_has_no_counter_any_more_it_counts_in_the_current_one(
    organization: Organization, settings: Any, actual: int
) -> None:
    settings.TENANT_BILLING_CATALOGUE = with_ledger("invoices")
    reservation = quotas.reserve(organization, "invoices", 4, actor="sita", subject="invoice 7")
    UsageCounter.objects.all().delete()
    grant = reservation.commit(actual)
    assert grant is not None
    assert (grant.amount, numbers(organization)) == (actual, (actual, 0))
    entries = UsageEntry.objects.values_list("change", "verb", "actor", "subject")
    assert list(entries) == [(actual, "commit", "sita", "invoice 7")]


def test_where_no_counter_is_left_a_release_has_only_its_state_to_change(organization: Organization) -> None:
    reservation = quotas.reserve(organization, "invoices", 4)
    UsageCounter.objects.all().delete()
    assert reservation.release() is True
    assert (states(reservation), numbers(organization)) == ({HoldState.RELEASED}, (0, 0))


def test_a_soft_limit_leaves_room_for_more_than_was_held(organization: Organization) -> None:
    change_limit(grace_days=3)
    reservation = quotas.reserve(organization, "invoices", 8)
    assert look(organization).grace_ends_at is None
    assert reservation.commit(12) is not None
    decision = look(organization)
    assert (decision.used, decision.over) == (12, 2)
    assert decision.grace_ends_at is not None


def test_a_hold_reads_as_what_it_is(organization: Organization) -> None:
    quotas.reserve(organization, "invoices", 4)
    assert str(Hold.objects.get()) == f"{organization.pk} - invoices: 4 held"
