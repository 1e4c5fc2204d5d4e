"""Old returns that come again, attempts that are paid twice, and answers in every order (P3, P5, P6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from typing import Any, ClassVar

import pytest
from django.db import connection

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.gateways.base import Checkout, Order, Outcome, Proof
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from tests.folding import assert_log_folds_to_state
from tests.test_payments import pay, plan_of, start
from tests.test_views_callbacks import come_back
from tests.testapp.models import Organization

REPLAYS = 50


@pytest.fixture(autouse=True)
def _log_rebuilds_every_payment(organization: Organization) -> Iterator[None]:
    yield
    assert_log_folds_to_state()


def everything() -> list[Any]:
    """All rows that a replay could change; the log may grow."""
    payments_ = PaymentTransaction.objects.order_by("pk").values()
    return [*payments_, *Subscription.objects.order_by("pk").values(), *Activation.objects.order_by("pk").values()]


@pytest.mark.parametrize(
    ("after", "refunded", "plan"),
    [
        (timedelta(minutes=1), False, "PRO"),
        (timedelta(days=1), False, "PRO"),
        (timedelta(minutes=1), True, "FREE"),
    ],
    ids=["after a minute", "after a day", "after a refund"],
)
def test_p3_an_old_return_that_comes_again_changes_nothing_and_is_logged_each_time(
    simulator: Server, organization: Organization, after: timedelta, refunded: bool, plan: str
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    come_back(payment)
    payment.refresh_from_db()
    if refunded:
        payment = payments.refund(payment, actor="anna", reason="agreed")
    assert payment.status == ("refunded" if refunded else "paid")
    before, lines = everything(), PaymentEvent.objects.count()
    for number in range(1, REPLAYS + 1):
        # Not so fast that it would be a burst, which is suspicious.
        with clock.moved(after + number * timedelta(seconds=20)):
            assert come_back(payment).status_code == 303
            assert PaymentEvent.objects.count() == lines + number
    assert PaymentEvent.objects.filter(kind="claim").count() == 1 + REPLAYS
    assert everything() == before
    assert plan_of(organization) == plan


def test_p3_the_first_return_does_change_something(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    before = everything()
    come_back(payment)
    assert everything() != before


@pytest.mark.parametrize("order", list(permutations(("pay 0", "pay 1", "return 0", "return 1"))), ids=", ".join)
def test_p5_of_two_attempts_at_one_purchase_that_are_both_paid_one_counts_and_one_waits_for_a_person(
    simulator: Server, organization: Organization, order: tuple[str, ...]
) -> None:
    attempts = start(organization), start(organization)
    assert attempts[0].purchase == attempts[1].purchase
    for step in order:
        what, which = step.split()
        if what == "pay":
            pay(simulator, attempts[int(which)], Act.CLOSE_TAB)
        else:
            come_back(attempts[int(which)])
    with clock.moved(timedelta(minutes=2)):
        payments.reconcile(per_second=1000)
    states = PaymentTransaction.objects.values_list("status", "detail")
    assert sorted(states) == [("paid", ""), ("review", "duplicate")]
    subscription = Subscription.objects.get()
    assert Activation.objects.get().payment == PaymentTransaction.objects.get(status="paid")
    assert subscription.period_end is not None
    assert subscription.period_end - subscription.period_start <= timedelta(days=31)


# --- every order of answers ------------------------------------------------------------------------------------------


class Scripted(KhaltiGateway):
    """A gateway that answers what the test says next."""

    outcome: ClassVar[Outcome] = Outcome.INITIATED

    def start_checkout(self, order: Order) -> Checkout:
        return Checkout(method="GET", url="http://testserver/", gateway_reference=order.reference)

    def look_up(self, order: Order) -> Proof:
        return Proof(
            outcome=self.outcome,
            status=self.outcome.value,
            amount_minor=order.amount_minor,
            gateway_reference=order.reference,
            gateway_transaction_id=order.reference,
        )


ANSWERS = {
    "success": Outcome.SUCCEEDED,
    "pending": Outcome.PENDING,
    "fail": Outcome.FAILED,
    "cancel": Outcome.CANCELED,
    "expire": Outcome.EXPIRED,
    "success again": Outcome.SUCCEEDED,
}


def model(status: str, answer: str) -> str:
    """The rule in plain Python: success always wins, what is closed opens for nothing else, paid stays paid."""
    if answer.startswith("success") or status == "paid":
        return "paid"
    if status in ("failed", "canceled", "expired"):
        return status
    return {"pending": "pending", "fail": "failed", "cancel": "canceled", "expire": "expired"}[answer]


def walk(payment: PaymentTransaction, status: str, so_far: tuple[str, ...]) -> int:
    """Try every order of the answers that are left, each on top of what came before; how many orders were ended."""
    ended = int(len(so_far) == len(ANSWERS))
    for answer, outcome in ANSWERS.items():
        # The two successes are one answer: to swap them is to try the same again.
        if answer in so_far or (answer == "success again" and "success" not in so_far):
            continue
        before = connection.savepoint()
        assert before is not None
        Scripted.outcome = outcome
        wanted, now = model(status, answer), payments.verify(payment)
        assert now.status == wanted, (so_far, answer)
        assert Activation.objects.count() == (wanted == "paid"), (so_far, answer)
        ended += walk(now, wanted, (*so_far, answer))
        connection.savepoint_rollback(before)
    if len(so_far) == len(ANSWERS):
        assert status == "paid"
        assert payment.events.filter(kind="proof").count() == len(ANSWERS)
        assert_log_folds_to_state()
    return ended


def test_p6_in_every_order_of_answers_paid_is_reached_and_never_left(
    organization: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TENANT_BILLING_GATEWAYS = {
        "scripted": {"BACKEND": f"{__name__}.Scripted", "OPTIONS": {"secret_key": "none"}}
    }
    monkeypatch.setattr(Scripted, "outcome", Outcome.INITIATED)
    payment, _checkout = payments.start(organization, "PRO", "scripted", base_url="http://testserver")
    assert walk(payment, "initiated", ()) == 720 / 2
    Scripted.outcome = Outcome.PENDING
    assert payments.verify(payment).status == "pending"  # nothing of the walk is left


def test_p6_a_table_in_which_the_last_answer_wins_is_told_apart_by_the_model() -> None:
    def last_wins(_status: str, answer: str) -> str:
        return model("initiated", answer)

    wrong = 0
    for order in permutations(ANSWERS):
        here = there = "initiated"
        for answer in order:
            here, there = model(here, answer), last_wins(there, answer)
        wrong += here != there
    assert wrong == 480  # all but those that end with a success
