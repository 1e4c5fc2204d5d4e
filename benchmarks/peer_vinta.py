"""vinta-django-billing, its own code: ``check_limit(lock=True)``, which locks the subscription and counts the rows.

Its documentation wants check and insert in one transaction. Imported only where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from vinta_billing.constants import LimitKind
from vinta_billing.counting import count_by_scope
from vinta_billing.models import BillingPlan, BillingScope, Subscription, SubscriptionPlanLimit
from vinta_billing.registry import resources
from vinta_billing.services.container import get_entitlement_service

from benchmarks.clients import Operation
from benchmarks.databases import LIMIT
from tests.testapp.models import Customer, Organization


def count_customers(context: Any) -> Any:
    """By their helper. A scope has the number of its organization."""
    customers = Customer.objects.filter(organization_id__in=context.scope_ids)
    return count_by_scope(customers.annotate(scope_id=F("organization_id")))


resources.register("customers", label="Customers", kind=LimitKind.PREPAID, counter=count_customers)


def seed(keys: Sequence[int]) -> None:
    """A subscription with a limit of customers for each of these organizations."""
    now = timezone.now()
    plan = BillingPlan.objects.create(slug="free", name="Free", monthly_price=0, currency="EUR")
    kind = ContentType.objects.get_for_model(Organization)
    BillingScope.objects.bulk_create(
        [BillingScope(pk=key, content_type=kind, object_id=str(key), scope_key=f"organization:{key}") for key in keys]
    )
    subscriptions = Subscription.objects.bulk_create(
        Subscription(
            scope_id=key, plan=plan, current_period_start=now, current_period_end=now + timedelta(days=28)
        )
        for key in keys
    )  # fmt: skip
    SubscriptionPlanLimit.objects.bulk_create(
        SubscriptionPlanLimit(
            subscription=subscription, resource_key="customers", limit_value=LIMIT, kind=LimitKind.PREPAID
        )
        for subscription in subscriptions
    )


def guard() -> Operation:
    """The guard alone."""
    check_limit = get_entitlement_service().check_limit

    def operation(organization: Organization) -> bool:
        with transaction.atomic():
            return bool(check_limit(BillingScope(pk=organization.pk), "customers", lock=True).allowed)

    return operation


def create() -> Operation:
    """The guard and the row that it guards."""
    check_limit = get_entitlement_service().check_limit

    def operation(organization: Organization) -> bool:
        with transaction.atomic():
            allowed = check_limit(BillingScope(pk=organization.pk), "customers", lock=True).allowed
            if allowed:
                Customer.objects.create(organization_id=organization.pk, name="New")
        return bool(allowed)

    return operation
