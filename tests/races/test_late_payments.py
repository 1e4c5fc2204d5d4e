"""What happens between the start of a payment and its money: nobody returns, time passes, the catalogue changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db.models import ProtectedError

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.esewa_payment import Act as EsewaAct
from django_tenant_billing.contrib.simulator.khalti_payment import Act, Status
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Activation, PaymentTransaction, Plan, PlanLimit, PlanPrice, Subscription
from tests.clocks import only_looks_take_time
from tests.folding import assert_log_folds_to_state
from tests.test_payments import pay, plan_of, start, tamper
from tests.testapp.models import Organization


@pytest.fixture(autouse=True)
def _log_rebuilds_every_payment(organization: Organization) -> Iterator[None]:
    yield
    assert_log_folds_to_state()


# --- the return never comes (P7) -------------------------------------------------------------------------------------

PAYERS = 200
LATEST = 30


def begun(number: int, server: Server) -> PaymentTransaction:
    """Every other one at eSewa."""
    organization = Organization.objects.create(name=f"Payer {number}")
    return begun_at("esewa" if number % 2 else "khalti", server, organization, "PRO")


def begun_at(gateway: str, server: Server, organization: Organization, plan: str) -> PaymentTransaction:
    """Started, and at eSewa its form is posted, as the payer's browser does."""
    payment, checkout = payments.start(organization, plan, gateway, base_url="http://testserver")
    if checkout.method == "POST":
        server.esewa.book(checkout.fields)
    return payment


def pay_and_leave(server: Server, payment: PaymentTransaction) -> None:
    """The payer closes the tab: no browser ever returns."""
    if payment.gateway == "khalti":
        pay(server, payment, Act.CLOSE_TAB)
    else:
        server.esewa.decide(server.esewa.find_named(payment.reference).booking, EsewaAct.CLOSE_TAB)


def test_p7_who_pays_and_never_returns_is_found_in_time(simulator: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    only_looks_take_time(monkeypatch)
    started = [begun(number, simulator) for number in range(PAYERS)]
    leaves = {payment.pk: LATEST * number // (PAYERS - 1) for number, payment in enumerate(started)}
    found: dict[int, int] = {}
    for minute in range(51):
        # The sweep runs every minute, and comes just before whoever pays in it.
        with clock.moved(timedelta(minutes=minute)):
            payments.reconcile(limit=PAYERS, per_second=100_000)
        for pk in PaymentTransaction.objects.filter(status="paid").values_list("pk", flat=True):
            found.setdefault(pk, minute)
        for payment in started:
            if leaves[payment.pk] == minute:
                pay_and_leave(simulator, payment)
    assert len(found) == PAYERS == Activation.objects.count()
    for pk, minute in found.items():
        waited = minute - leaves[pk]
        assert waited <= (6 if leaves[pk] < 10 else 20), (leaves[pk], waited)


def test_p7_without_a_sweep_nobody_is_found(simulator: Server) -> None:
    payment = begun(0, simulator)
    pay_and_leave(simulator, payment)
    with clock.moved(timedelta(minutes=50)):
        payment.refresh_from_db()
        assert payment.status == "initiated"


# --- money that comes late (P9) --------------------------------------------------------------------------------------

Wallet = tuple[str, Callable[[Server, PaymentTransaction, str], None], Callable[[Server, PaymentTransaction], None]]
OFFSETS = [
    timedelta(minutes=1), timedelta(minutes=31), timedelta(hours=1), timedelta(days=1), timedelta(days=3),
    timedelta(days=7), timedelta(days=8), timedelta(days=14), timedelta(days=21), timedelta(days=29),
]  # fmt: skip


def close_at_khalti(server: Server, payment: PaymentTransaction, act: str) -> None:
    pay(server, payment, Act(act))


def close_at_esewa(server: Server, payment: PaymentTransaction, act: str) -> None:
    server.esewa.decide(server.esewa.find_named(payment.reference).booking, EsewaAct(act))


def complete_at_khalti(server: Server, payment: PaymentTransaction) -> None:
    tamper(server, payment, status="Completed", transaction_id=f"LATE{payment.pk}")


def complete_at_esewa(server: Server, payment: PaymentTransaction) -> None:
    changes = {"status": "COMPLETE", "ref_id": f"LATE{payment.pk}"}
    server.esewa.tamper(server.esewa.find_named(payment.reference).booking, changes)


KHALTI = ("khalti", close_at_khalti, complete_at_khalti)
ESEWA = ("esewa", close_at_esewa, complete_at_esewa)


@pytest.mark.parametrize(
    ("wallet", "closed"),
    [
        pytest.param(KHALTI, "cancel", id="canceled at Khalti"),
        pytest.param(KHALTI, "expire", id="expired at Khalti"),
        pytest.param(ESEWA, "cancel", id="canceled at eSewa"),
    ],
)
@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_p9_success_after_the_end_is_applied_where_that_is_still_sensible_and_else_waits_for_a_person(
    simulator: Server, organization: Organization, offset: timedelta, wallet: Wallet, closed: str
) -> None:
    gateway, close, complete = wallet
    other, third = (Organization.objects.create(name=name) for name in ("Bought meanwhile", "Nobody paid"))
    wanted = [(organization, "PRO"), (other, "BASIC"), (third, "PRO")]
    sensible, superseded, unpaid = (begun_at(gateway, simulator, *one) for one in wanted)
    for payment in (sensible, superseded, unpaid):
        close(simulator, payment, closed)
        assert payments.settle(payment).status in ("canceled", "expired")
    for payment in (sensible, superseded):
        complete(simulator, payment)
    with clock.moved(offset):
        newer = start(other, "PRO")
        pay(simulator, newer)
        assert payments.settle(newer).status == "paid"
        assert payments.settle(sensible).status == "paid"
        late = payments.settle(superseded)
        assert (late.status, late.detail) == ("review", "superseded")
        assert (plan_of(organization), plan_of(other)) == ("PRO", "PRO")
        assert payments.settle(unpaid).status in ("canceled", "expired")
        assert plan_of(third) == "FREE"


@pytest.mark.parametrize("offset", [timedelta(days=7, minutes=1), timedelta(days=29)], ids=str)
def test_p9_what_we_let_expire_is_reopened_by_money(
    simulator: Server, organization: Organization, offset: timedelta
) -> None:
    payment = start(organization)
    with clock.moved(timedelta(days=7, minutes=1)):
        assert payments.settle(payment).detail == "horizon"
    pay(simulator, payment, Act.CLOSE_TAB)
    with clock.moved(offset):
        assert payments.settle(payment).status == "paid"
        assert plan_of(organization) == "PRO"


# --- the catalogue changes while somebody pays (P10) -----------------------------------------------------------------


def raise_the_price() -> None:
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=990_000)


def drop_the_price() -> None:
    PlanPrice.objects.filter(plan="PRO").delete()


def sell_by_the_year() -> None:
    PlanPrice.objects.filter(plan="PRO").update(interval="year")


def sell_in_dollars() -> None:
    PlanPrice.objects.filter(plan="PRO").update(currency="USD")


def lower_the_limits() -> None:
    PlanLimit.objects.filter(plan="PRO").update(limit_value=7)


def retire_the_plan() -> None:
    Plan.objects.filter(pk="PRO").update(is_active=False, name="Once")


@pytest.mark.parametrize(
    "change",
    [raise_the_price, drop_the_price, sell_by_the_year, sell_in_dollars, lower_the_limits, retire_the_plan],
    ids=lambda change: change.__name__,
)
def test_p10_what_was_agreed_at_the_start_holds_whatever_becomes_of_the_catalogue(
    simulator: Server, organization: Organization, change: Callable[[], None]
) -> None:
    payment = start(organization)
    change()
    pay(simulator, payment)
    assert payments.settle(payment).status == "paid"
    bought, row = Activation.objects.get(), Subscription.objects.get()
    assert (bought.price_minor, bought.currency, bought.interval) == (390_000, "NPR", "month")
    assert row.period_end is not None
    assert timedelta(days=28) <= row.period_end - row.period_start <= timedelta(days=31)
    assert plan_of(organization) == "PRO"


def test_p10_a_plan_that_somebody_is_paying_for_cannot_be_deleted(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    with pytest.raises(ProtectedError):
        Plan.objects.get(pk="PRO").delete()
    pay(simulator, payment)
    assert payments.settle(payment).status == "paid"
    assert Plan.objects.get(pk="BASIC").delete()[0] > 0  # nobody pays for that one


# --- every pair of answers (P8; eSewa's are in test_esewa.py) --------------------------------------------------------

MONEY = {"Completed": "paid", "Refunded": "review", "Partially Refunded": "review"}
WITHOUT = {"Initiated": "initiated", "Pending": "pending", "Expired": "expired", "User canceled": "canceled"}


@pytest.mark.parametrize("second", list(Status))
@pytest.mark.parametrize("first", list(Status))
def test_p8_whatever_two_answers_follow_each_other_paid_is_not_left_and_money_is_not_lost(
    simulator: Server, organization: Organization, first: Status, second: Status
) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CLOSE_TAB)
    for said in (first, second):
        tamper(simulator, payment, status=said.value)
        payment = payments.verify(payment)
    money = next((said for said in (first, second) if said in MONEY), None)
    if money == "Completed" and second in ("Refunded", "Partially Refunded"):
        # Only the wallet's own word that it went back leads out of paid.
        wanted = "refunded" if second == "Refunded" else "partially_refunded"
    elif money is not None:
        wanted = MONEY[money]
    else:
        closed = first in ("Expired", "User canceled")
        wanted = WITHOUT[first if closed else second]
    assert payment.status == wanted
    assert Activation.objects.count() == (money == "Completed")
    assert plan_of(organization) == ("PRO" if wanted in ("paid", "partially_refunded") else "FREE")
