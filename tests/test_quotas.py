"""The verbs of the quota engine."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.decisions import Reason
from django_tenant_billing.exceptions import (
    CatalogueMissing,
    QuotaContended,
    QuotaExceeded,
    ReleaseTooLarge,
    UnknownFeature,
)
from django_tenant_billing.models import Feature, PlanLimit, Subscription, UsageCounter, counters
from django_tenant_billing.models.statements import CONSUME
from django_tenant_billing.periods import FOREVER, Interval
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import put_on
from tests.testapp.models import Customer, Invoice, Organization
from tests.testapp.views import break_transaction


def used(organization: Organization, feature: str = "invoices") -> int:
    return quotas.check(organization, feature).used


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_counts_nothing_and_asks_once(organization: Organization) -> None:
    with CaptureQueriesContext(connection) as queries:
        decision = quotas.check(organization, "invoices", 3)
    assert len(queries) == 1
    assert decision
    assert (decision.used, decision.limit, decision.remaining, decision.percent) == (0, 10, 10, 0)
    assert decision.reason is Reason.WITHIN_LIMIT
    assert not UsageCounter.objects.exists()


def test_check_all_asks_once_and_keeps_the_catalogues_order(organization: Organization) -> None:
    with CaptureQueriesContext(connection) as queries:
        decisions = quotas.check_all(organization)
    assert len(queries) == 1
    assert [d.feature for d in decisions] == ["invoices", "customers", "team_members", "api_calls", "reports"]


def test_an_unknown_feature_is_a_bug_and_not_a_refusal(organization: Organization) -> None:
    for verb in (quotas.check, quotas.consume, quotas.release):
        with pytest.raises(UnknownFeature, match="init_plan_limits"):
            verb(organization, "invocies")


def test_a_missing_catalogue_says_what_to_run(db: None) -> None:
    organization = Organization.objects.create(name="Early")
    with pytest.raises(CatalogueMissing, match="init_plan_limits"):
        quotas.check(organization, "invoices")
    with pytest.raises(CatalogueMissing):
        quotas.check_all(organization)


@pytest.mark.parametrize("amount", [0, -1, 1.0, True, "1", 2**53, None])
def test_only_whole_amounts_from_one_up_are_counted(organization: Organization, amount: Any) -> None:
    for verb in (quotas.check, quotas.consume, quotas.release):
        with pytest.raises(ValueError, match="whole number"):
            verb(organization, "invoices", amount)
    with pytest.raises(ValueError, match="whole number"), quotas.consuming(organization, "invoices", amount):
        pass  # pragma: no cover - never entered
    assert quotas.consume(organization, "invoices", 1).amount == 1


# --- consume ---------------------------------------------------------------------------------------------------------


def test_consume_counts_up_to_the_limit_and_then_refuses(organization: Organization) -> None:
    for _number in range(10):
        quotas.consume(organization, "invoices")
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, "invoices")
    decision = caught.value.decision
    assert str(caught.value) == "Reached invoice limit (10). Upgrade your plan."
    assert (decision.used, decision.remaining, decision.percent, decision.reason) == (10, 0, 100, Reason.LIMIT_REACHED)


def test_consume_is_all_or_nothing(organization: Organization) -> None:
    quotas.consume(organization, "invoices", 8)
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices", 3)
    assert used(organization) == 8
    quotas.consume(organization, "invoices", 2)


def test_a_grant_is_one_statement_and_a_denial_writes_nothing(organization: Organization) -> None:
    quotas.consume(organization, "invoices")
    with CaptureQueriesContext(connection) as queries:
        quotas.consume(organization, "invoices")
    assert len(queries) == 1
    set_used(organization, "invoices", 10)
    before = list(UsageCounter.objects.values())
    with CaptureQueriesContext(connection) as queries, pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    assert len(queries) == 2
    assert list(UsageCounter.objects.values()) == before


def test_a_limit_of_zero_is_not_included_and_no_limit_is_unlimited(organization: Organization) -> None:
    with pytest.raises(QuotaExceeded, match="does not include reports"):
        quotas.consume(organization, "reports")
    subscribe(organization, "PRO")
    decision = quotas.check(organization, "customers")
    assert (decision.limit, decision.remaining, decision.percent) == (None, None, None)
    assert decision.reason is Reason.UNLIMITED
    quotas.consume(organization, "customers", 10**9)


def test_no_row_for_the_plan_means_no(organization: Organization) -> None:
    quotas.consume(organization, "invoices")
    PlanLimit.objects.filter(plan="FREE", feature="invoices").delete()
    with pytest.raises(QuotaExceeded, match="does not include invoices") as caught:
        quotas.consume(organization, "invoices")
    assert (caught.value.decision.limit, caught.value.decision.percent) == (0, 100)


def test_a_feature_that_is_on_or_off_is_never_counted(organization: Organization) -> None:
    subscribe(organization, "BASIC")
    for _time in range(3):
        grant = quotas.consume(organization, "reports")
        assert grant.release() is False
    quotas.release(organization, "reports")
    assert not UsageCounter.objects.exists()


def test_a_changed_limit_holds_from_the_very_next_call(organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=11)
    quotas.consume(organization, "invoices")
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=0)
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")


def test_on_the_highest_plan_nobody_is_told_to_upgrade(organization: Organization) -> None:
    subscribe(organization, "PRO")
    set_used(organization, "invoices", 3000)
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, "invoices")
    assert str(caught.value) == "Reached invoice limit (3000)."


def test_an_expired_paid_plan_falls_to_the_fallback_with_no_command_run(organization: Organization) -> None:
    subscribe(organization, "BASIC", until=clock.now() + timedelta(days=3))
    quotas.consume(organization, "invoices", 500)
    with clock.moved(timedelta(days=4)):
        with pytest.raises(QuotaExceeded) as caught:
            quotas.consume(organization, "invoices")
        assert (caught.value.decision.plan, caught.value.decision.limit) == ("FREE", 10)
    quotas.consume(organization, "invoices")


def test_what_happens_starts_again_each_month_and_what_exists_does_not(organization: Organization) -> None:
    quotas.consume(organization, "invoices", 10)
    quotas.consume(organization, "customers", 5)
    end = quotas.check(organization, "invoices").period_end
    assert end is not None
    with clock.moved(end - clock.now() - timedelta(seconds=5)), pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    with clock.moved(end - clock.now() + timedelta(seconds=1)):
        quotas.consume(organization, "invoices")
        with pytest.raises(QuotaExceeded):
            quotas.consume(organization, "customers")
    assert [row.used for row in UsageCounter.objects.filter(feature="invoices")] == [1, 10]


def test_an_organization_without_a_subscription_gets_one_at_first_touch(organization: Organization) -> None:
    Subscription.objects.all().delete()
    assert quotas.check(organization, "invoices").limit == 10
    quotas.consume(organization, "invoices")
    assert Subscription.objects.get().plan_id == "FREE"


def test_a_counter_that_moves_at_every_try_is_an_error_that_says_so(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The statement misses and the look allows: what a stale snapshot at REPEATABLE READ shows.
    monkeypatch.setattr(counters, "CONSUME", CONSUME + " AND 1 = 0")
    with pytest.raises(QuotaContended, match="READ COMMITTED"):
        quotas.consume(organization, "invoices")


# --- release ---------------------------------------------------------------------------------------------------------


def test_a_grant_is_released_once(organization: Organization) -> None:
    grant = quotas.consume(organization, "invoices", 4)
    assert (grant.organization, grant.feature, grant.amount) == (organization, "invoices", 4)
    assert grant.release() is True
    assert grant.release() is False
    assert used(organization) == 0


def test_a_grant_is_given_back_to_the_period_it_was_counted_in(organization: Organization) -> None:
    grant = quotas.consume(organization, "invoices", 4)
    with clock.moved(timedelta(days=40)):
        quotas.consume(organization, "invoices", 2)
        grant.release()
        assert used(organization) == 2
    assert used(organization) == 0


def test_a_bare_release_refuses_to_go_below_zero(organization: Organization) -> None:
    quotas.consume(organization, "customers", 2)
    quotas.release(organization, "customers")
    with pytest.raises(ReleaseTooLarge, match="recount_usage"):
        quotas.release(organization, "customers", 2)
    assert used(organization, "customers") == 1


# --- consuming -------------------------------------------------------------------------------------------------------


def test_consuming_keeps_rows_and_count_or_neither(organization: Organization) -> None:
    with quotas.consuming(organization, "invoices", 3) as decision:
        assert decision.used == 0
        Invoice.objects.bulk_create(Invoice(organization=organization, number=f"I{n}") for n in range(3))
    assert [str(invoice) for invoice in Invoice.objects.order_by("number")] == ["I0", "I1", "I2"]
    assert used(organization) == 3
    with pytest.raises(ValueError, match="work"), quotas.consuming(organization, "invoices"):
        Invoice.objects.create(organization=organization, number="I9")
        raise ValueError("work")
    assert (Invoice.objects.count(), used(organization)) == (3, 3)


def test_consuming_refuses_before_any_work(organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    with pytest.raises(QuotaExceeded), quotas.consuming(organization, "invoices"):
        raise AssertionError("the block must not run")  # pragma: no cover


def test_consuming_takes_the_work_back_when_the_last_unit_went_meanwhile(organization: Organization) -> None:
    set_used(organization, "invoices", 9)
    with pytest.raises(QuotaExceeded), quotas.consuming(organization, "invoices"):
        Invoice.objects.create(organization=organization, number="late")
        set_used(organization, "invoices", 10)
    assert not Invoice.objects.exists()


def test_inside_the_callers_transaction_the_count_lives_and_dies_with_it(organization: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        quotas.consume(organization, "invoices")
        raise RuntimeError
    assert used(organization) == 0


def test_an_error_while_counting_marks_the_callers_transaction_for_rollback(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "CONSUME", CONSUME.replace("SET used", "SET nowhere"))
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            quotas.consume(organization, "invoices")
        with pytest.raises(transaction.TransactionManagementError):
            Invoice.objects.create(organization=organization, number="never")
    assert not Invoice.objects.exists()


# --- features that exist ---------------------------------------------------------------------------------------------


@pytest.fixture
def counting(settings: Any, organization: Organization) -> Organization:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})
    for name in ("Ram", "Sita", "Hari"):
        Customer.objects.create(organization=organization, name=name)
    return organization


def test_usage_of_what_exists_starts_from_the_truth(counting: Organization) -> None:
    with quotas.consuming(counting, "customers"):
        Customer.objects.create(organization=counting, name="Gita")
    assert used(counting, "customers") == 4
    with pytest.raises(QuotaExceeded), quotas.consuming(counting, "customers", 2):
        raise AssertionError("the block must not run")  # pragma: no cover


def test_a_bare_consume_seeds_too_and_may_deny_early_but_never_over_grants(counting: Organization) -> None:
    Customer.objects.create(organization=counting, name="made before its unit")
    quotas.consume(counting, "customers")
    with pytest.raises(QuotaExceeded):
        quotas.consume(counting, "customers")


def test_showing_usage_starts_the_counters_of_what_exists_from_the_truth(counting: Organization) -> None:
    for _time in range(2):
        assert {d.feature: d.used for d in quotas.check_all(counting)}["customers"] == 3
    assert UsageCounter.objects.count() == 1


def test_releasing_what_was_never_counted_is_nothing_to_do_where_the_site_counts(counting: Organization) -> None:
    quotas.release(counting, "customers")
    assert not UsageCounter.objects.exists()
    Customer.objects.filter(name="Ram").delete()
    assert quotas.enter(counting, "customers").used == 2
    quotas.release(counting, "customers", 2)
    with pytest.raises(ReleaseTooLarge):
        quotas.release(counting, "customers")


def test_a_feature_that_the_database_knows_otherwise_is_not_recounted(counting: Organization) -> None:
    Feature.objects.filter(pk="customers").update(kind="happens")
    assert quotas.recount(counting, "customers") is None


def test_recount_repairs_the_count_and_a_dry_run_only_shows(counting: Organization) -> None:
    assert quotas.recount(counting, "customers", dry_run=True) == (0, 3)
    assert not UsageCounter.objects.exists()
    assert quotas.recount(counting, "customers") == (0, 3)
    set_used(counting, "customers", 1)
    assert quotas.recount(counting, "customers") == (1, 3)
    assert quotas.recount(counting, "customers") == (3, 3)
    assert quotas.recount(counting, "invoices") is None
    assert UsageCounter.objects.get().period_start == FOREVER.start


# --- purchases -------------------------------------------------------------------------------------------------------


def extend(organization: Organization, plan: str) -> Subscription:
    with transaction.atomic():
        subscription = Subscription.objects.lock(organization.pk, clock.now())
        put_on(subscription, plan, Interval.MONTH, 1, clock.now())
    return subscription


def test_a_purchase_starts_fresh_counters_and_keeps_the_old_ones_as_history(organization: Organization) -> None:
    quotas.consume(organization, "invoices", 10)
    quotas.consume(organization, "customers", 5)
    with clock.moved(timedelta(minutes=1)):
        extend(organization, "BASIC")
        decision = quotas.check(organization, "invoices")
        assert (decision.used, decision.limit, decision.plan) == (0, 1000, "BASIC")
        assert quotas.check(organization, "customers").used == 5
        quotas.consume(organization, "invoices")
    rows = UsageCounter.objects.filter(feature="invoices").order_by("period_start")
    assert [row.used for row in rows] == [10, 1]
    assert rows[0].period_end == rows[1].period_start


def test_renewing_early_extends_the_end_and_changes_nothing_else(organization: Organization) -> None:
    first = extend(organization, "BASIC")
    quotas.consume(organization, "invoices", 7)
    with clock.moved(timedelta(days=10)):
        renewed = extend(organization, "BASIC")
        assert used(organization) == 7
    assert renewed.anchor == first.anchor
    assert first.period_end is not None
    assert renewed.period_end is not None
    assert timedelta(days=28) <= renewed.period_end - first.period_end <= timedelta(days=31)


def test_renewing_late_starts_a_new_period_now(organization: Organization) -> None:
    first = extend(organization, "BASIC")
    with clock.moved(timedelta(days=45)):
        late = extend(organization, "BASIC")
        assert first.period_end is not None
        assert late.anchor > first.period_end
        assert late.anchor == late.period_start


def test_two_purchases_in_one_instant_leave_no_empty_period(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now() + timedelta(hours=1)
    with clock.moved(timedelta(hours=1)):
        with transaction.atomic():
            put_on(Subscription.objects.lock(organization.pk, now), "BASIC", Interval.MONTH, 1, now)
        UsageCounter.objects.create(
            organization=organization, feature_id="invoices", period_start=now, period_end=now + timedelta(days=30),
            used=3, updated_at=now,
        )  # fmt: skip
        with transaction.atomic():
            put_on(Subscription.objects.lock(organization.pk, now), "PRO", Interval.MONTH, 1, now)
        assert used(organization) == 0


# --- async twins -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_async_twins_do_what_their_sync_ones_do(organization: Organization) -> None:
    async def story() -> None:
        assert (await quotas.acheck(organization, "invoices")).used == 0
        grant = await quotas.aconsume(organization, "invoices", 2)
        assert grant.amount == 2
        await quotas.arelease(organization, "invoices")

        def work() -> str:
            Invoice.objects.create(organization=organization, number="async")
            return "made"

        assert await quotas.aconsuming(organization, "invoices", 1, work) == "made"
        await sync_to_async(connections.close_all)()

    asyncio.run(story())
    assert (used(organization), Invoice.objects.count()) == (2, 1)


# --- giving back in broken transactions ------------------------------------------------------------------------------


def test_giving_back_is_left_to_the_rollback_where_the_transaction_is_doomed(organization: Organization) -> None:
    with transaction.atomic():
        grant = quotas.consume(organization, "invoices")
        transaction.set_rollback(True)
        assert grant.release_after_failure() is False
    assert used(organization) == 0
    grant = quotas.consume(organization, "invoices")
    assert grant.release_after_failure() is True


def test_a_swallowed_database_error_does_not_hide_behind_ours(organization: Organization) -> None:
    with transaction.atomic():
        grant = quotas.consume(organization, "invoices")
        break_transaction()
        gave_back = grant.release_after_failure()
        transaction.set_rollback(True)
    # PostgreSQL lost the transaction with the error, the others only the statement.
    assert gave_back is (connection.vendor != "postgresql")
    assert used(organization) == 0


def test_the_model_refuses_a_count_below_zero(organization: Organization) -> None:
    quotas.consume(organization, "invoices")
    with pytest.raises(IntegrityError), transaction.atomic():
        UsageCounter.objects.update(used=-1)
    UsageCounter.objects.update(used=0)
