"""Counts set right while others count: nothing that was granted meanwhile is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from django_tenant_billing import quotas
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.testing import set_used
from tests.races.counting import Together, consume_many, set_limit, used
from tests.testapp.models import Customer, Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def roomy(contended: Organization) -> Organization:
    set_limit(10**6)
    set_limit(10**6, "customers")
    return contended


def corrected(organization: Organization) -> int:
    before, after = quotas.set_usage(organization, "invoices", 1000)
    return after - before


def naive_corrected(organization: Organization) -> int:
    """What a hurried developer writes: read, then save."""
    counter = UsageCounter.objects.get(organization=organization, feature="invoices")
    before, counter.used = counter.used, 1000
    counter.save()
    return 1000 - before


def correct_or_consume(organization: Organization, correct: Any, index: int) -> int:
    """What this one changed the count by, as it was told."""
    if index < 2:
        return sum(correct(organization) for _time in range(10))
    return consume_many(organization, 20)


def test_setting_the_count_loses_no_unit_that_is_granted_meanwhile(
    roomy: Organization, together: Together, runs: int
) -> None:
    for _run in range(runs):
        set_used(roomy, "invoices", 0)
        changes = together(8, partial(correct_or_consume, roomy, corrected))
        assert used(roomy) == sum(changes)


def test_saving_the_count_loses_units(roomy: Organization, together: Together, runs: int) -> None:
    lost = 0
    for _run in range(runs):
        set_used(roomy, "invoices", 0)
        changes = together(8, partial(correct_or_consume, roomy, naive_corrected))
        lost += used(roomy) != sum(changes)
        set_used(roomy, "invoices", 0)
        assert naive_corrected(roomy) == used(roomy)  # alone it looks right
    assert lost


def test_recounting_what_exists_while_it_comes_and_goes_ends_with_the_truth(
    settings: Any, roomy: Organization, together: Together, runs: int
) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})

    def work(index: int) -> int:
        for number in range(10):
            if index < 2:
                quotas.recount(roomy, "customers")
            else:
                with quotas.consuming(roomy, "customers"):
                    Customer.objects.create(organization=roomy, name=f"{index}-{number}")
        return 0

    for run in range(1, max(runs // 2, 1) + 1):
        UsageCounter.objects.filter(feature="customers").delete()
        together(8, work)
        assert used(roomy, "customers") == Customer.objects.count() == 60 * run
