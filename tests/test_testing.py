"""The helpers that sites use in their own tests."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import PlanLimit, Subscription, Usage, UsageCounter
from django_tenant_billing.periods import FOREVER
from django_tenant_billing.testing import clock_moved, seed_catalogue, set_used, subscribe
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def test_the_catalogue_is_seeded_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    organization = Organization.objects.create(name="Himal Traders")
    seed_catalogue()
    seed_catalogue()
    assert PlanLimit.objects.count() == 15
    assert Usage.objects.get().organization == organization
    output = capsys.readouterr()
    assert output.out + output.err == ""


def test_the_clock_that_billing_sees_is_moved() -> None:
    with clock_moved(timedelta(days=31)):
        assert clock.now() - timezone.now() > timedelta(days=30)
    assert clock.now() - timezone.now() < timedelta(seconds=5)


def test_an_organization_is_put_on_a_plan_without_a_payment(organization: Organization) -> None:
    made = subscribe(organization, "PRO")
    assert made == Subscription.objects.get()
    assert (made.plan_id, made.period_end) == ("PRO", None)
    with clock_moved(timedelta(days=10_000)):
        assert quotas.check(organization, "invoices").plan == "PRO"


def test_a_plan_that_ends_falls_back_when_it_does(organization: Organization) -> None:
    subscribe(organization, "PRO", until=clock.now() + timedelta(days=30))
    assert quotas.check(organization, "invoices").limit == 3000
    with clock_moved(timedelta(days=31)):
        assert quotas.check(organization, "invoices").limit == 10


def test_a_plan_may_have_ended_long_ago(organization: Organization) -> None:
    ended = clock.now() - timedelta(days=400)
    assert subscribe(organization, "PRO", until=ended).period_start < ended
    assert Subscription.objects.get().period_end == ended
    assert quotas.check(organization, "invoices").plan == "FREE"
    assert subscribe(organization, "PRO").plan_in_force(clock.now()) == "PRO"


def test_a_new_organization_gets_its_subscription_on_the_way(catalogue: None) -> None:
    Organization.objects.bulk_create([Organization(name="Himal Traders")])  # sends no signal
    assert subscribe(Organization.objects.get(), "BASIC").plan_id == "BASIC"


def test_the_count_of_the_current_period_becomes_what_a_test_needs(organization: Organization) -> None:
    set_used(organization, "invoices", 9)
    quotas.consume(organization, "invoices")
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    set_used(organization, "invoices", 3)
    decision = quotas.check(organization, "invoices")
    assert decision.used == 3
    row = UsageCounter.objects.get()
    assert (row.period_start, row.period_end) == (decision.period_start, decision.period_end)
    with clock_moved(timedelta(days=32)):
        assert quotas.check(organization, "invoices").used == 0


def test_the_count_of_what_exists_never_resets(organization: Organization) -> None:
    set_used(organization, "customers", 5)
    row = UsageCounter.objects.get()
    assert (row.period_start, row.period_end) == FOREVER
    with clock_moved(timedelta(days=32)):
        assert quotas.check(organization, "customers").used == 5


def test_only_the_named_organization_and_feature_are_touched(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    set_used(other, "invoices", 4)
    set_used(organization, "api_calls", 50)
    set_used(organization, "invoices", 7)
    assert [quotas.check(o, "invoices").used for o in (organization, other)] == [7, 4]
    assert [quotas.check(o, "api_calls").used for o in (organization, other)] == [50, 0]
