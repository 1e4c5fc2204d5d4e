"""The ways of counting one unit that are compared: ours, and what one would write instead."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection, transaction
from django.utils import timezone

from benchmarks.clients import Operation
from benchmarks.databases import LIMIT, LOW_LIMIT
from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.models.statements import CONSUME
from tests.testapp.models import Customer, Organization

# The counters of invoices have the numbers of their organizations.
LITERAL = f"UPDATE tenant_billing_usagecounter SET used = used + 1 WHERE id = %s AND used + 1 <= {LIMIT}"


def raw_literal() -> Operation:
    """No Django at all: what the database and its driver can do."""
    where = connection.settings_dict
    own = psycopg.connect(
        dbname=where["NAME"], user=where["USER"], host=where["HOST"], port=where["PORT"], autocommit=True
    )
    cursor = own.cursor()

    def operation(organization: Organization) -> bool:
        cursor.execute(LITERAL, (organization.pk,), prepare=True)
        return cursor.rowcount > 0

    return operation


def literal() -> Operation:
    """The same through Django's cursor. Knows the row and the limit by heart."""

    def operation(organization: Organization) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(LITERAL, (organization.pk,))
            return bool(cursor.rowcount > 0)

    return operation


def by_hand() -> Operation:
    """The statement that decides, sent by hand with the parameters that ``consume`` sends."""
    adapt = connection.ops.adapt_datetimefield_value

    def operation(organization: Organization) -> bool:
        now = adapt(timezone.now())
        parameters: dict[str, Any] = {
            "organization": organization.pk, "feature": "invoices", "amount": 1, "now": now, "at": now,
            "fallback": "FREE",
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(CONSUME, parameters)
            return bool(cursor.rowcount > 0)

    return operation


def lock_and_save() -> Operation:
    """What careful developers write. Knows the limit by heart; finds the row and writes the columns that we do."""

    def operation(organization: Organization) -> bool:
        now = timezone.now()
        with transaction.atomic():
            counter = UsageCounter.objects.select_for_update().get(
                organization_id=organization.pk, feature_id="invoices", period_start__lte=now, period_end__gt=now
            )
            if counter.used + 1 > LIMIT:
                return False
            counter.used += 1
            counter.updated_at = now
            counter.save(update_fields=["used", "updated_at"])
        return True

    return operation


def naive() -> Operation:
    """What hurried developers write: read, compare, write."""

    def operation(organization: Organization) -> bool:
        counter = UsageCounter.objects.get(organization_id=organization.pk, feature_id="api_calls")
        if counter.used + 1 > LOW_LIMIT:
            return False
        counter.used += 1
        counter.save(update_fields=["used"])
        return True

    return operation


def consume() -> Operation:
    """Ours."""
    return _consume("invoices")


def consume_api_calls() -> Operation:
    """Ours, of the feature with the low limit."""
    return _consume("api_calls")


def _consume(feature: str) -> Operation:
    def operation(organization: Organization) -> bool:
        try:
            quotas.consume(organization, feature)
        except QuotaExceeded:
            return False
        return True

    return operation


def create_and_consume() -> Operation:
    """A row and its count in one transaction, the count last."""

    def operation(organization: Organization) -> bool:
        with transaction.atomic():
            Customer.objects.create(organization_id=organization.pk, name="New")
            quotas.consume(organization, "customers")
        return True

    return operation


def create_consuming() -> Operation:
    """The same by ``consuming``, which looks before the work too."""

    def operation(organization: Organization) -> bool:
        with quotas.consuming(organization, "customers"):
            Customer.objects.create(organization_id=organization.pk, name="New")
        return True

    return operation


def create_only() -> Operation:
    """The row alone, of nobody's limit."""

    def operation(organization: Organization) -> bool:
        Customer.objects.create(organization_id=organization.pk, name="New")
        return True

    return operation
