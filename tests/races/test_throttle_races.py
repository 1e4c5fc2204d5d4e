"""Fifty requests at once at a limit: exactly as many as it allows get through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import Throttled
from django_tenant_billing.models import PaymentEvent, PaymentTransaction, Throttle
from django_tenant_billing.payments.throttling import may_initiate, may_look_up
from tests.folding import assert_log_folds_to_state
from tests.members import member
from tests.races.counting import Together, size_here
from tests.races.harness import meeting
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

REQUESTS = 50


def at_once(together: Together, work: Callable[[int], int]) -> int:
    """The sum of what fifty calls return, made by as many at a time as this database has writers for."""
    workers = size_here(REQUESTS)

    def several(index: int) -> int:
        return sum(work(number) for number in range(index, REQUESTS, workers))

    return sum(together(workers, several))


def granted(take: Callable[[], object], _number: int) -> int:
    try:
        return int(take() is not False)
    except Throttled:
        return 0


def opened() -> PaymentTransaction:
    organization = Organization.objects.create(name="Himal Traders")
    payment, _checkout = payments.start(organization, "PRO", "esewa", base_url="http://testserver")
    return payment


def test_w7_of_fifty_requests_at_once_ten_start_a_payment_and_six_come_back_with_a_look_up(together: Together) -> None:
    himal, payment = Organization(pk=1), opened()
    assert at_once(together, partial(granted, partial(may_initiate, himal, 7))) == 10
    assert at_once(together, partial(granted, partial(may_look_up, payment, "192.0.2.1"))) == 6
    # Refused for its organization, a try counts for its user all the same.
    assert at_once(together, lambda number: granted(partial(may_initiate, himal, number), number)) == 20


def verify(client: Client, payment: PaymentTransaction, _number: int) -> int:
    answer = client.post("/billing/esewa/verify/", {"reference": payment.reference}, content_type="application/json")
    assert answer.status_code in (202, 429), answer.content
    assert (answer.status_code == 429) == ("Retry-After" in answer.headers)
    return int(answer.status_code == 202)


def test_w7_of_fifty_requests_at_once_three_verify(together: Together) -> None:
    payment = opened()
    client = member(Organization.objects.get(), User.objects.create_user("samir"))
    assert at_once(together, partial(verify, client, payment)) == 3
    assert 1 <= PaymentEvent.objects.filter(kind="asked").count() <= 3


def come_back(payment: PaymentTransaction, _number: int) -> int:
    return int(Client().get(f"/billing/esewa/success/{payment.reference}/").status_code == 303)


def test_w7_of_fifty_returns_at_once_all_are_logged_and_answered_and_six_may_ask(together: Together) -> None:
    payment = opened()
    assert at_once(together, partial(come_back, payment)) == REQUESTS
    assert PaymentEvent.objects.filter(kind="claim", payment=payment).count() == REQUESTS
    assert 1 <= PaymentEvent.objects.filter(kind="asked").count() <= 6
    assert Throttle.objects.get(name__startswith="callback:payment").count == 6
    payment.refresh_from_db()
    assert (payment.status, payment.suspicion) == ("initiated", "burst")
    assert_log_folds_to_state()


def naive_take(looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: read, compare, then count."""
    counter = Throttle.objects.get(name="naive")
    looked()
    if counter.count >= 3:
        return 0
    Throttle.objects.filter(name="naive").update(count=F("count") + 1)
    return 1


def test_the_naive_counter_lets_all_through(together: Together) -> None:
    Throttle.objects.create(name="naive", count=2, started_at=clock.now())
    assert sum(together(8, partial(naive_take, meeting(8)))) == 8
    assert naive_take(meeting(1), 0) == 0  # alone it looks right, which is why it gets written
