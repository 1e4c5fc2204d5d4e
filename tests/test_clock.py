"""The clock, and moving it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

import pytest
from django.utils import timezone

from django_tenant_billing import clock
from django_tenant_billing.clock import DatabaseNow
from tests.testapp.models import Organization


def test_now_is_the_present_in_utc() -> None:
    before = timezone.now()
    now = clock.now()
    assert before <= now <= timezone.now()
    assert now.tzinfo is UTC


def test_a_moved_clock_goes_on_from_there_and_comes_back() -> None:
    with clock.moved(timedelta(days=31)):
        ahead = clock.now() - timezone.now()
        assert abs(ahead - timedelta(days=31)) < timedelta(seconds=5)
        first = clock.now()
        assert clock.now() >= first
    assert abs(clock.now() - timezone.now()) < timedelta(seconds=5)


def test_moves_add_up_and_end_one_by_one() -> None:
    with clock.moved(timedelta(days=10)):
        with clock.moved(timedelta(days=-4)):
            assert abs(clock.now() - timezone.now() - timedelta(days=6)) < timedelta(seconds=5)
        assert abs(clock.now() - timezone.now() - timedelta(days=10)) < timedelta(seconds=5)


def test_the_clock_comes_back_when_the_block_fails() -> None:
    with pytest.raises(KeyError), clock.moved(timedelta(days=365)):
        raise KeyError
    assert abs(clock.now() - timezone.now()) < timedelta(seconds=5)


def test_the_clock_is_moved_for_every_thread() -> None:
    with ThreadPoolExecutor(1) as pool, clock.moved(timedelta(days=31)):
        assert pool.submit(clock.now).result() - timezone.now() > timedelta(days=30)


@pytest.mark.django_db
def test_the_databases_clock_is_utc_too_and_is_not_moved() -> None:
    Organization.objects.create(name="Himal Traders")
    with clock.moved(timedelta(days=31)):
        told = Organization.objects.annotate(told=DatabaseNow()).values_list("told", flat=True).get()
    assert abs(told - timezone.now()) < timedelta(minutes=1)
    # Where CURRENT_TIMESTAMP is local time, UTC is asked for by name; tried here on every database.
    compiler = Organization.objects.all().query.get_compiler("default")
    assert DatabaseNow().as_mysql(compiler, compiler.connection)[0] == "UTC_TIMESTAMP(6)"
