"""The one door to a payment's state, against the simulator over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from django_tenant_billing import clock, payments, signals
from django_tenant_billing.conf import conf
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import (
    GatewayNotConfigured,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    IllegalTransition,
    InsideTransaction,
    NotForSale,
    NotProven,
)
from django_tenant_billing.gateways.base import Claim, Outcome, Proof
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import (
    Activation,
    PaymentEvent,
    PaymentTransaction,
    Plan,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.models.log import short
from django_tenant_billing.payments import door, settling
from django_tenant_billing.states import CHECK_AFTER, PaymentState
from django_tenant_billing.testing import subscribe
from tests.testapp.models import Organization

BASE = "http://testserver"


@pytest.fixture(autouse=True)
def _organization(organization: Organization) -> None:
    """Every test has one; conftest.py reads the log after it."""


def start(organization: Organization, plan: str = "PRO") -> PaymentTransaction:
    payment, _checkout = payments.start(organization, plan, "khalti", base_url=BASE, actor="user 1: samir")
    return payment


def pay(server: Server, payment: PaymentTransaction, act: Act = Act.PAY) -> None:
    assert payment.gateway_reference is not None
    server.khalti.decide(payment.gateway_reference, act)


def fault(server: Server, mode: str, times: int) -> None:
    server.faults.order({"fault": {"mode": mode, "times": times}})


def kinds(payment: PaymentTransaction) -> list[str]:
    return [f"{event.kind}:{event.to_status or event.detail}" for event in payment.events.all()]


def plan_of(organization: Organization) -> str:
    return Subscription.objects.get(organization=organization).plan_in_force(clock.now())


# --- start -----------------------------------------------------------------------------------------------------------


def test_start_stores_the_gateways_reference_before_the_payer_leaves(
    simulator: Server, organization: Organization
) -> None:
    payment, checkout = payments.start(organization, "PRO", "khalti", base_url=BASE, actor="user 1: samir")
    stored = PaymentTransaction.objects.get()
    assert (stored.status, stored.amount_minor, stored.currency) == ("initiated", 390000, "NPR")
    assert stored.gateway_reference == payment.gateway_reference == checkout.gateway_reference
    assert checkout.url.endswith(f"?pidx={stored.gateway_reference}")
    assert len(stored.reference) == 20
    assert set(stored.reference) <= set("ABCDEFGHJKLMNPQRSTUVWXYZ23456789-")
    assert kinds(stored) == ["started:created", "moved:initiated"]
    assert stored.initiated_at is not None
    assert stored.next_check_at == stored.initiated_at + CHECK_AFTER[0]
    assert str(stored) == f"{stored.reference} - PRO - initiated"
    assert (stored.amount, stored.formatted_amount) == (3900, "NPR 3,900")


def test_the_simulator_is_told_our_reference_and_amount(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    assert payment.gateway_reference is not None
    there = simulator.khalti.find(payment.gateway_reference)
    assert there.purchase_order_id == payment.reference
    assert there.amount == 390000


@pytest.mark.parametrize(("plan", "why"), [("FREE", "free"), ("GOLD", "no such plan"), ("pro", "no such plan")])
def test_a_plan_that_cannot_be_bought_stores_nothing(
    simulator: Server, organization: Organization, plan: str, why: str
) -> None:
    with pytest.raises(NotForSale, match=why):
        start(organization, plan)
    assert not PaymentTransaction.objects.exists()


def test_a_retired_plan_a_plan_without_price_and_a_foreign_currency_are_not_for_sale(
    simulator: Server, organization: Organization
) -> None:
    Plan.objects.filter(pk="PRO").update(is_active=False)
    with pytest.raises(NotForSale, match="no longer"):
        start(organization, "PRO")
    PlanPrice.objects.filter(plan="BASIC").update(currency="USD")
    with pytest.raises(NotForSale, match="does not take USD"):
        start(organization, "BASIC")
    PlanPrice.objects.filter(plan="BASIC").delete()
    with pytest.raises(NotForSale, match="free"):
        start(organization, "BASIC")
    assert not PaymentTransaction.objects.exists()


def test_an_unknown_gateway_stores_nothing(simulator: Server, organization: Organization) -> None:
    with pytest.raises(GatewayNotConfigured, match="'paypal'"):
        payments.start(organization, "PRO", "paypal", base_url=BASE)
    assert not PaymentTransaction.objects.exists()


def test_a_refusal_of_the_gateway_closes_the_attempt_with_its_reasons(
    simulator: Server, organization: Organization
) -> None:
    PlanPrice.objects.filter(plan="BASIC").update(amount_minor=500)
    with pytest.raises(GatewayRejected):
        start(organization, "BASIC")
    payment = PaymentTransaction.objects.get()
    assert (payment.status, payment.detail) == ("failed", "initiate_failed")
    event = payment.events.get(to_status="failed")
    assert "1000 paisa" in event.data["amount"]


def test_a_gateway_that_is_down_closes_the_attempt_as_unknown(simulator: Server, organization: Organization) -> None:
    fault(simulator, "down", 1)
    with pytest.raises(GatewayUnavailable):
        start(organization)
    payment = PaymentTransaction.objects.get()
    assert (payment.status, payment.detail) == ("failed", "initiate_unknown")


def test_a_gateway_that_stays_silent_meets_the_total_deadline(
    simulator: Server, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_tenant_billing.gateways.http.post_json.__kwdefaults__", {"seconds": 0.3})
    fault(simulator, "silent", 1)
    with pytest.raises(GatewayTimeout):
        start(organization)
    assert PaymentTransaction.objects.get().detail == "initiate_unknown"


def test_two_attempts_for_the_same_thing_share_a_purchase_and_a_later_one_does_not(
    simulator: Server, organization: Organization
) -> None:
    first, again = start(organization), start(organization)
    other_plan = start(organization, "BASIC")
    assert first.purchase == again.purchase != other_plan.purchase
    pay(simulator, first)
    payments.settle(first)
    assert start(organization).purchase != first.purchase


def test_an_attempt_older_than_the_horizon_is_another_purchase(simulator: Server, organization: Organization) -> None:
    first = start(organization)
    with clock.moved(timedelta(days=8)):
        assert start(organization).purchase != first.purchase


# --- settle ----------------------------------------------------------------------------------------------------------


def test_a_proved_payment_activates_its_plan_once_however_often_it_is_settled(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    for _time in range(3):
        settled = payments.settle(payment, actor="callback")
        assert settled.status == "paid"
    assert plan_of(organization) == "PRO"
    activation = Activation.objects.get()
    assert (activation.payment_id, activation.plan) == (payment.pk, "PRO")
    assert str(activation) == f"PRO - {activation.starts_at:%Y-%m-%d} - {activation.ends_at:%Y-%m-%d}"
    assert kinds(payment) == ["started:created", "moved:initiated", "asked:", "proof:Completed", "moved:paid"]
    settled.refresh_from_db()
    assert settled.paid_at is not None
    assert settled.next_check_at == settled.paid_at + timedelta(days=7)  # it may be refunded
    assert settled.leased_until is None
    assert settled.gateway_transaction_id


@pytest.mark.parametrize(
    ("act", "status", "said"),
    [
        (Act.CANCEL, "canceled", "User canceled"),
        (Act.EXPIRE, "expired", "Expired"),
        (Act.PENDING, "pending", "Pending"),
    ],
)
def test_what_the_gateway_says_instead_of_paid_is_stored_and_grants_nothing(
    simulator: Server, organization: Organization, act: Act, status: str, said: str
) -> None:
    payment = start(organization)
    pay(simulator, payment, act)
    assert payments.settle(payment).status == status
    assert f"proof:{said}" in kinds(payment)
    assert plan_of(organization) == "FREE"


def test_an_unpaid_link_stays_open_and_is_asked_about_again(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    before = payment.next_check_at
    with clock.moved(timedelta(minutes=2)):
        settled = payments.settle(payment)
    assert settled.status == "initiated"
    assert before is not None
    assert settled.next_check_at is not None
    assert settled.next_check_at > before


def test_a_pending_payment_that_completes_is_activated(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.PENDING)
    assert payments.settle(payment).status == "pending"
    pay(simulator, payment)
    assert payments.settle(payment).status == "paid"
    assert plan_of(organization) == "PRO"


def test_a_success_that_comes_after_a_cancellation_still_counts(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    assert payments.settle(payment).status == "canceled"
    tamper(simulator, payment, status="Completed", transaction_id="LATE1")
    assert payments.settle(payment).status == "paid"
    assert plan_of(organization) == "PRO"


def test_a_canceled_payment_that_is_asked_again_stays_canceled(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    payments.settle(payment)
    assert payments.settle(payment).status == "canceled"


def tamper(server: Server, payment: PaymentTransaction, **changes: Any) -> None:
    assert payment.gateway_reference is not None
    server.khalti.tamper(payment.gateway_reference, changes)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"total_amount": 389999}, "amount"),
        ({"total_amount": 39000000}, "amount"),
        ({"total_amount": None}, "amount"),
        ({"pidx": "somebody-elses"}, "reference"),
        ({"pidx": None}, "reference"),
        ({"status": "Refunded"}, "refunded_before_activation"),
        ({"status": "Partially refunded"}, "refunded_before_activation"),
    ],
)
def test_money_that_does_not_fit_waits_for_a_person_and_grants_nothing(
    simulator: Server, organization: Organization, changes: dict[str, Any], detail: str
) -> None:
    payment, control = start(organization), start(Organization.objects.create(name="Control"))
    pay(simulator, payment)
    pay(simulator, control)
    tamper(simulator, payment, **changes)
    settled = payments.settle(payment)
    assert (settled.status, settled.detail) == ("review", detail)
    assert plan_of(organization) == "FREE"
    assert payments.settle(control).status == "paid"


def test_the_second_paid_attempt_of_one_purchase_goes_to_review(simulator: Server, organization: Organization) -> None:
    first, second = start(organization), start(organization)
    for payment in (first, second):
        pay(simulator, payment)
    assert payments.settle(second).status == "paid"
    late = payments.settle(first)
    assert (late.status, late.detail) == ("review", "duplicate")
    assert Activation.objects.count() == 1


def test_two_purchases_both_count(simulator: Server, organization: Organization) -> None:
    first = start(organization)
    pay(simulator, first)
    payments.settle(first)
    end = Subscription.objects.get().period_end
    second = start(organization)
    pay(simulator, second)
    assert payments.settle(second).status == "paid"
    extended = Subscription.objects.get().period_end
    assert end is not None
    assert extended is not None
    assert extended - end >= timedelta(days=28)


def test_a_transaction_id_that_belongs_to_another_payment_is_not_applied_again(
    simulator: Server, organization: Organization
) -> None:
    first, second = start(organization, "BASIC"), start(organization, "PRO")
    for payment in (first, second):
        pay(simulator, payment)
        tamper(simulator, payment, transaction_id="SAME")
    assert payments.settle(first).status == "paid"
    reused = payments.settle(second)
    assert (reused.status, reused.detail, reused.gateway_transaction_id) == ("review", "transaction_reused", None)


def test_money_for_an_organization_that_is_gone_waits_for_a_person(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    organization.delete()
    settled = payments.settle(payment)
    assert (settled.status, settled.detail) == ("review", "organization_gone")
    assert settled.organization_name == "Himal Traders"


def test_no_answer_is_never_a_failure_and_is_asked_again_soon(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    fault(simulator, "500", 3)
    with clock.moved(timedelta(minutes=5)):
        now = clock.now()
        waits = []
        for _time in range(3):
            settled = payments.settle(payment)
            assert (settled.status, settled.leased_until) == ("initiated", None)
            assert settled.next_check_at is not None
            waits.append(round((settled.next_check_at - now).total_seconds()))
    assert waits[0] == waits[1] == 60
    assert waits[2] > 45
    assert kinds(payment).count("no_answer:GatewayUnavailable") == 3
    assert payments.settle(payment).status == "paid"


def test_no_answer_about_a_canceled_payment_leaves_it_closed(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    payments.settle(payment)
    fault(simulator, "down", 1)
    settled = payments.settle(payment)
    assert settled.status == "canceled"
    assert settled.initiated_at is not None
    assert settled.next_check_at is not None
    assert settled.next_check_at - settled.initiated_at >= timedelta(days=1)


def test_a_look_at_what_was_canceled_that_finds_no_answer_is_repeated_on_the_next_days(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    payment = payments.settle(payment)
    tamper(simulator, payment, status="Completed")
    for day in (1, 2):
        fault(simulator, "down", 1)
        with clock.moved(timedelta(days=day, hours=1)):
            assert payments.reconcile().paid == 0
    with clock.moved(timedelta(days=3, hours=2)):
        assert payments.reconcile().paid == 1


def test_money_that_comes_after_a_cancellation_is_found_by_the_sweep(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    payments.settle(payment)
    with clock.moved(timedelta(days=1, minutes=1)):
        assert payments.reconcile().closed == 1
    tamper(simulator, payment, status="Completed", transaction_id="LATE2")
    with clock.moved(timedelta(days=29)):
        assert payments.reconcile().asked == 0
    with clock.moved(timedelta(days=30, minutes=1)):
        assert payments.reconcile().paid == 1


def test_a_gateway_that_never_answers_ends_in_expiry_and_one_that_says_pending_for_ever_in_review(
    simulator: Server, organization: Organization
) -> None:
    silent, pending = start(organization, "BASIC"), start(organization, "PRO")
    pay(simulator, pending, Act.PENDING)
    payments.settle(pending)
    fault(simulator, "500", 1)
    with clock.moved(timedelta(days=8)):
        assert payments.settle(silent).detail == "horizon"
        assert payments.settle(pending).status == "pending"
    with clock.moved(timedelta(days=31)):
        stale = payments.settle(pending)
    assert (stale.status, stale.detail, stale.next_check_at) == ("review", "stale", None)


def test_a_late_payment_does_not_take_away_what_was_bought_after_it(
    simulator: Server, organization: Organization
) -> None:
    cheap = start(organization, "BASIC")
    pay(simulator, cheap, Act.CLOSE_TAB)
    with clock.moved(timedelta(minutes=5)):
        dear = start(organization, "PRO")
        pay(simulator, dear)
        assert payments.settle(dear).status == "paid"
        late = payments.settle(cheap)
    assert (late.status, late.detail) == ("review", "superseded")
    assert plan_of(organization) == "PRO"


def test_a_late_payment_for_what_ended_meanwhile_is_applied(simulator: Server, organization: Organization) -> None:
    cheap = start(organization, "BASIC")
    pay(simulator, cheap, Act.CLOSE_TAB)
    with clock.moved(timedelta(minutes=5)):
        dear = start(organization, "PRO")
        pay(simulator, dear)
        payments.settle(dear)
    with clock.moved(timedelta(days=40)):
        assert payments.settle(cheap).status == "paid"
        assert plan_of(organization) == "BASIC"


def bought(organization: Organization, server: Server, plan: str) -> PaymentTransaction:
    payment = start(organization, plan)
    pay(server, payment)
    return payments.settle(payment)


def test_an_upgrade_costs_what_credit_leaves(simulator: Server, organization: Organization) -> None:
    bought(organization, simulator, "BASIC")
    payment = start(organization, "PRO")
    # All days of BASIC are still to come, today with them.
    assert (payment.amount_minor, payment.credit_minor) == (290_000, 100_000)
    pay(simulator, payment)
    with clock.moved(timedelta(days=2)):
        # Two days of the credit are gone meanwhile. What was agreed holds.
        assert payments.settle(payment).status == "paid"
        assert plan_of(organization) == "PRO"
    made = Activation.objects.get(payment=payment)
    assert made.value_minor == 290_000 + made.spent_credit_minor < 390_000


def test_credit_that_was_spent_meanwhile_is_not_spent_again(simulator: Server, organization: Organization) -> None:
    Plan.objects.create(code="MAX", name="Max", position=9)
    PlanPrice.objects.create(plan_id="MAX", amount_minor=600_000, is_default=True)
    Subscription.objects.update(credit_minor=50_000, credit_currency="NPR")
    first, second = start(organization, "PRO"), start(organization, "MAX")
    assert (first.credit_minor, second.credit_minor) == (50_000, 50_000)
    for payment in (second, first):
        pay(simulator, payment)
    assert payments.settle(second).status == "paid"
    PaymentTransaction.objects.filter(pk=first.pk).update(created_at=clock.now())
    late = payments.settle(first)
    assert (late.status, late.detail) == ("review", "credit_gone")
    assert plan_of(organization) == "MAX"


def test_a_payment_for_what_is_no_longer_for_sale_to_the_organization_waits_for_a_person(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization, "BASIC")
    subscribe(organization, "PRO")
    pay(simulator, payment)
    late = payments.settle(payment)
    assert (late.status, late.detail) == ("review", "not_for_sale")


def test_nothing_is_paid_where_credit_pays_for_all(simulator: Server, organization: Organization) -> None:
    Subscription.objects.update(credit_minor=390_000, credit_currency="NPR")
    with pytest.raises(NotForSale, match="nothing has to be paid"):
        start(organization, "PRO")
    assert not PaymentTransaction.objects.exists()


def test_another_price_of_a_plan_can_be_paid(simulator: Server, organization: Organization) -> None:
    year = PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    payment, _checkout = payments.start(organization, "PRO", "khalti", base_url=BASE, price=year)
    pay(simulator, payment)
    payments.settle(payment)
    made = Activation.objects.get(payment=payment)
    assert (made.ends_at - made.starts_at).days in (365, 366)
    # Nobody is known to have started it.
    assert SubscriptionEvent.objects.get().actor == "payer"


def test_a_plan_without_an_end_is_not_sold_again(simulator: Server, organization: Organization) -> None:
    subscribe(organization, "PRO")
    with pytest.raises(NotForSale, match="without an end"):
        start(organization, "PRO")
    assert not PaymentTransaction.objects.exists()


@pytest.mark.breaks_the_log
def test_a_payment_that_breaks_the_sweep_goes_to_the_back_of_the_queue(
    simulator: Server, organization: Organization
) -> None:
    bad, good = start(organization, "BASIC"), start(Organization.objects.create(name="Good"), "PRO")
    pay(simulator, good, Act.CLOSE_TAB)
    PaymentTransaction.objects.filter(pk=bad.pk).update(gateway="breaking", next_check_at=bad.created_at)
    with clock.moved(timedelta(minutes=2)), override_settings(TENANT_BILLING_GATEWAYS=with_a_breaking_gateway()):
        with pytest.raises(Death):
            payments.reconcile()
        assert payments.reconcile().paid == 1
    assert Activation.objects.get().payment == good


@pytest.mark.breaks_the_log
def test_a_payment_whose_gateway_was_removed_is_no_obstacle(simulator: Server, organization: Organization) -> None:
    gone, good = start(organization, "BASIC"), start(Organization.objects.create(name="Good"), "PRO")
    pay(simulator, good, Act.CLOSE_TAB)
    PaymentTransaction.objects.filter(pk=gone.pk).update(gateway="removed", next_check_at=gone.created_at)
    with clock.moved(timedelta(minutes=2)):
        sweep = payments.reconcile()
    assert (sweep.asked, sweep.paid, sweep.still_open) == (2, 1, 1)
    gone.refresh_from_db()
    assert kinds(gone)[-1] == "no_answer:GatewayNotConfigured"


def test_while_one_worker_asks_nobody_else_does(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    PaymentTransaction.objects.update(leased_until=timezone.now() + timedelta(minutes=1))
    assert payments.settle(payment).status == "initiated"
    assert "asked:" not in kinds(payment)
    PaymentTransaction.objects.update(leased_until=timezone.now() - timedelta(hours=12))
    assert payments.settle(payment).status == "paid"


def test_a_payment_that_never_reached_the_gateway_is_not_asked_about(
    simulator: Server, organization: Organization
) -> None:
    fault(simulator, "down", 1)
    with pytest.raises(GatewayUnavailable):
        start(organization)
    payment = PaymentTransaction.objects.get()
    assert payments.settle(payment).status == "failed"
    assert "asked:" not in kinds(payment)


def test_a_proof_for_a_payment_that_is_over_is_logged_and_changes_nothing(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payments.settle(payment)
    late = Proof(outcome=Outcome.CANCELED, status="User canceled", amount_minor=None, gateway_reference=None)
    assert settling._apply(payment, late, "late").status == "paid"
    assert kinds(payment)[-1] == "proof:User canceled"


def test_the_horizon_expires_what_nobody_paid_and_keeps_asking_about_what_is_pending(
    simulator: Server, organization: Organization
) -> None:
    unpaid, pending = start(organization, "BASIC"), start(organization, "PRO")
    for payment, said in ((unpaid, Outcome.INITIATED), (pending, Outcome.PENDING)):
        proof = Proof(outcome=said, status=said.value, amount_minor=None, gateway_reference=payment.gateway_reference)
        with clock.moved(timedelta(days=7, minutes=1)):
            settling._apply(payment, proof, "test")
            payment.refresh_from_db()
    assert (unpaid.status, unpaid.detail) == ("expired", "horizon")
    assert unpaid.initiated_at is not None
    assert unpaid.next_check_at == unpaid.initiated_at + timedelta(days=30)
    assert pending.status == "pending"
    assert pending.next_check_at is not None
    assert pending.next_check_at > timezone.now() + timedelta(days=7)


# --- rules -----------------------------------------------------------------------------------------------------------


def test_nothing_that_asks_a_gateway_runs_inside_a_transaction(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    claim = Claim(reference=None, gateway_reference=None, status="")
    with transaction.atomic():
        for act in (
            lambda: payments.settle(payment),
            lambda: start(organization),
            lambda: payments.record_claim("khalti", claim, payment),
        ):
            with pytest.raises(InsideTransaction, match="non_atomic_requests"):
                act()
    assert payments.settle(payment).status == "initiated"


def test_activate_plan_refuses_what_is_not_proven(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    with pytest.raises(NotProven, match="reconcile_payments"):
        payment.activate_plan()
    assert plan_of(organization) == "FREE"


def test_activate_plan_is_safe_to_call_any_number_of_times(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    end = Subscription.objects.get().period_end
    assert payment.activate_plan() == payment.activate_plan()
    assert Subscription.objects.get().period_end == end


@pytest.mark.breaks_the_log
def test_a_paid_payment_that_was_not_activated_is_when_it_is_asked_about(organization: Organization) -> None:
    payment = PaymentTransaction.objects.create(
        organization=organization, organization_key="1", reference="TB-PAID", purchase="p", gateway="khalti",
        plan_id="PRO", amount_minor=390_000, currency="NPR", interval="month", interval_count=1,
        created_at=clock.now(), status="created",
    )  # fmt: skip
    door.log(payment, door.Kind.STARTED, to=door.S.CREATED)
    payment.paid_at = clock.now()
    door.move(payment, door.S.PAID, save=("paid_at",))
    assert plan_of(organization) == "FREE"
    assert payments.settle(payment).status == "paid"
    assert plan_of(organization) == "PRO"


def test_the_transition_table_is_the_only_way(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    with pytest.raises(IllegalTransition, match="'paid' to 'failed'"):
        door.move(payment, PaymentState.FAILED)
    payment.refresh_from_db()
    assert payment.status == "paid"


@pytest.mark.django_db(transaction=True)
def test_a_raising_receiver_hides_no_success(simulator: Server, organization: Organization) -> None:
    seen: list[str] = []

    def breaks(**_kwargs: Any) -> None:
        raise ValueError("receiver")

    def hears(payment: PaymentTransaction, **_kwargs: Any) -> None:
        seen.append(payment.reference)

    payment, wrong = start(organization), start(organization, "BASIC")
    pay(simulator, payment)
    pay(simulator, wrong)
    tamper(simulator, wrong, total_amount=1)
    for signal in (signals.plan_activated, signals.payment_needs_review):
        signal.connect(breaks)
        signal.connect(hears)
    try:
        assert payments.settle(payment).status == "paid"
        assert payments.settle(wrong).status == "review"
    finally:
        for signal in (signals.plan_activated, signals.payment_needs_review):
            signal.disconnect(breaks)
            signal.disconnect(hears)
    assert seen == [payment.reference, wrong.reference]


def test_deleting_an_organization_keeps_its_payments_and_their_log(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    organization.delete()
    payment.refresh_from_db()
    assert (payment.organization_id, payment.organization_name) == (None, "Himal Traders")
    assert PaymentEvent.objects.count() == 2


def test_a_secret_is_in_no_row(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payments.settle(payment)
    rows = str(list(PaymentTransaction.objects.values())) + str(list(PaymentEvent.objects.values()))
    assert payment.reference in rows
    assert "simulated_secret_key" not in rows


def test_log_data_is_cut_and_free_of_nul() -> None:
    assert short("a\x00b" + "c" * 900) == "ab" + "c" * 498
    assert [short(value) for value in (1, True, None, {"a": 1})] == [1, True, None, "{'a': 1}"]


# --- find and claims -------------------------------------------------------------------------------------------------


def test_find_takes_any_of_a_payments_names_to_the_letter_and_of_one_organization(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    assert payment.gateway_reference is not None
    assert payment.gateway_transaction_id is not None
    for name in (payment.reference, payment.gateway_reference, payment.gateway_transaction_id):
        assert payments.find("khalti", name) == payment
        assert payments.find("khalti", name, organization) == payment
        assert payments.find("khalti", name.swapcase()) is None
        assert payments.find("esewa", name) is None
        assert payments.find("khalti", name, Organization.objects.create(name="Other")) is None


def test_claims_are_logged_whether_they_fit_or_not(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    fitting = Claim(reference=payment.reference, gateway_reference=payment.gateway_reference, status="Completed")
    assert payments.record_claim("khalti", fitting, payment) is True
    foreign = Claim(reference=payment.reference, gateway_reference="else", status="Completed")
    assert payments.record_claim("khalti", foreign, payment) is False
    unknown = Claim(reference="TB-NOBODY", gateway_reference="else", status="Completed")
    assert payments.record_claim("khalti", unknown, None) is False
    payments.record_rejected("khalti", payment.reference, "twice")
    claims = PaymentEvent.objects.filter(kind__in=["claim", "refused"])
    assert [claim.detail for claim in claims] == ["", "mismatch", "unknown_payment", "twice"]
    assert plan_of(organization) == "FREE"


# --- reconcile -------------------------------------------------------------------------------------------------------


def test_the_sweep_settles_a_payment_made_after_the_tab_was_closed(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CLOSE_TAB)
    assert payments.reconcile().asked == 0
    with clock.moved(timedelta(minutes=1, seconds=1)):
        sweep = payments.reconcile()
    assert (sweep.asked, sweep.paid) == (1, 1)
    assert plan_of(organization) == "PRO"


def test_the_sweep_counts_what_it_met(simulator: Server) -> None:
    acts = [Act.PAY, Act.CANCEL, Act.PENDING, Act.PAY]
    started = [start(Organization.objects.create(name=act.value)) for act in acts]
    for payment, act in zip(started, acts, strict=True):
        pay(simulator, payment, act)
    tamper(simulator, started[3], total_amount=1)
    with clock.moved(timedelta(minutes=2)):
        sweep = payments.reconcile()
    assert (sweep.asked, sweep.paid, sweep.closed, sweep.still_open, sweep.review) == (4, 1, 1, 1, 1)


def test_the_sweep_closes_an_attempt_that_died_before_the_payer_was_sent(organization: Organization) -> None:
    payment = made_by_a_worker_that_died(organization)
    assert payments.reconcile().closed == 0
    with clock.moved(timedelta(minutes=16)):
        assert payments.reconcile().closed == 1
    payment.refresh_from_db()
    assert (payment.status, payment.detail) == ("failed", "initiate_unknown")


@pytest.mark.breaks_the_log
def test_the_sweep_leaves_an_attempt_alone_that_moved_on_meanwhile(organization: Organization) -> None:
    payment = made_by_a_worker_that_died(organization)
    seen: list[str] = []

    def slow_start_finishes(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        # Between the sweep's list and its lock.
        if sql.startswith("SELECT") and "tenant_billing_paymenttransaction" in sql:
            seen.append(sql)
            if len(seen) == 2:
                PaymentTransaction.objects.update(status="failed", detail="by its worker")
        return execute(sql, params, many, context)

    with clock.moved(timedelta(minutes=16)), connection.execute_wrapper(slow_start_finishes):
        assert payments.reconcile().closed == 0
    payment.refresh_from_db()
    assert payment.detail == "by its worker"
    PaymentEvent.objects.append(payment, PaymentEvent.Kind.MOVED, source="created", to="failed")


def test_the_command_sweeps_and_says_what_it_did(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CLOSE_TAB)
    out = StringIO()
    with clock.moved(timedelta(minutes=2)):
        call_command("reconcile_payments", "--limit", "10", stdout=out)
    assert out.getvalue().strip() == "✓ asked 1: 1 paid, 0 in review, 0 closed, 0 still open, 0 refunded"
    assert plan_of(organization) == "PRO"


class Death(BaseException):
    pass


class DyingGateway(KhaltiGateway):
    def start_checkout(self, order: Any) -> Any:
        raise Death

    def look_up(self, order: Any) -> Any:
        raise Death


def with_a_breaking_gateway() -> dict[str, Any]:
    breaking = {"BACKEND": f"{__name__}.DyingGateway", "OPTIONS": {"secret_key": "k"}}
    return {**conf.gateways, "breaking": breaking}


def made_by_a_worker_that_died(organization: Organization) -> PaymentTransaction:
    options = {"secret_key": "k"}
    gateways = {"khalti": {"BACKEND": f"{__name__}.DyingGateway", "OPTIONS": options}}
    with override_settings(TENANT_BILLING_GATEWAYS=gateways), pytest.raises(Death):
        start(organization)
    return PaymentTransaction.objects.get()
