"""billing_verify, as monitoring runs it and as a person does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.management.commands import billing_verify
from django_tenant_billing.models import Breaker, PaymentTransaction, PlanLimit
from tests.manual import begin, came, use_bank
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_log]

SHOW = "manage.py billing_verify --payment"


def run(*words: str, code: int = 0) -> list[str]:
    """What it prints; it must exit with ``code``."""
    output = StringIO()
    if code:
        with pytest.raises(SystemExit) as left:
            call_command("billing_verify", *words, stdout=output)
        assert left.value.code == code
    else:
        call_command("billing_verify", *words, stdout=output)
    return output.getvalue().splitlines()


@pytest.fixture
def bank(organization: Organization, settings: Any) -> Organization:
    use_bank(settings)
    return organization


def test_a_clean_database_prints_where_the_money_is_and_exits_with_0(bank: Organization) -> None:
    assert run() == ["✓ 0 violations, 0 warnings, 0 notes"]
    first = came(begin(bank))
    payments.refund(first, 90_000, actor="anna", reason="a discount")
    begin(bank, "BASIC")
    payments.record_new(
        bank, "PRO", "bank", amount_minor=390_000, number="SLIP-2", actor="anna", reason="came without an attempt"
    )
    assert run() == [
        "came NPR 7,800, applied NPR 6,900, in review NPR 0, dismissed NPR 0, refunded NPR 900, 1 payments open",
        "✓ 0 violations, 0 warnings, 0 notes",
    ]


def test_a_violation_is_one_line_with_its_reference_and_the_command_and_exits_with_1(bank: Organization) -> None:
    payment = came(begin(bank))
    PaymentTransaction.objects.update(refunded_minor=1)
    line = f"✗ I-5 {payment.reference}: 1 paisa of 390000 went back, and it is paid. Next: {SHOW} {payment.reference}"
    Breaker.objects.halt("khalti", "key")
    assert run(code=1)[0] == line
    assert run("--only", "I-5", code=1)[-1] == "✗ 1 violations, 0 warnings, 0 notes"
    assert run("--only", "I-5", "--only", "I-16", code=1)[0] == line
    assert run("--only", "I-16")[-1] == "✓ 0 violations, 0 warnings, 0 notes"


def test_what_only_waits_exits_with_2_and_notes_are_shown_to_those_who_ask(bank: Organization) -> None:
    quotas.consume(bank, "customers", 2)
    PlanLimit.objects.filter(plan="FREE", feature="customers").update(limit_value=1)
    note = (
        f"! I-11 organization {bank.pk}, customers: 2 used and 0 held of 1: nothing is granted until it is less. "
        f"Next: manage.py billing_explain {bank.pk} customers"
    )
    assert run() == ["✓ 0 violations, 0 warnings, 1 notes"]
    assert run("-v2") == [note, "✓ 0 violations, 0 warnings, 1 notes"]
    Breaker.objects.halt("khalti", "key")
    assert run(code=2) == [
        "! breakers gateway khalti: key. Next: manage.py reconcile_payments --resume khalti",
        "✓ 0 violations, 1 warnings, 1 notes",
    ]


def test_programs_read_one_object_a_line_and_the_summary_last(bank: Organization) -> None:
    payment = came(begin(bank))
    PaymentTransaction.objects.update(detail="odd")
    finding, summary = (json.loads(line) for line in run("--json", code=1))
    assert finding == {
        "id": "I-16", "severity": "violation", "subject": payment.reference,
        "problem": "its log leads to paid, and its row says paid odd", "command": f"{SHOW} {payment.reference}",
    }  # fmt: skip
    assert summary == {
        "summary": {"violation": 1, "warning": 0, "note": 0},
        "books": {"NPR": {"came": 390000, "applied": 390000, "in_review": 0, "dismissed": 0, "refunded": 0,
                          "open_payments": 0}},
    }  # fmt: skip


def test_one_payment_is_shown_with_its_log_and_what_is_wrong_with_it(bank: Organization) -> None:
    payment = came(begin(bank))
    head, *lines = run("--payment", payment.reference)
    assert head == f"{payment.reference} - PRO - paid: NPR 3,900 at bank, Himal Traders"
    assert [line.split()[2:] for line in lines] == [
        ["started", "created", "user", "1:", "samir"],
        ["proof", "recorded", "anna"],
        ["moved", "created", "->", "paid", "anna"],
    ]
    PaymentTransaction.objects.update(refunded_minor=1)
    assert run("--payment", payment.reference, code=1)[-1].startswith(f"✗ I-5 {payment.reference}: 1 paisa")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--only", "I-99"], "--only I-99: write one of I-1, "),
        (["--payment", "TB-NOBODY"], "There is no payment TB-NOBODY."),
        (["--database", "other"], "--database other: it is not in DATABASES."),
    ],
)
def test_what_cannot_be_looked_at_exits_with_3(db: None, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why) as refused:
        call_command("billing_verify", *words)
    assert refused.value.returncode == 3


def test_a_database_that_cannot_be_read_exits_with_3(db: None) -> None:
    def broken(*_statement: Any) -> Any:
        raise DatabaseError("it is gone")

    with (
        connection.execute_wrapper(broken),
        pytest.raises(CommandError, match="The database 'default' cannot be read: it is gone") as refused,
    ):
        call_command("billing_verify", "--database", "default")
    assert refused.value.returncode == billing_verify.UNABLE == 3


@contextmanager
def read_only() -> Iterator[None]:
    """A connection that refuses to write, whatever it is sent."""
    begin_, end = {
        "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
        "postgresql": ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off"),
        "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(begin_)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(end)


@pytest.mark.django_db(transaction=True)
def test_it_writes_nothing_and_runs_where_nothing_can_be_written(bank: Organization) -> None:
    payment = came(begin(bank))
    quotas.consume(bank, "invoices", 2)
    PaymentTransaction.objects.update(detail="odd")
    statements: list[str] = []

    def noting(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql.split()[0])
        return execute(sql, *rest)

    with clock.moved(timedelta(hours=27)), read_only(), connection.execute_wrapper(noting):
        lines = run("-v2", code=1)
        assert run("--payment", payment.reference, code=1)
        with pytest.raises(DatabaseError):
            PaymentTransaction.objects.update(detail="")
    assert lines[0].startswith(f"✗ I-16 {payment.reference}")
    assert statements.pop() == "UPDATE"  # the control: it is heard, and refused
    assert set(statements) == {"SELECT"}
