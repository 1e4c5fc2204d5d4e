"""django-plans, its own code: a ``ModelCountValidator``, which reads the plan and counts the rows; it locks nothing.

Imported only where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from plans.models import Plan, PlanQuota, Quota, UserPlan
from plans.validators import ModelCountValidator

from benchmarks.clients import Operation
from benchmarks.databases import LIMIT
from tests.testapp.models import Customer, Organization


class MaxCustomers(ModelCountValidator):  # type: ignore[misc]
    """The example of its documentation. A user has the number of the organization."""

    code = "MAX_CUSTOMERS"
    model = Customer

    def get_queryset(self, user: User) -> Any:
        return Customer.objects.filter(organization_id=user.pk)


def seed(keys: Sequence[int]) -> None:
    """A user with a plan that limits customers for each of these organizations."""
    plan = Plan.objects.create(name="Free", slug="free", default=True, available=True)
    quota = Quota.objects.create(codename=MaxCustomers.code, name="Customers")
    PlanQuota.objects.create(plan=plan, quota=quota, value=LIMIT)
    User.objects.bulk_create(User(pk=key, username=f"user{key}") for key in keys)
    UserPlan.objects.bulk_create(UserPlan(user_id=key, plan=plan, active=True) for key in keys)


def guard() -> Operation:
    """The guard alone: a check, which counts nothing."""
    validate = MaxCustomers()

    def operation(organization: Organization) -> bool:
        try:
            # A user as a request brings it, with nothing of the plan read yet.
            validate(User(pk=organization.pk), add=1)
        except ValidationError:
            return False
        return True

    return operation


def create() -> Operation:
    """The guard and the row that it guards."""
    allowed = guard()

    def operation(organization: Organization) -> bool:
        with transaction.atomic():
            if not allowed(organization):
                return False
            Customer.objects.create(organization_id=organization.pk, name="New")
        return True

    return operation
