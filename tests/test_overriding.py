"""Overrides: another limit for one organization, by a person, for a reason, for a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import MAX_LIMIT
from django_tenant_billing.decisions import Decision, LimitSource, Reason
from django_tenant_billing.exceptions import QuotaExceeded, UnknownFeature
from django_tenant_billing.models import LimitOverride, PlanLimit, Subscription
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import change_limit, look, numbers, statements
from tests.testapp.models import Organization

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def give(organization: Organization, limit: int | None, feature: str = "invoices", **times: Any) -> LimitOverride:
    return quotas.override(organization, feature, limit, reason="a deal", actor="staff", **times)


def refused(organization: Organization, amount: int = 1, feature: str = "invoices") -> Decision:
    """Denied by the statement that counts and by the look alike, with the same numbers."""
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, feature, amount)
    assert not quotas.check(organization, feature, amount)
    return caught.value.decision


def granted(organization: Organization, amount: int, feature: str = "invoices") -> None:
    """The statement that counts finds the limit by itself, without a look."""
    quotas.track(organization, feature)
    quotas.release(organization, feature)
    with statements() as asked:
        quotas.consume(organization, feature, amount).release()
    assert len(asked) == 2
    assert quotas.check(organization, feature, amount).fits


# Whose limit holds


def test_another_limit_holds_for_one_organization_and_one_feature(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    give(organization, 15)
    granted(organization, 15)
    decision = refused(organization, 16)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (15, LimitSource.OVERRIDE, None)
    assert refused(other, 11).limit_source is LimitSource.PLAN
    assert look(organization, "customers").limit_source is LimitSource.PLAN


def test_a_plans_own_limit_says_where_it_comes_from_and_when_to_come_back(organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    decision = refused(organization)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (10, LimitSource.PLAN, None)
    assert decision.period_end is not None
    assert (decision.retry_at, decision.unlocks) == (decision.period_end, ("BASIC", "PRO"))
    too_much = refused(organization, 2000)
    assert (too_much.retry_at, too_much.unlocks) == (None, ("PRO",))


def test_what_the_plan_does_not_name_has_no_limit_row_and_says_so(organization: Organization) -> None:
    PlanLimit.objects.filter(plan__in=("FREE", "BASIC"), feature="invoices").delete()
    decision = refused(organization)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (0, LimitSource.NONE, None)
    assert (decision.reason, decision.retry_at, decision.unlocks) == (Reason.NOT_INCLUDED, None, ("PRO",))
    give(organization, 3)
    granted(organization, 3)
    assert refused(organization, 4).limit_source is LimitSource.OVERRIDE


def test_an_override_may_take_all_away_or_lift_every_limit(organization: Organization) -> None:
    give(organization, None)
    granted(organization, 10**6)
    decision = look(organization)
    assert (decision.limit, decision.limit_source, decision.reason) == (None, LimitSource.OVERRIDE, Reason.UNLIMITED)
    give(organization, 0)
    decision = refused(organization)
    assert (decision.limit, decision.limit_source, decision.reason) == (0, LimitSource.OVERRIDE, Reason.NOT_INCLUDED)
    assert decision.retry_at is None


def test_an_override_below_what_is_used_grants_nothing_until_the_next_period(organization: Organization) -> None:
    quotas.consume(organization, "invoices", 8)
    give(organization, 5)
    decision = refused(organization)
    assert (decision.used, decision.limit, decision.remaining, decision.over) == (8, 5, 0, 3)
    assert decision.retry_at == decision.period_end
    with clock.moved(timedelta(days=40)):
        granted(organization, 5)


def test_of_two_overrides_the_newest_in_force_decides(organization: Organization) -> None:
    first = give(organization, 20)
    second = give(organization, 12, ends_at=clock.now() + DAY)
    assert (refused(organization, 13).limit, refused(organization, 13).limit_until) == (12, second.ends_at)
    with clock.moved(DAY + HOUR):
        granted(organization, 20)
        assert (look(organization).limit, look(organization).limit_until) == (20, None)
    assert quotas.end_override(second) is True
    granted(organization, 20)
    assert quotas.end_override(first) is True
    granted(organization, 10)
    assert refused(organization, 11).limit_source is LimitSource.PLAN


def test_the_newest_decides_though_an_older_one_starts_later(organization: Organization) -> None:
    give(organization, 20, starts_at=clock.now() + HOUR)
    give(organization, 12)
    with clock.moved(2 * HOUR):
        assert refused(organization, 13).limit == 12


# For how long


def test_an_override_ends_by_itself_and_what_held_before_is_back(organization: Organization) -> None:
    ends = clock.now() + DAY
    give(organization, 15, ends_at=ends)
    granted(organization, 15)
    decision = refused(organization, 16)
    assert (decision.limit_source, decision.limit_until) == (LimitSource.OVERRIDE, ends)
    with clock.moved(DAY - timedelta(minutes=1)):
        granted(organization, 15)
    with clock.moved(DAY):
        decision = refused(organization, 11)
        assert (decision.limit, decision.limit_source, decision.limit_until) == (10, LimitSource.PLAN, None)


def test_an_override_in_the_future_does_not_hold_before_it_starts(organization: Organization) -> None:
    starts = clock.now() + DAY
    give(organization, 15, starts_at=starts, ends_at=starts + DAY)
    decision = refused(organization, 11)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (10, LimitSource.PLAN, None)
    with clock.moved(DAY + HOUR):
        granted(organization, 15)
        assert look(organization).limit_until == starts + DAY
    with clock.moved(2 * DAY + HOUR):
        assert refused(organization, 11).limit == 10


def test_an_override_is_ended_by_hand_once(organization: Organization) -> None:
    given, ends = give(organization, 15), clock.now() + DAY
    timed = give(organization, 20, "api_calls", ends_at=ends)
    assert [quotas.end_override(given), quotas.end_override(given)] == [True, False]
    assert refused(organization, 11).limit_source is LimitSource.PLAN
    given.refresh_from_db()
    assert given.ends_at is not None
    assert given.starts_at <= given.ends_at <= clock.now()
    # One with an end is ended earlier than that.
    assert [quotas.end_override(timed), quotas.end_override(timed)] == [True, False]
    timed.refresh_from_db()
    assert timed.ends_at is not None
    assert timed.ends_at < ends
    assert look(organization, "api_calls").limit == 100


def test_one_that_ended_by_itself_is_not_ended_again(organization: Organization) -> None:
    ends = clock.now() + HOUR
    given = give(organization, 15, ends_at=ends)
    with clock.moved(2 * HOUR):
        assert quotas.end_override(given) is False
    given.refresh_from_db()
    assert given.ends_at == ends


def test_one_that_is_ended_before_it_begins_never_does(organization: Organization) -> None:
    starts = clock.now() + DAY
    given = give(organization, 15, starts_at=starts)
    assert [quotas.end_override(given), quotas.end_override(given)] == [True, False]
    given.refresh_from_db()
    assert given.ends_at == starts
    for later in (timedelta(0), DAY + HOUR):
        with clock.moved(later):
            assert refused(organization, 11).limit_source is LimitSource.PLAN


def test_an_override_outlasts_plan_and_trial(organization: Organization) -> None:
    change_limit(trial_differs=True, trial_limit_value=12)
    Subscription.objects.update(trial_ends_at=clock.now() + DAY)
    assert look(organization).limit_source is LimitSource.TRIAL
    given = give(organization, 15)
    assert (look(organization).limit, look(organization).limit_source) == (15, LimitSource.OVERRIDE)
    subscribe(organization, "PRO")
    assert (look(organization).limit, look(organization).limit_source) == (15, LimitSource.OVERRIDE)
    quotas.end_override(given)
    assert (look(organization).limit, look(organization).plan) == (3000, "PRO")


def test_nobody_is_told_to_buy_a_plan_that_an_override_would_outlast(organization: Organization) -> None:
    assert refused(organization, 11).unlocks == ("BASIC", "PRO")
    give(organization, 15)
    decision = refused(organization, 16)
    assert (decision.unlocks, decision.upgradable, decision.message) == ((), False, "Reached invoice limit (15).")
    subscribe(organization, "PRO")
    assert refused(organization, 16).limit == 15


def test_an_override_is_a_hard_limit_though_the_plans_is_soft(organization: Organization) -> None:
    change_limit(grace_days=3)
    set_used(organization, "invoices", 10)
    assert quotas.check(organization, "invoices").reason is Reason.IN_GRACE
    given = give(organization, 10)
    decision = refused(organization)
    assert (decision.grace_days, decision.reason) == (0, Reason.LIMIT_REACHED)
    quotas.end_override(given)
    quotas.consume(organization, "invoices")
    assert numbers(organization) == (11, 0)


# What is refused


def test_an_override_needs_a_reason_and_an_actor(organization: Organization) -> None:
    for reason, actor in (("", "staff"), ("  \n", "staff"), ("a deal", ""), ("a deal", "  ")):
        with pytest.raises(ValueError, match="An override needs a reason and an actor"):
            quotas.override(organization, "invoices", 15, reason=reason, actor=actor)
    assert not LimitOverride.objects.exists()
    given = quotas.override(organization, "invoices", 15, reason=f"  a deal {'x' * 300}", actor=organization)
    given.refresh_from_db()
    assert (given.reason, given.actor) == (f"a deal {'x' * 193}", f"testapp.organization:{organization.pk}")


@pytest.mark.parametrize("limit", [-1, 1.0, True, "15", MAX_LIMIT + 1])
def test_an_overrides_limit_is_a_whole_number_or_none(organization: Organization, limit: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 0 to"):
        give(organization, limit)
    assert not LimitOverride.objects.exists()
    assert give(organization, MAX_LIMIT).limit_value == MAX_LIMIT


def test_an_override_ends_after_it_starts(organization: Organization) -> None:
    now = clock.now()
    wrong: list[dict[str, Any]] = [
        {"starts_at": now, "ends_at": now},
        {"starts_at": now, "ends_at": now - HOUR},
        {"ends_at": now - HOUR},
    ]
    for times in wrong:
        with pytest.raises(ValueError, match="An override ends after it starts"):
            give(organization, 15, **times)
    assert not LimitOverride.objects.exists()
    past = give(organization, 15, starts_at=now - 2 * HOUR, ends_at=now - HOUR)
    assert look(organization).limit == 10
    assert quotas.end_override(past) is False


def test_an_override_of_an_unknown_feature_is_a_bug(organization: Organization) -> None:
    with pytest.raises(UnknownFeature, match="invocies"):
        give(organization, 15, "invocies")
    assert not LimitOverride.objects.exists()


def test_the_form_of_an_override_refuses_an_end_before_its_start(organization: Organization) -> None:
    given = LimitOverride(organization=organization, feature_id="invoices", limit_value=1, reason="a deal", actor="x")
    given.full_clean()
    given.ends_at = given.starts_at + HOUR
    given.full_clean()
    given.ends_at = given.starts_at - HOUR
    with pytest.raises(ValidationError, match="Name a moment after the override") as caught:
        given.clean()
    assert list(caught.value.message_dict) == ["ends_at"]


def test_an_override_reads_as_its_limit(organization: Organization) -> None:
    texts = [str(give(organization, limit)) for limit in (15, 0, None)]
    assert texts == [f"{organization.pk} - invoices: {text}" for text in ("15", "0", "unlimited")]
