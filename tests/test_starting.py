"""Beginning a payment: whoever paid already is not made to pay twice, and nobody opens attempts without end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_tenant_billing import clock
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import AlreadyPaid, TooManyAttempts
from django_tenant_billing.models import Activation, PaymentTransaction
from tests.test_payments import fault, pay, start
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def test_whoever_paid_and_closed_the_tab_is_not_made_to_pay_again(
    simulator: Server, organization: Organization
) -> None:
    first = start(organization)
    pay(simulator, first, Act.CLOSE_TAB)
    with pytest.raises(AlreadyPaid) as error:
        start(organization)
    assert error.value.payment == first
    assert str(error.value) == f"Payment {first.reference} has paid for this already. Nothing more is due."
    assert Activation.objects.get().payment == first
    assert PaymentTransaction.objects.count() == 1
    # And whoever wants another month after that can have it.
    assert start(organization).purchase != first.purchase


def test_an_attempt_for_something_else_is_not_asked_about(simulator: Server, organization: Organization) -> None:
    basic = start(organization, "BASIC")
    pay(simulator, basic, Act.CLOSE_TAB)
    assert start(organization, "PRO").status == "initiated"
    basic.refresh_from_db()
    assert basic.status == "initiated"


def test_a_gateway_that_is_silent_keeps_nobody_from_another_attempt(
    simulator: Server, organization: Organization
) -> None:
    older, newer = start(organization), start(organization)
    fault(simulator, "500", times=1)
    assert start(organization).status == "initiated"
    older.refresh_from_db()
    newer.refresh_from_db()
    # One question without an answer was enough: the payer waits.
    assert (older.unanswered, newer.unanswered) == (0, 1)


def test_three_attempts_may_be_open_and_no_fourth_for_an_hour(simulator: Server, organization: Organization) -> None:
    for _attempt in range(3):
        start(organization)
    with pytest.raises(TooManyAttempts, match="3 attempts to pay are still open"):
        start(organization, "BASIC")
    assert PaymentTransaction.objects.count() == 3
    assert start(Organization.objects.create(name="Other")).status == "initiated"
    with clock.moved(timedelta(minutes=61)):
        assert start(organization, "BASIC").status == "initiated"


def test_what_is_canceled_makes_room(simulator: Server, organization: Organization) -> None:
    attempts = [start(organization) for _attempt in range(3)]
    pay(simulator, attempts[0], Act.CANCEL)
    assert start(organization).status == "initiated"
    attempts[0].refresh_from_db()
    assert attempts[0].status == "canceled"
