"""What time and people do to subscriptions, many at once and killed anywhere: each thing once, no paid day lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import clock, subscriptions
from django_tenant_billing.exceptions import NotPossible, TrialUsed
from django_tenant_billing.models import Plan, Subscription, SubscriptionEvent, TrialMark
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import Terms
from django_tenant_billing.periods import Interval
from tests.quota_tools import put_on
from tests.races.counting import Together
from tests.races.harness import kill_at, meeting, points_of
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timedelta(days=40)
MONTH = Terms("BASIC", 0, "NPR", Interval.MONTH, 1)


def sell(organization: Organization) -> Subscription:
    """A month of BASIC from now on, three days of grace after it."""
    Plan.objects.filter(pk="BASIC").update(grace_days=3)
    now = clock.now()
    with transaction.atomic():
        put_on(Subscription.objects.lock(organization.pk, now), "BASIC", Interval.MONTH, 1, now)
    return Subscription.objects.get(organization=organization)


def noted() -> list[int]:
    """How often each thing that time did is in the history, of each subscription."""
    by_itself = SubscriptionEvent.objects.filter(actor="time").values_list("subscription_key", "change")
    return list(Counter(by_itself).values())


def note(_index: int) -> int:
    return len(list(subscriptions.run_due(clock.now() + LATER)))


def test_commands_that_run_at_once_note_each_thing_once(contended: Organization, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        sold = [sell(Organization.objects.create(name=f"{run}-{number}")) for number in range(4)]
        before = len(noted())
        assert sum(together(8, note)) == 2 * len(sold)
        assert noted() == [1] * (before + 2 * len(sold))


def naive_note(subscription: Subscription, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: look what is due, note it, say that it is done."""
    row, now = Subscription.objects.get(pk=subscription.pk), clock.now() + LATER
    looked()
    return len(row.catch_up(now))


def test_noting_without_the_lock_notes_twice(contended: Organization, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        subscription = sell(Organization.objects.create(name=f"{run}"))
        assert sum(together(8, partial(naive_note, subscription, meeting(8)))) == 2 * 8
        assert naive_note(subscription, meeting(1), 0) == 0  # alone it looks right


def test_killed_anywhere_the_command_run_again_notes_each_thing_once(contended: Organization) -> None:
    note(0)  # the heartbeat's first takes more statements than all others
    sell(contended)
    for number, point in enumerate(points_of(lambda: note(0)), start=2):
        sell(Organization.objects.create(name=f"{point}"))
        assert kill_at(point, partial(note, 0))
        note(0)
        assert noted() == [1] * 2 * number


def test_noting_without_a_transaction_and_killed_loses_what_was_due(contended: Organization) -> None:
    rehearsed, lost = sell(contended), 0
    for point in points_of(lambda: naive_note(rehearsed, meeting(1), 0)):
        before = len(noted())
        subscription = sell(Organization.objects.create(name=f"{point}"))
        assert kill_at(point, partial(naive_note, subscription, meeting(1), 0))
        note(0)
        lost += len(noted()) < before + 2
    assert lost > 0


def try_out(organizations: list[Organization], index: int) -> int:
    try:
        subscriptions.start_trial(organizations[index], "PRO", actor=f"user {index}")
    except TrialUsed:
        return 0
    return 1


def test_of_many_organizations_of_one_owner_at_once_one_has_the_trial(
    contended: Organization, together: Together, runs: int, settings: Any
) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    for run in range(max(runs // 4, 1)):
        settings.TENANT_BILLING_TRIAL_KEYS = lambda _organization, owner=f"owner {run}": [owner]
        organizations = [Organization.objects.create(name=f"{run}-{number}") for number in range(8)]
        assert sum(together(8, partial(try_out, organizations))) == 1


def naive_try_out(key: str, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: had it? then let them, and note it."""
    had = TrialMark.objects.filter(digest=key).exists()
    looked()
    if had:
        return 0
    TrialMark.objects.bulk_create([TrialMark(digest=key, plan="PRO", at=clock.now())], ignore_conflicts=True)
    return 1


def test_looking_first_gives_many_trials(contended: Organization, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        assert sum(together(8, partial(naive_try_out, f"{run}", meeting(8)))) == 8
        assert naive_try_out(f"{run}", meeting(1), 0) == 0  # alone it looks right


def pay(organization: Organization, _index: int) -> int:
    now = clock.now()
    with transaction.atomic():
        buy(Subscription.objects.lock(organization.pk, now), MONTH, now, paid_minor=0, actor="payer")
    return 1


def pay_or_act(organization: Organization, index: int) -> int:
    """By turns: pay a month early, cancel or schedule what can be."""
    if index % 2 == 0:
        return pay(organization, index)
    try:
        subscriptions.cancel(organization, actor=f"user {index}")
    except NotPossible:
        return 0  # canceled already
    return 0


def test_acts_beside_payments_lose_no_paid_month(contended: Organization, together: Together, runs: int) -> None:
    for run in range(max(runs // 2, 1)):
        organization = Organization.objects.create(name=f"{run}")
        sell(organization)
        assert sum(together(8, partial(pay_or_act, organization))) == 4
        assert months(organization) == 5


def months(organization: Organization) -> int:
    """How many months from its anchor on a subscription is paid for."""
    row = Subscription.objects.get(organization=organization)
    assert row.period_end is not None
    return round((row.period_end - row.anchor) / timedelta(days=30.4))


def naive_cancel(organization: Organization, looked: Callable[[], object], index: int) -> int:
    """What a hurried developer writes: get it, change it, save it."""
    row = Subscription.objects.get(organization=organization)
    looked()
    if index == 0:
        pay(organization, index)
    looked()
    row.canceled_at = clock.now()
    row.save()
    return 0


def test_saving_what_was_read_loses_a_paid_month(contended: Organization, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        organization = Organization.objects.create(name=f"{run}")
        sell(organization)
        together(2, partial(naive_cancel, organization, meeting(2)))
        assert months(organization) == 1
        pay(organization, 0)
        assert months(organization) == 2  # alone it looks right
