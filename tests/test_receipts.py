"""Receipts: one for each payment that became paid, with the next number, as everything stood then."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model, ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import AppendOnly, NotRecordable
from django_tenant_billing.models import (
    Activation,
    PaymentTransaction,
    Receipt,
    ReceiptSequence,
    SubscriptionEvent,
)
from django_tenant_billing.states import REFUND_GIVEN_UP_AFTER
from tests.manual import begin, came, use_bank
from tests.test_payments import fault, pay, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

SELLER = {"name": "Himal Software Pvt. Ltd.", "address": "New Road, Kathmandu", "pan": "301234567"}
BUYER = {"name": "Pahad Foods Pvt. Ltd.", "address": "Pokhara", "pan": "609876543"}


@pytest.fixture
def bank(settings: Any, organization: Organization) -> None:
    use_bank(settings)


def numbers() -> list[int]:
    return list(Receipt.objects.order_by("number").values_list("number", flat=True))


def of(payment: PaymentTransaction) -> Receipt:
    return Receipt.objects.get(payment=payment)


def forget(model: type[Model]) -> None:
    """Past the ORM, as only somebody at the database can."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")


# One for each


def test_a_settled_payment_has_one_receipt_however_often_it_is_settled(
    organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    assert numbers() == []
    pay(simulator, payment)
    for _again in range(3):
        payment = payments.verify(payment)
        payment.activate_plan()
    receipt = of(payment)
    assert numbers() == [receipt.number] == [1]
    assert (receipt.organization, receipt.organization_key) == (organization, str(organization.pk))
    assert (receipt.organization_name, receipt.issued_at) == ("Himal Traders", payment.activation.at)
    assert (receipt.net_minor, receipt.vat_minor, receipt.total_minor) == (390_000, 0, 390_000)
    assert (receipt.currency, receipt.vat_percent, receipt.description) == ("NPR", 0, "PRO plan: 1 month")
    assert str(receipt) == "1 - Himal Traders - NPR 3,900"
    assert str(ReceiptSequence.objects.get()) == "receipts - 1"


@pytest.mark.usefixtures("bank")
def test_recorded_money_has_the_next_number(organization: Organization) -> None:
    first = came(begin(organization))
    new = payments.record_new(
        organization, "PRO", "bank", amount_minor=390_000, number="SLIP-2", actor="anna", reason="cash"
    )
    assert [of(first).number, of(new).number] == [1, 2]


class Lost(Exception):
    """The database went away."""


@pytest.mark.usefixtures("bank")
def test_what_fails_after_the_number_was_taken_takes_it_back(organization: Organization) -> None:
    def lose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT INTO") and Receipt._meta.db_table in sql:
            assert ReceiptSequence.objects.get().last == 2
            raise Lost
        return execute(sql, params, many, context)

    came(begin(organization))
    payment = begin(organization)
    with pytest.raises(Lost), connection.execute_wrapper(lose):
        came(payment, number="SLIP-2")
    assert (numbers(), ReceiptSequence.objects.get().last) == ([1], 1)
    assert of(came(payment, number="SLIP-2")).number == 2


@pytest.mark.usefixtures("bank")
def test_money_that_cannot_be_applied_has_no_receipt(organization: Organization) -> None:
    payment = begin(organization)
    with pytest.raises(NotRecordable):
        came(payment, amount_minor=1)
    assert (numbers(), ReceiptSequence.objects.count()) == ([], 0)


def test_a_review_has_none_until_it_is_applied_for_what_came(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=195_000)
    assert payments.settle(payment).status == "review"
    assert numbers() == []
    payments.apply_review(payment, actor="anna", reason="as agreed", days=10)
    receipt = of(payment)
    assert (receipt.total_minor, receipt.description) == (195_000, "PRO plan: 10 days")


def test_a_review_that_is_dismissed_or_refunded_has_none(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=195_000)
    payments.dismiss_review(payments.settle(payment), actor="anna", reason="went back")
    assert numbers() == []


def test_a_payment_that_failed_has_none(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    assert payments.settle(payment).status == "canceled"
    assert numbers() == []


@pytest.mark.breaks_the_log
@pytest.mark.usefixtures("bank")
def test_a_payment_from_before_there_were_receipts_gets_none_silently(organization: Organization) -> None:
    payment = came(begin(organization))
    forget(Receipt)
    payment.activate_plan()
    assert numbers() == []


@pytest.mark.breaks_the_log
@pytest.mark.usefixtures("bank")
def test_a_sequence_that_was_lost_goes_on_after_the_last_receipt(organization: Organization) -> None:
    for number in range(2):
        came(begin(organization), number=f"SLIP-{number}")
    forget(ReceiptSequence)
    assert of(came(begin(organization), number="SLIP-3")).number == 3


# As everything stood then


@pytest.mark.parametrize(
    ("word", "net", "tax", "percent"),
    [("exempt", 390_000, 0, 0), ("inclusive", 345_133, 44_867, 13), ("exclusive", 390_000, 50_700, 13)],
)
@pytest.mark.usefixtures("bank")
def test_net_and_tax_add_up_to_what_was_paid(
    organization: Organization, settings: Any, word: str, net: int, tax: int, percent: int
) -> None:
    settings.TENANT_BILLING_VAT = word
    receipt = of(came(begin(organization)))
    assert (receipt.net_minor, receipt.vat_minor, receipt.vat_percent) == (net, tax, percent)
    assert receipt.total_minor == net + tax == receipt.payment.money_minor


@pytest.mark.usefixtures("bank")
def test_seller_and_buyer_stay_as_they_were(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_SELLER, settings.TENANT_BILLING_BUYER = SELLER, lambda organization: BUYER
    payment = begin(organization)
    # The buyer is asked for before anything is paid: here no code of the site runs.
    settings.TENANT_BILLING_BUYER = "nowhere.at_all"
    receipt = of(came(payment))
    settings.TENANT_BILLING_SELLER = {}
    receipt.refresh_from_db()
    assert [receipt.seller_name, receipt.seller_address, receipt.seller_pan] == list(SELLER.values())
    assert [receipt.buyer_name, receipt.buyer_address, receipt.buyer_pan] == list(BUYER.values())


@pytest.mark.usefixtures("bank")
def test_money_that_comes_without_an_attempt_is_of_the_buyer_of_now(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_BUYER = lambda organization: BUYER
    new = payments.record_new(
        organization, "PRO", "bank", amount_minor=390_000, number="SLIP-2", actor="anna", reason="cash"
    )
    assert of(new).buyer_pan == BUYER["pan"]


@pytest.mark.usefixtures("bank")
def test_whatever_the_settings_say_money_is_applied(organization: Organization, settings: Any) -> None:
    def failing(organization: Organization) -> dict[str, str]:
        raise Organization.DoesNotExist

    settings.TENANT_BILLING_SELLER, settings.TENANT_BILLING_VAT = ["Himal"], "thirteen"
    settings.TENANT_BILLING_BUYER = failing
    receipt = of(came(begin(organization)))
    assert (receipt.seller_name, receipt.buyer_name, receipt.vat_percent) == ("", "Himal Traders", 0)


@pytest.mark.usefixtures("bank")
def test_the_description_is_in_the_language_of_the_site_whoever_pays(organization: Organization) -> None:
    with translation.override("de"):
        receipt = of(came(begin(organization)))
        assert translation.get_language() == "de"
    assert receipt.description == "PRO plan: 1 month"


@pytest.mark.usefixtures("bank")
def test_a_receipt_is_written_once(organization: Organization) -> None:
    receipt = of(came(begin(organization)))
    for change in (receipt.save, receipt.delete, Receipt.objects.all().delete):
        with pytest.raises(AppendOnly):
            change()
    with pytest.raises(AppendOnly):
        Receipt.objects.update(number=2)
    with pytest.raises(ProtectedError):
        receipt.payment.delete()


@pytest.mark.usefixtures("bank")
def test_it_outlives_its_organization_which_lets_go_of_payments_before_receipts(organization: Organization) -> None:
    receipt = of(came(begin(organization)))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        organization.delete()
    receipt.refresh_from_db()
    assert (receipt.organization, receipt.buyer_name) == (None, "Himal Traders")
    # Whoever settles holds the payment: after this update nobody adds a receipt of the organization any more.
    tables = [model._meta.db_table for model in (PaymentTransaction, Receipt)]
    told = [query["sql"].split(" SET ")[0] for query in queries]
    payments_, receipts = (told.index(f"UPDATE {connection.ops.quote_name(table)}") for table in tables)
    assert payments_ < receipts


# What it costs


@pytest.mark.usefixtures("bank")
def test_a_receipt_costs_three_statements_and_the_number_is_the_last_thing_waited_for(
    organization: Organization,
) -> None:
    came(begin(organization))
    payment = begin(organization)
    with CaptureQueriesContext(connection) as queries:
        came(payment, number="SLIP-2")
    # On MariaDB each says how long it may wait.
    said = [re.sub(r"^SET STATEMENT .*? FOR ", "", query["sql"]) for query in queries]
    told = [statement for statement in said if not statement.startswith(("SAVEPOINT", "RELEASE"))]
    assert [statement.split(" ", 1)[0] for statement in told[-3:]] == ["UPDATE", "SELECT", "INSERT"]
    of_receipts = [statement for statement in told if "tenant_billing_receipt" in statement]
    assert of_receipts == told[-3:]
    assert any(f"INTO {connection.ops.quote_name(SubscriptionEvent._meta.db_table)}" in one for one in told[:-3])


# What went back


@pytest.mark.usefixtures("bank")
def test_money_that_went_back_is_told_part_by_part(organization: Organization) -> None:
    payment = came(begin(organization))
    receipt = of(payment)
    assert receipt.refunds == []
    payments.refund(payment, 100_000, actor="anna", reason="asked for")
    payments.refund(payment, 50_000, actor="anna", reason="asked for")
    with clock.moved(timedelta(days=1)):
        payments.refund(payment, actor="anna", reason="asked for")
    assert [refund.formatted_amount for refund in receipt.refunds] == ["NPR 1,000", "NPR 500", "NPR 2,400"]
    first, _second, last = receipt.refunds
    assert last.at - first.at >= timedelta(days=1)
    assert numbers() == [1]
    assert Activation.objects.get().taken_back_at is not None


@pytest.fixture
def settled(organization: Organization, simulator: Server) -> PaymentTransaction:
    payment = start(organization)
    pay(simulator, payment)
    return payments.settle(payment)


def test_a_refund_that_was_not_made_did_not_go_back(settled: PaymentTransaction, simulator: Server) -> None:
    fault(simulator, "500", 1)
    payment = payments.refund(settled, actor="anna", reason="asked for")
    with clock.moved(REFUND_GIVEN_UP_AFTER):
        assert payments.settle(payment).detail == "refund_not_made"
    assert of(payment).refunds == []


def test_of_a_part_that_went_back_in_the_dashboard_nobody_tells_how_much(
    settled: PaymentTransaction, simulator: Server
) -> None:
    simulator.khalti.refund("simulated_secret_key", str(settled.gateway_transaction_id), {"amount": 1000})
    assert payments.verify(settled).status == "partially_refunded"
    (part,) = of(settled).refunds
    assert (part.amount_minor, part.formatted_amount) == (None, "")
    tamper(simulator, settled, status="Refunded")
    assert payments.verify(settled).status == "refunded"
    # Nor how much was the rest.
    assert [refund.amount_minor for refund in of(settled).refunds] == [None, None]


def test_a_part_that_was_not_made_after_one_that_was_did_not_go_back(
    settled: PaymentTransaction, simulator: Server
) -> None:
    payment = payments.refund(settled, 100_000, actor="anna", reason="asked for")
    assert payment.status == "partially_refunded"
    fault(simulator, "500", 1)
    payment = payments.refund(payment, actor="anna", reason="the rest")
    with clock.moved(REFUND_GIVEN_UP_AFTER):
        assert payments.settle(payment).detail == "refund_not_made"
    assert [refund.amount_minor for refund in of(payment).refunds] == [100_000]
