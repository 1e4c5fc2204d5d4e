"""Every verb of the quota engine in every order, against an oracle in plain Python; and bugs that this must find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from django_tenant_billing import clock
from django_tenant_billing.decisions import Decision
from django_tenant_billing.models import HoldState, counters
from django_tenant_billing.models.statements import LIMIT_IN_FORCE, UNLIMITED
from django_tenant_billing.quotas import Grant, Reservation, engine, orders
from django_tenant_billing.quotas.engine import Taken
from django_tenant_billing.testing import seed_catalogue
from tests.races.drawn import CATALOGUE
from tests.races.machine import QuotaMachine, Site, run

pytestmark = pytest.mark.django_db(transaction=True)

counting = import_module("django_tenant_billing.quotas.counting")  # the package has a function of this name

FEW = 30

ENOUGH = 300
"""Examples that find every planted bug, with room to spare: which are drawn depends on the version of Python too."""


@pytest.fixture
def site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    settings.TENANT_BILLING_CATALOGUE = CATALOGUE
    site = QuotaMachine.site = Site()
    monkeypatch.setattr(clock, "timezone", SimpleNamespace(now=site.now))
    seed_catalogue()
    # Planned once: PostgreSQL would think about each look for longer than it works on it.
    once = {
        "server_side_binding": True,
        "prepare_threshold": 1,
        "options": "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off",
    }
    faster = {"postgresql": once}.get(connection.vendor, {})
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", connection.settings_dict["OPTIONS"] | faster)
    connection.close()
    yield site
    connection.close()


def test_every_verb_in_any_order_does_what_the_oracle_says(site: Site, runs: int) -> None:
    # 500 examples of 50 steps where a server answers fast; fewer elsewhere, where the same is proved of other SQL.
    run(25 * runs if connection.vendor == "postgresql" else 3 * runs // 2, shrink=True)


def test_a_few_of_the_examples_that_look_for_a_planted_bug_pass_without_one(site: Site) -> None:
    run(FEW)


# --- planted bugs ----------------------------------------------------------------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def otherwise(names: str, old: str, new: str) -> Plant:
    """Statements of the engine with another text in them."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for name in names.split():
            statement = getattr(counters, name)
            changed = (
                {vendor: sql.replace(old, new) for vendor, sql in statement.items()}
                if isinstance(statement, dict)
                else statement.replace(old, new)
            )
            assert changed != statement
            patch.setattr(counters, name, changed)

    return plant


def a_grant_forgets_that_it_was_released(patch: pytest.MonkeyPatch) -> None:
    release = Grant.release

    def again(grant: Grant) -> bool:
        grant._released = False
        return release(grant)

    patch.setattr(Grant, "release", again)


def a_reservation_finishes_whenever_it_is_asked_to(patch: pytest.MonkeyPatch) -> None:
    lock = Reservation._lock

    def held(reservation: Reservation) -> list[Any]:
        holds = lock(reservation)
        for hold in holds:
            hold.state = HoldState.HELD
        return holds

    patch.setattr(Reservation, "_lock", held)


def features_are_locked_as_they_are_named(patch: pytest.MonkeyPatch) -> None:
    def unsorted(asked: orders.Asked, amount: int) -> dict[str, int]:
        return {asked: amount} if isinstance(asked, str) else dict(asked)

    patch.setattr(orders, "amounts_of", unsorted)
    patch.setattr(counting, "amounts_of", unsorted)


def what_has_expired_is_held_for_ever(patch: pytest.MonkeyPatch) -> None:
    otherwise("LOOK_ALL LOOK_ONE", "AND h.expires_at <=", "AND 1 = 0 AND h.expires_at <=")(patch)
    patch.setattr(engine, "sweep", lambda organization, feature: None)


def grace_never_ends(patch: pytest.MonkeyPatch) -> None:
    def in_grace(decision: Decision) -> bool:
        return not decision.fits and bool(decision.limit) and decision.grace_days > 0

    patch.setattr(Decision, "in_grace", property(in_grace))


def a_replay_counts_again(patch: pytest.MonkeyPatch) -> None:
    once = counting.once

    def twice(organization: Any, key: str, body: dict[str, Any], act: Callable[[], dict[str, Any]]) -> Any:
        answer = once(organization, key, body, act)
        return answer._replace(values=act()) if answer.replayed else answer

    patch.setattr(counting, "once", twice)


def features_are_counted_one_by_one(patch: pytest.MonkeyPatch) -> None:
    take = counting.take

    def each(organization: Any, order: orders.Order) -> Taken:
        taken = [take(organization, replace(order, amounts={feature: n})) for feature, n in order.amounts.items()]
        got = {feature: n for one in taken for feature, n in one.amounts.items()}
        return Taken(got, taken[0].at, frozenset().union(*(one.uncounted for one in taken)))

    patch.setattr(counting, "take", each)


BUGS: dict[str, Plant] = {
    "no limit row is no limit": otherwise("CONSUME HOLD", LIMIT_IN_FORCE, f"COALESCE({LIMIT_IN_FORCE}, {UNLIMITED})"),
    "a grant is released twice": a_grant_forgets_that_it_was_released,
    "a reservation is finished twice": a_reservation_finishes_whenever_it_is_asked_to,
    "features are locked as they are named": features_are_locked_as_they_are_named,
    "what has expired is held for ever": what_has_expired_is_held_for_ever,
    "units go back to another period": otherwise("GIVE_BACK", "%(at)s", "%(now)s"),
    "holds are converted in another period": otherwise("CONVERT", "%(at)s", "%(now)s"),
    "every period is counted in": otherwise("CONSUME", "AND period_start <= %(at)s AND period_end > %(at)s", ""),
    "an override never ends": otherwise("CONSUME HOLD", "o.ends_at > %(now)s", "1 = 1"),
    "what was paid for never ends": otherwise("CONSUME HOLD", "s.period_end > %(now)s", "1 = 1"),
    "grace never ends": grace_never_ends,
    "a replay counts again": a_replay_counts_again,
    "features are counted one by one": features_are_counted_one_by_one,
}


@pytest.mark.parametrize("plant", BUGS.values(), ids=BUGS)
def test_a_planted_bug_is_found(site: Site, monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run(ENOUGH)
