"""The connection breaks after COMMIT was sent: nobody knows whether it was done, and doing it again ends the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import NotRefundable
from django_tenant_billing.models import Activation, PaymentTransaction, Subscription
from django_tenant_billing.payments import door
from tests.folding import assert_log_folds_to_state
from tests.races.proxies import Wire, wire_to
from tests.races.test_kills import lease_is_over
from tests.races.test_payment_races import act, owner, paid_at_the_wallet, started
from tests.races.test_refund_races import sent_back
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

Work = Callable[[], object]


@pytest.fixture
def wire(transactional_db: None) -> Iterator[Wire]:
    if connection.vendor != "postgresql":
        pytest.skip("The wire that is cut speaks PostgreSQL's protocol.")
    where = connection.settings_dict
    with wire_to(f"{where['HOST']}/.s.PGSQL.{where['PORT']}") as made:
        yield made


@contextmanager
def through(wire: Wire) -> Iterator[None]:
    """All that the block says to the database goes over the wire."""
    where: dict[str, Any] = connections["default"].settings_dict
    before = {name: where[name] for name in ("HOST", "PORT")}
    connection.close()
    where.update({"HOST": "127.0.0.1", "PORT": str(wire.port)})
    try:
        yield
    finally:
        connection.close()
        where.update(before)


def cut(wire: Wire, commit: int, work: Work) -> None:
    """The work as it ends for somebody whose connection breaks; fails where it did not."""
    cuts = wire.cuts
    with through(wire):
        wire.cut_at(commit)
        with pytest.raises(OperationalError):
            work()
    assert wire.cuts == cuts + 1


def end_of(organization: Organization) -> dict[str, object]:
    """What can be seen of an organization when all is over."""
    subscription = Subscription.objects.get(organization=organization)
    payments_ = PaymentTransaction.objects.filter(organization=organization)
    assert_log_folds_to_state(*payments_)
    return {
        "plan": subscription.plan_in_force(clock.now()),
        "months": Activation.objects.filter(subscription=subscription, closed_at=None).count(),
        "money": sorted(payments_.exclude(status="failed").values_list("status", "refunded_minor")),
    }


def sweep() -> None:
    lease_is_over()
    payments.reconcile(per_second=1000)


@pytest.mark.parametrize("commit", [1, 2])
def test_k3_a_start_that_was_cut_is_begun_again_and_paid_once(wallet: str, wire: Wire, runs: int, commit: int) -> None:
    for run in range(max(runs * 2 // 5, 1)):
        organization = Organization.objects.create(name=f"run {run}")
        cut(wire, commit, lambda organization=organization: started(organization))  # type: ignore[misc]
        left = PaymentTransaction.objects.get(organization=organization)
        assert left.status == ("created" if commit == 1 else "initiated")
        payment = started(organization)
        assert payment.purchase == left.purchase
        act(wallet, payment, "close_tab")
        with clock.moved(timedelta(days=7, minutes=1)):
            payments.settle(payment)
            sweep()
        assert end_of(organization)["plan"] == "PRO"
        assert Activation.objects.filter(payment__organization=organization).count() == 1


@pytest.mark.parametrize("commit", [1, 2])
def test_k3_a_settlement_that_was_cut_is_the_same_when_done_again(
    wallet: str, wire: Wire, runs: int, commit: int
) -> None:
    control = payments.settle(paid_at_the_wallet(wallet, "control"))
    for run in range(max(runs * 2 // 5, 1)):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        cut(wire, commit, lambda payment=payment: payments.settle(payment))  # type: ignore[misc]
        payment.refresh_from_db()
        assert payment.status == ("initiated" if commit == 1 else "paid")
        lease_is_over()
        assert payments.settle(payment).status == "paid"
        assert end_of(owner(payment)) == end_of(owner(control))


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_k3_a_refund_that_was_cut_sends_the_money_once(wallet: str, wire: Wire, runs: int, commit: int) -> None:
    def paid(name: str) -> PaymentTransaction:
        return payments.settle(paid_at_the_wallet(wallet, name))

    def refund(payment: PaymentTransaction) -> PaymentTransaction:
        return payments.refund(payment, actor="anna", reason="agreed")

    control = refund(paid("control"))
    for run in range(max(runs * 2 // 5, 1)):
        payment = paid(f"run {run}")
        cut(wire, commit, lambda payment=payment: refund(payment))  # type: ignore[misc]
        with pytest.raises(NotRefundable):
            refund(payment)
        with clock.moved(timedelta(days=1, minutes=1)):
            sweep()
            payment.refresh_from_db()
            # Cut before the wallet was asked, it is a payment again, of which nothing went back.
            assert payment.status == ("paid" if commit == 1 else "refunded")
        assert sent_back(wallet, payment) == (0 if commit == 1 else payment.amount_minor)
        if commit == 1:
            refund(payment)
        assert sent_back(wallet, payment) == payment.amount_minor
        assert end_of(owner(payment)) == end_of(owner(control))


def test_k3_without_a_cut_the_wire_changes_nothing(wallet: str, wire: Wire) -> None:
    payment = paid_at_the_wallet(wallet, "whole")
    with through(wire):
        assert payments.settle(payment).status == "paid"
    assert wire.cuts == 0


def naive_add(organization: Organization) -> None:
    """The negative control: credit is added, whoever asks and however often."""
    with door.Durable("extend"):
        row = Subscription.objects.lock(organization.pk, clock.now())
        row.credit_minor += 1000
        row.save(update_fields=["credit_minor"])


def test_k3_what_is_not_safe_to_repeat_is_done_twice(wire: Wire) -> None:
    organization = Organization.objects.create(name="twice")
    cut(wire, 1, lambda: naive_add(organization))
    naive_add(organization)
    assert Subscription.objects.get(organization=organization).credit_minor == 2000
