"""billing_explain, in the words that a support person reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.models import Feature, Hold, LimitOverride, PlanLimit, Subscription
from django_tenant_billing.testing import clock_moved, set_used, subscribe
from tests.testapp.models import Organization

NOON = datetime(2027, 3, 10, 6, 15, tzinfo=UTC)
"""Noon in Kathmandu, where the organizations of the tests are."""

DAY = timedelta(days=1)
NEPAL = ZoneInfo("Asia/Kathmandu")


@pytest.fixture(autouse=True)
def noon(organization: Organization) -> Any:
    with clock_moved(NOON - clock.now()):
        Subscription.objects.update(anchor=NOON - 5 * DAY, period_start=NOON - 5 * DAY)
        yield


def explained(organization: Organization, feature: str = "invoices", *options: str) -> list[str]:
    output = StringIO()
    call_command("billing_explain", str(organization.pk), feature, *options, stdout=output)
    return output.getvalue().splitlines()


def override(organization: Organization, limit: int | None, **moments: datetime) -> LimitOverride:
    return quotas.override(organization, "invoices", limit, reason="festival", actor="asha", **moments)


def test_1_within_the_limit(organization: Organization) -> None:
    set_used(organization, "invoices", 4)
    assert explained(organization) == [
        "Himal Traders may use 1 more: invoice. (within_limit)",
        "Plan: FREE, without an end.",
        "Limit: 10, from plan FREE.",
        "Used: 4 (from 2027-03-05 12:00 +0545 to 2027-04-05 12:00 +0545; it starts again each billing month).",
        "Held: 0 in reservations.",
    ]


def test_2_over_the_limit(organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    assert explained(organization) == [
        "Himal Traders may NOT use 1 more: invoice. (limit_reached)",
        "People are told: Reached invoice limit (10). Upgrade your plan.",
        "Plan: FREE, without an end.",
        "Limit: 10, from plan FREE.",
        "Used: 10 (from 2027-03-05 12:00 +0545 to 2027-04-05 12:00 +0545; it starts again each billing month).",
        "Held: 0 in reservations.",
        "Could pass by itself: 2027-04-05 12:00 +0545.",
        "Plans that would let it pass: BASIC (1000), PRO (3000).",
    ]


def test_3_an_expired_plan(organization: Organization) -> None:
    subscribe(organization, "PRO", until=NOON - DAY)
    set_used(organization, "invoices", 12)
    told = explained(organization)
    assert told[2] == "Plan: PRO was paid until 2027-03-09 12:00 +0545. That is over, so FREE holds."
    assert told[5] == "  that is 2 over the limit: nothing is taken away, nothing new is granted."


def test_4_a_paid_plan(organization: Organization) -> None:
    subscribe(organization, "PRO", until=NOON + DAY)
    assert explained(organization, "customers") == [
        "Himal Traders may use 1 more: customer. (unlimited)",
        "Plan: PRO, paid until 2027-03-11 12:00 +0545.",
        "Limit: unlimited, from plan PRO.",
        "Used: 0 (what is there now; it never starts again).",
        "Held: 0 in reservations.",
    ]


def test_5_an_override(organization: Organization) -> None:
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(grace_days=3)
    given = override(organization, 50, ends_at=NOON + 9 * DAY)
    assert explained(organization)[2:5] == [
        "Limit: 50, from an override, until 2027-03-19 12:00 +0545.",
        "  without that: FREE - invoices: 10, 3 days of grace",
        f"  override {given.pk}: 50, by asha: festival (in force, unless a newer one is)",
    ]


def test_6_an_expired_override_and_one_to_come(organization: Organization) -> None:
    ended = override(organization, 50, starts_at=NOON - 9 * DAY, ends_at=NOON - DAY)
    later = override(organization, None, starts_at=NOON + DAY)
    assert explained(organization)[2:5] == [
        "Limit: 10, from plan FREE.",
        f"  override {later.pk}: unlimited, by asha: festival (begins 2027-03-11 12:00 +0545)",
        f"  override {ended.pk}: 50, by asha: festival (ended 2027-03-09 12:00 +0545)",
    ]


def test_7_a_reservation(organization: Organization) -> None:
    set_used(organization, "invoices", 4)
    mine = quotas.reserve(organization, "invoices", 5, actor="asha", subject="export 7")
    other = quotas.reserve(organization, "invoices", 1)
    Hold.objects.filter(key=mine.key).update(expires_at=clock.DatabaseNow() + timedelta(days=300))
    first, second = Hold.objects.get(key=other.key).expires_at, Hold.objects.get(key=mine.key).expires_at
    told = explained(organization)
    local = [moment.astimezone(NEPAL).strftime("%Y-%m-%d %H:%M %Z") for moment in (first, second)]
    assert told[5:9] == [
        "Held: 6 in reservations.",
        f"  reservation {other.key}: 1, expires {local[0]}",
        f"  reservation {mine.key}: 5 by asha for export 7, expires {local[1]}",
        f"Could pass by itself: {local[0]}.",
    ]


def test_8_an_unknown_feature_and_an_unknown_organization(organization: Organization) -> None:
    with pytest.raises(CommandError, match=r"There is no feature 'invocies'\. Check the spelling, or add it"):
        explained(organization, "invocies")
    with pytest.raises(CommandError, match="There is no organization with key '0'"):
        call_command("billing_explain", "0", "invoices")
    with pytest.raises(CommandError, match="An amount is a whole number"):
        explained(organization, "invoices", "--amount", "0")


def test_9_not_included_on_or_off(organization: Organization) -> None:
    assert explained(organization, "reports") == [
        "Himal Traders may NOT use reports. (not_included)",
        "People are told: The FREE plan does not include reports. Upgrade your plan.",
        "Plan: FREE, without an end.",
        "Limit: 0, from plan FREE.",
        "Used: it is on or off, nothing is counted.",
        "Could pass by itself: no. Something has to change: the plan, the limit, or what is there.",
        "Plans that would let it pass: BASIC (1), PRO (1).",
    ]


def test_10_a_soft_limit_in_its_grace_time(organization: Organization) -> None:
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(grace_days=3)
    quotas.consume(organization, "invoices", 10)
    quotas.consume(organization, "invoices", 2)
    told = explained(organization)
    assert told[0] == "Himal Traders may use 1 more: invoice. (in_grace)"
    assert told[1] == "The limit is exceeded, or would be; that is allowed until 2027-03-13 12:00 +0545."
    assert told[4] == "  it is soft: it may be exceeded for 3 days, counted from the first unit over it."


def test_11_a_trial_with_limits_of_its_own(organization: Organization) -> None:
    subscribe(organization, "PRO", until=NOON + DAY)
    Subscription.objects.update(trial_ends_at=NOON + DAY)
    PlanLimit.objects.filter(plan="PRO", feature="invoices").update(trial_differs=True, trial_limit_value=50)
    assert explained(organization, "invoices", "--amount", "60")[0:6] == [
        "Himal Traders may NOT use 60 more: invoices. (limit_reached)",
        "People are told: Reached invoice limit (50). Upgrade your plan.",
        "Plan: PRO, paid until 2027-03-11 12:00 +0545.",
        "Trial: until 2027-03-11 12:00 +0545, with limits of its own.",
        "Limit: 50, that of a trial of plan PRO, until 2027-03-11 12:00 +0545.",
        "  without that: PRO - invoices: 3000, 50 on trial",
    ]


def test_12_a_feature_that_the_plan_does_not_name_and_no_subscription(organization: Organization) -> None:
    Subscription.objects.all().delete()
    PlanLimit.objects.filter(feature="team_members").delete()
    assert explained(organization, "team_members") == [
        "Himal Traders may NOT use 1 more: team member. (not_included)",
        "People are told: The FREE plan does not include team members.",
        "Plan: no subscription yet, so FREE holds (TENANT_BILLING_FALLBACK_PLAN).",
        "Limit: 0, plan FREE says nothing of team_members, so it is not included.",
        "Used: 0 (what is there now; it never starts again).",
        "Held: 0 in reservations.",
        "Could pass by itself: no. Something has to change: the plan, the limit, or what is there.",
        "Plans that would let it pass: none.",
    ]


def test_13_the_ledger_and_another_period(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={})
    settings.TENANT_BILLING_CATALOGUE["features"]["invoices"]["ledger"] = True
    Feature.objects.filter(pk="invoices").update(reset="day")
    quotas.consume(organization, "invoices", 3, actor="asha", subject=organization)
    quotas.release(organization, "invoices")
    told = explained(organization)
    assert told[3] == (
        "Used: 2 (from 2027-03-10 00:00 +0545 to 2027-03-11 00:00 +0545; it starts again each midnight)."
    )
    assert [line.partition(" +0545: ")[2] for line in told[-2:]] == [
        "-1 release",
        f"+3 consume by asha for testapp.organization:{organization.pk}",
    ]


def test_a_site_without_a_catalogue_is_told_the_command(organization: Organization) -> None:
    PlanLimit.objects.all().delete()
    Feature.objects.all().delete()
    with pytest.raises(CommandError, match=r"Run: manage\.py init_plan_limits"):
        explained(organization)
