"""Warnings: the marks of a limit that counting goes past, and what finding them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Subscription
from django_tenant_billing.signals import usage_warning
from django_tenant_billing.testing import subscribe
from tests.quota_tools import change_limit, numbers, statements
from tests.testapp.models import Organization

Run = Callable[..., Any]


def kinds(asked: list[str]) -> list[str]:
    return [sql.split()[0] for sql in asked]


@contextmanager
def receiver() -> Iterator[list[tuple[str, int, int]]]:
    """Feature, percent of the mark, and what the decision says is in use, of each warning."""
    heard: list[tuple[str, int, int]] = []

    def hear(organization: Organization, decision: Any, percent: int, **_kwargs: Any) -> None:
        assert isinstance(organization, Organization)
        heard.append((decision.feature, percent, decision.used + decision.held))

    usage_warning.connect(hear)
    try:
        yield heard
    finally:
        usage_warning.disconnect(hear)


@pytest.fixture
def warn(django_capture_on_commit_callbacks: Any) -> Iterator[Run]:
    """Runs something with a receiver, to the end of its transaction, and returns what was announced."""
    with receiver() as heard:

        def run(act: Callable[[], object]) -> list[tuple[str, int, int]]:
            heard.clear()
            with django_capture_on_commit_callbacks(execute=True):
                act()
            return list(heard)

        yield run


def test_each_mark_is_announced_once_when_it_is_reached(organization: Organization, warn: Run) -> None:
    found = [warn(lambda: quotas.consume(organization, "invoices")) for _number in range(10)]
    assert [said for said in found if said] == [[("invoices", 60, 6)], [("invoices", 80, 8)], [("invoices", 100, 10)]]
    assert found[5]
    assert warn(lambda: quotas.track(organization, "invoices")) == []


def test_of_several_marks_at_once_the_highest_is_announced(organization: Organization, warn: Run) -> None:
    assert warn(lambda: quotas.consume(organization, "invoices", 9)) == [("invoices", 80, 9)]
    assert warn(lambda: quotas.track(organization, "invoices", 9)) == [("invoices", 100, 18)]


def test_a_mark_that_is_crossed_again_is_announced_again(organization: Organization, warn: Run) -> None:
    quotas.consume(organization, "invoices", 5)
    grants: list[quotas.Grant] = []
    for _time in range(2):
        assert warn(lambda: grants.append(quotas.consume(organization, "invoices"))) == [("invoices", 60, 6)]
        assert warn(grants[-1].release) == []


def test_each_of_several_features_has_its_own_marks(organization: Organization, warn: Run) -> None:
    asked = {"invoices": 8, "api_calls": 3, "customers": 3}
    assert warn(lambda: quotas.consume(organization, asked)) == [("customers", 60, 3), ("invoices", 80, 8)]


def test_what_is_held_counts_for_the_marks_and_its_commit_is_no_crossing(organization: Organization, warn: Run) -> None:
    made: list[quotas.Reservation] = []
    assert warn(lambda: made.append(quotas.reserve(organization, "invoices", 6))) == [("invoices", 60, 6)]
    assert warn(made[0].commit) == []


def test_what_is_unlimited_or_not_included_has_no_marks(organization: Organization, warn: Run) -> None:
    change_limit(limit_value=None)
    assert warn(lambda: quotas.consume(organization, "invoices", 10**6)) == []
    change_limit(limit_value=0)
    assert warn(lambda: quotas.track(organization, "invoices")) == []
    subscribe(organization, "BASIC")
    assert warn(lambda: quotas.consume(organization, "reports")) == []


def test_a_denial_or_a_rollback_is_not_announced(organization: Organization, warn: Run) -> None:
    def denied() -> None:
        with pytest.raises(QuotaExceeded):
            quotas.consume(organization, {"customers": 4, "invoices": 11})

    def rolled_back() -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            quotas.consume(organization, "invoices", 6)
            raise RuntimeError

    assert (warn(denied), warn(rolled_back)) == ([], [])
    assert warn(lambda: quotas.consume(organization, "invoices", 6)) == [("invoices", 60, 6)]


def test_a_receiver_that_raises_hides_nothing(organization: Organization, warn: Run) -> None:
    def fail(**_kwargs: Any) -> None:
        raise RuntimeError

    usage_warning.connect(fail)
    try:
        assert warn(lambda: quotas.consume(organization, "invoices", 6)) == [("invoices", 60, 6)]
    finally:
        usage_warning.disconnect(fail)
    assert numbers(organization) == (6, 0)


def test_a_receiver_costs_exactly_one_read_more_and_none_costs_none(organization: Organization) -> None:
    quotas.consume(organization, "invoices")
    with receiver(), statements() as asked:
        quotas.consume(organization, "invoices")
    assert kinds(asked) == ["UPDATE", "SELECT"]
    with receiver(), statements() as asked, pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices", 11)
    assert kinds(asked) == ["UPDATE", "SELECT"]
    with statements() as asked:
        quotas.consume(organization, "invoices")
    assert kinds(asked) == ["UPDATE"]


def test_an_organization_without_a_subscription_is_warned_as_well(organization: Organization, warn: Run) -> None:
    Subscription.objects.all().delete()
    assert warn(lambda: quotas.consume(organization, "invoices", 6)) == [("invoices", 60, 6)]
