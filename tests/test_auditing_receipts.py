"""What must hold of receipts: each rule sees what breaks it, and is silent where nothing does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from django_tenant_billing.auditing import payment_findings
from django_tenant_billing.models import PaymentTransaction, Receipt, ReceiptSequence
from tests.manual import begin, came, use_bank
from tests.test_auditing import change
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_log]


@pytest.fixture
def three(organization: Organization, settings: Any) -> list[PaymentTransaction]:
    """Paid, with the receipts 1 to 3."""
    use_bank(settings)
    payments = [came(begin(organization), number=f"SLIP-{number}") for number in range(3)]
    assert found() == []
    return payments


def found() -> list[tuple[str, str]]:
    return [(finding.subject, finding.problem) for finding in payment_findings("default", ["receipts"])]


def at_the_database(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.format(receipts=Receipt._meta.db_table))


def test_nothing_sold_is_nothing_wrong(db: None) -> None:
    assert found() == []


def test_a_paid_payment_without_a_receipt_is_found_and_the_gap_that_it_leaves(three: list[PaymentTransaction]) -> None:
    at_the_database("DELETE FROM {receipts} WHERE number = 2")
    assert found() == [
        (three[1].reference, "it was paid, and has no receipt"),
        ("receipt 2", "the number was given, and is gone"),
    ]


def test_every_gap_is_found_also_the_last(three: list[PaymentTransaction]) -> None:
    at_the_database("UPDATE {receipts} SET number = number + 10")
    ReceiptSequence.objects.update(last=15)
    gone = "the number was given, and is gone"
    assert found() == [("receipts 1 to 10", gone), ("receipts 14 to 15", gone)]


@pytest.mark.parametrize("last", [0, 2])
def test_a_sequence_that_would_give_a_number_twice_is_found(three: list[PaymentTransaction], last: int) -> None:
    ReceiptSequence.objects.update(last=last)
    problem = f"the sequence stands at {last}, so that the next payment would get a number that is taken"
    assert found() == [("receipt 3", problem)]


def test_a_total_that_is_not_what_came_is_found(three: list[PaymentTransaction]) -> None:
    at_the_database("UPDATE {receipts} SET total_minor = 1, net_minor = 1 WHERE number = 1")
    at_the_database("UPDATE {receipts} SET currency = 'USD' WHERE number = 3")
    assert found() == [
        (three[0].reference, "390000 paisa of NPR came, and receipt 1 says 1 paisa of NPR"),
        (three[2].reference, "390000 paisa of NPR came, and receipt 3 says 390000 paisa of USD"),
    ]


def test_a_receipt_of_what_was_never_paid_is_found(three: list[PaymentTransaction], organization: Organization) -> None:
    other = begin(organization)
    at_the_database(f"UPDATE {{receipts}} SET payment_id = {other.pk} WHERE number = 3")
    assert found() == [
        (three[2].reference, "it was paid, and has no receipt"),
        (other.reference, "it has receipt 3, and its log never says that it was paid"),
    ]


def test_money_that_went_back_keeps_a_right_receipt(three: list[PaymentTransaction]) -> None:
    change(three[0], status="refunded", refunded_minor=390_000)
    assert found() == []
