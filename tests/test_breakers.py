"""Whether a gateway is asked: open after five silent answers, one probe a minute, halted until a person says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_tenant_billing import clock
from django_tenant_billing.models import Breaker
from django_tenant_billing.models.breakers import OPENS_AFTER, PROBE_EVERY

pytestmark = pytest.mark.django_db


def silent(times: int) -> None:
    for _time in range(times):
        Breaker.objects.unanswered("khalti", clock.now())


def may_ask(*, later: timedelta = timedelta()) -> bool:
    return Breaker.objects.may_ask("khalti", clock.now() + later)


def test_five_silent_answers_in_a_row_open_it_and_no_fewer() -> None:
    silent(OPENS_AFTER - 1)
    assert may_ask()
    Breaker.objects.answered("khalti")
    silent(OPENS_AFTER - 1)
    assert may_ask()
    silent(1)
    assert not may_ask()
    assert Breaker.objects.may_ask("esewa", clock.now())


def test_an_open_one_lets_one_probe_through_in_each_minute() -> None:
    silent(OPENS_AFTER + 2)
    assert not may_ask(later=PROBE_EVERY - timedelta(seconds=1))
    assert [may_ask(later=PROBE_EVERY) for _asker in range(3)] == [True, False, False]
    assert not may_ask(later=PROBE_EVERY * 2 - timedelta(seconds=1))
    assert may_ask(later=PROBE_EVERY * 2)


def test_a_clock_that_was_set_back_does_not_keep_the_probe_away() -> None:
    silent(OPENS_AFTER)
    assert may_ask(later=-timedelta(days=1))


def test_a_usable_answer_closes_it() -> None:
    silent(OPENS_AFTER)
    Breaker.objects.answered("khalti")
    assert [may_ask() for _asker in range(3)] == [True, True, True]
    silent(OPENS_AFTER - 1)
    assert may_ask()


def test_one_that_is_halted_lets_nobody_through_until_a_person_resumes_it() -> None:
    Breaker.objects.halt("khalti", "refused our key")
    assert not may_ask(later=timedelta(days=30))
    Breaker.objects.answered("khalti")
    assert not may_ask()
    assert Breaker.objects.resume("khalti")
    assert may_ask()
    assert not Breaker.objects.resume("khalti")


def test_a_breaker_reads_as_its_gateway_and_what_holds_it() -> None:
    silent(2)
    assert str(Breaker.objects.get()) == "khalti - 2"
    Breaker.objects.halt("khalti", "refused our key")
    assert str(Breaker.objects.get()) == "khalti - refused our key"
