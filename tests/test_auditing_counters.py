"""What must hold of every counter, and the rows that an organization must have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.auditing import IDS, audit
from django_tenant_billing.auditing import counters as auditing_counters
from django_tenant_billing.models import (
    Feature,
    Hold,
    LimitOverride,
    PlanLimit,
    Subscription,
    Usage,
    UsageCounter,
)
from django_tenant_billing.testing import set_used, subscribe
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def found(*only: str) -> list[str]:
    return [f"{finding.id} {finding.problem}" for finding in audit("default", clock.now(), only or IDS)]


@pytest.fixture
def busy(organization: Organization) -> Organization:
    """Has used and holds something, in two periods, within its limits."""
    quotas.consume(organization, "invoices", 2)
    quotas.reserve(organization, "invoices", 3)
    quotas.consume(organization, "customers")
    UsageCounter.objects.close(organization.pk, clock.now())
    quotas.consume(organization, "invoices")
    assert found() == []
    return organization


@contextmanager
def unconstrained() -> Iterator[None]:
    """As a database whose CHECK constraints somebody dropped."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table is altered while a foreign key is to be tested
            cursor.execute("ALTER TABLE tenant_billing_usagecounter DROP CONSTRAINT tb_counter_used_not_negative")
            yield
        else:
            off, on = {
                "sqlite": ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF"),
                "mysql": ("SET check_constraint_checks = 0", "SET check_constraint_checks = 1"),
            }[connection.vendor]
            cursor.execute(off)
            yield
            cursor.execute(on)


def test_i11_less_than_nothing_is_found(busy: Organization) -> None:
    counter = UsageCounter.objects.filter(feature="customers")
    with pytest.raises(IntegrityError), transaction.atomic():
        counter.update(used=-1)
    with unconstrained():
        counter.update(used=-1)
    assert found() == ["I-11 -1 are used and 0 held, which is less than none"]


def test_i11_held_units_that_no_reservation_holds_are_found(busy: Organization) -> None:
    Hold.objects.update(amount=2)
    (finding,) = audit("default", clock.now())
    assert finding.problem == "3 are held, and its reservations hold 2"
    assert finding.command == f"manage.py billing_explain {busy.pk} invoices"
    Hold.objects.all().delete()
    assert found() == ["I-11 3 are held, and its reservations hold 0"]


def test_i11_more_than_the_limit_is_a_note_under_each_kind_of_limit(
    busy: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing_counters, "BATCH", 1)
    now = clock.now()

    def over() -> list[str]:
        notes = list(audit("default", now))
        assert {note.severity.value for note in notes} <= {"note"}
        return [f"{note.subject.partition(', ')[2]}: {note.problem.partition(':')[0]}" for note in notes]

    subscribe(busy, "PRO")
    set_used(busy, "customers", 6)
    assert over() == []
    subscription = subscribe(busy, "FREE")
    assert over() == ["customers: 6 used and 0 held of 5"]
    override = LimitOverride.objects.create(
        organization=busy, feature_id="customers", limit_value=None, reason="a gift", actor="anna", starts_at=now
    )
    assert over() == []
    override.delete()
    PlanLimit.objects.filter(plan="FREE", feature="customers").update(trial_differs=True, trial_limit_value=6)
    assert over() == ["customers: 6 used and 0 held of 5"]
    Subscription.objects.update(trial_ends_at=now + timedelta(days=1))
    assert over() == []
    Subscription.objects.update(trial_ends_at=None)
    PlanLimit.objects.filter(plan="FREE", feature="customers").delete()
    assert over() == ["customers: 6 used and 0 held of 0"]
    # In grace the plan goes on, but for features that are not kept.
    Subscription.objects.filter(pk=subscription.pk).update(
        plan="PRO", period_start=now - timedelta(days=9), period_end=now - timedelta(days=1),
        grace_ends_at=now + timedelta(days=1),
    )  # fmt: skip
    assert over() == []
    Feature.objects.filter(pk="customers").update(kept_in_grace=False)
    assert over() == ["customers: 6 used and 0 held of 0"]
    Subscription.objects.all().delete()
    assert [note for note in found("I-11") if "6 used" in note] == [
        "I-11 6 used and 0 held of 0: nothing is granted until it is less"
    ]


def test_i14_a_moment_that_is_counted_twice_is_found(busy: Organization) -> None:
    older, newer = UsageCounter.objects.filter(feature="invoices").order_by("period_start")
    assert older.period_end <= newer.period_start
    UsageCounter.objects.filter(pk=older.pk).update(period_end=newer.period_start + timedelta(seconds=1))
    assert found() == [
        f"I-14 the period from {older.period_start:%Y-%m-%d %H:%M} runs into that from "
        f"{newer.period_start:%Y-%m-%d %H:%M} UTC"
    ]


@pytest.mark.parametrize(("model", "what"), [(Subscription, "subscription"), (Usage, "usage row")])
def test_an_organization_that_lacks_a_row_is_told_with_the_command(
    organization: Organization, model: type[Subscription] | type[Usage], what: str
) -> None:
    assert found() == []
    model._default_manager.all().delete()
    (finding,) = audit("default", clock.now())
    assert (finding.id, finding.severity, finding.subject) == ("rows", "warning", f"organization {organization.pk}")
    assert (finding.problem, finding.command) == (f"it has no {what}", "manage.py init_plan_limits")


def test_a_plan_without_limits_is_told_once_organizations_are_on_it(organization: Organization) -> None:
    PlanLimit.objects.filter(plan="PRO").delete()
    assert found() == []
    PlanLimit.objects.filter(plan="FREE").delete()
    Organization.objects.create(name="Pahad Foods")
    assert found() == ["rows organizations are on it, and it has no limits, so that every feature is denied"]
