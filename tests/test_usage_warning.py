"""The warning when a reservation is committed: what was held is old news, what comes on top is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from django_tenant_billing import quotas
from django_tenant_billing.models import Hold
from django_tenant_billing.signals import usage_warning
from django_tenant_billing.testing import clock_moved, set_used
from tests.testapp.models import Organization

Heard = list[int]


@pytest.fixture
def heard() -> Iterator[Heard]:
    percents: Heard = []

    def listen(percent: int, **_kwargs: Any) -> None:
        percents.append(percent)

    usage_warning.connect(listen)
    yield percents
    usage_warning.disconnect(listen)


@pytest.fixture
def reservation(
    organization: Organization, heard: Heard, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> quotas.Reservation:
    """One unit held after 8 of 10: the reservation itself went past no mark."""
    set_used(organization, "invoices", 8)
    with django_capture_on_commit_callbacks(execute=True):
        return quotas.reserve(organization, "invoices", 1)


@pytest.mark.parametrize(("actual", "expected"), [(0, []), (1, []), (2, [100])])
def test_committing_warns_of_what_comes_on_top(
    reservation: quotas.Reservation,
    heard: Heard,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    actual: int,
    expected: Heard,
) -> None:
    assert heard == []
    with django_capture_on_commit_callbacks(execute=True):
        reservation.commit(actual)
    assert heard == expected


def test_a_late_commit_warns_of_all_it_counts(
    reservation: quotas.Reservation, heard: Heard, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    Hold.objects.update(expires_at="2020-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        reservation.commit(2)
    assert heard == [100]


def test_what_is_committed_to_a_period_that_is_over_warns_of_nothing_in_this_one(
    organization: Organization, heard: Heard, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    reservation = quotas.reserve(organization, "invoices", 1, expires_in=timedelta(days=7))
    with clock_moved(timedelta(days=40)):
        set_used(organization, "invoices", 9)
        with django_capture_on_commit_callbacks(execute=True):
            reservation.commit(9)
    assert heard == []
