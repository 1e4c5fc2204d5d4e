"""Several features in one call: one order of locks for everybody, and room for as many features as there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import quotas
from django_tenant_billing.models import Feature, PlanLimit, UsageCounter
from tests.clocks import expire_all
from tests.testapp.models import Organization

# Neither the order of bytes, nor of JSON columns in PostgreSQL, nor of collations that skip the underscore.
SLUGS = ("ab", "a_a", "b", "long_name")


@pytest.fixture
def several(organization: Organization) -> Organization:
    add_features(*SLUGS)
    return organization


def add_features(*slugs: str) -> None:
    for slug in slugs:
        Feature.objects.create(slug=slug, singular=slug, plural=slug, kind="happens")
        PlanLimit.objects.create(plan_id="FREE", feature_id=slug, limit_value=10)


def counters_updated_by(work: Callable[[], Any]) -> list[str]:
    """The features whose counters are updated, in the order of the statements."""
    with CaptureQueriesContext(connection) as queries:
        work()
    updates = [q["sql"] for q in queries if q["sql"].startswith("UPDATE tenant_billing_usagecounter")]
    return [re.search(r"feature_id = '(\w+)'", sql).group(1) for sql in updates]  # type: ignore[union-attr]


def test_every_verb_updates_counters_in_one_order(several: Organization) -> None:
    backwards = dict.fromkeys(reversed(SLUGS), 1)
    quotas.consume(several, backwards)
    reservations = [quotas.reserve(several, backwards) for _number in range(2)]
    grant = quotas.consume(several, backwards, key="first")
    verbs: list[Callable[[], Any]] = [
        lambda: quotas.consume(several, backwards),
        lambda: quotas.track(several, backwards),
        lambda: quotas.reserve(several, backwards),
        lambda: quotas.release(several, backwards),
        quotas.consume(several, backwards).release,
        reservations[0].commit,
        reservations[1].release,
    ]
    for verb in verbs:
        assert counters_updated_by(verb) == list(SLUGS)
    # What a replay knows of the grant comes out of a JSON column, which keeps no order.
    replayed = quotas.consume(several, backwards, key="first")
    assert replayed.replayed
    assert not grant.replayed
    assert counters_updated_by(replayed.release) == list(SLUGS)


def test_more_features_than_tries_are_counted_in_their_first_call(organization: Organization) -> None:
    slugs = [f"feature_{number}" for number in range(12)]
    add_features(*slugs)
    quotas.consume(organization, dict.fromkeys(slugs, 2))
    assert list(UsageCounter.objects.values_list("used", flat=True)) == [2] * 12


def test_an_expired_hold_of_each_of_many_features_is_swept_in_one_call(organization: Organization) -> None:
    slugs = [f"feature_{number}" for number in range(12)]
    add_features(*slugs)
    for slug in slugs:
        quotas.reserve(organization, slug, 10)
    expire_all()
    quotas.consume(organization, dict.fromkeys(slugs, 10))
    assert set(UsageCounter.objects.values_list("used", "held")) == {(10, 0)}
