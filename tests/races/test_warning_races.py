"""usage_warning: once for each crossing, whoever crosses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_tenant_billing import quotas
from django_tenant_billing.signals import usage_warning
from django_tenant_billing.testing import set_used
from tests.races.counting import Together, consume_many, used
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

WEIGHTS = {60: 1, 80: 1000, 100: 1_000_000}
"""One number for three counts, since that is what a process hands back."""


class Heard(threading.local):
    """What was announced in this thread or process."""

    marks = 0


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()

    def receive(percent: int, **_facts: Any) -> None:
        heard.marks += WEIGHTS[percent]

    usage_warning.connect(receive)
    yield heard
    usage_warning.disconnect(receive)


@pytest.mark.parametrize("most", [1, 3])
def test_each_mark_is_announced_once_however_many_cross_it(
    contended: Organization, together: Together, runs: int, heard: Heard, most: int
) -> None:
    def work(index: int) -> int:
        heard.marks = 0
        consume_many(contended, 30, most=most, first=index)
        return heard.marks

    for _run in range(max(runs // 2, 1)):
        set_used(contended, "invoices", 50)
        assert sum(together(8, work)) == sum(WEIGHTS.values())
        assert used(contended) == 100


def test_marks_are_announced_once_for_reservations_too(
    contended: Organization, together: Together, runs: int, heard: Heard
) -> None:
    def work(_index: int) -> int:
        heard.marks = 0
        for _number in range(2):
            quotas.reserve(contended, "invoices", 3).commit()
        return heard.marks

    for _run in range(runs):
        set_used(contended, "invoices", 52)
        assert sum(together(8, work)) == sum(WEIGHTS.values())
        assert used(contended) == 100


def naive_crossed(organization: Organization) -> bool:
    """What a hurried developer asks after his commit: is this the call that went past 60?"""
    after = quotas.check(organization, "invoices").used
    return after - 1 < 60 <= after


@pytest.mark.parametrize(("before", "announced"), [(58, 2), (59, 0)])
def test_looking_after_the_commit_announces_twice_or_never(
    contended: Organization, together: Together, before: int, announced: int
) -> None:
    """The negative control: two calls at once, each looking when both have been counted."""
    set_used(contended, "invoices", before)
    assert sum(together(2, lambda _index: consume_many(contended, 1))) == 2
    assert sum(together(2, lambda _index: naive_crossed(contended))) == announced
