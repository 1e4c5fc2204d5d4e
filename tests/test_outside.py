"""No gateway is asked inside a transaction (K7), and nothing is decided by what a replica says (K9)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

import django_tenant_billing
from django_tenant_billing import clock, payments, quotas, subscriptions
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import PaymentTransaction, Usage
from django_tenant_billing.payments import door
from django_tenant_billing.testing import seed_catalogue
from tests.conftest import inside_a_transaction
from tests.test_payments import pay, start, tamper
from tests.test_views_callbacks import come_back
from tests.testapp.models import Organization

# --- K7 --------------------------------------------------------------------------------------------------------------


def test_k7_asking_inside_a_transaction_fails_a_test(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    order = door.order_of(payment)
    with transaction.atomic(), pytest.raises(AssertionError, match="inside a transaction"):
        get_gateway("khalti").look_up(order)
    assert get_gateway("khalti").look_up(order).status == "Initiated"


@pytest.mark.django_db(transaction=True)
def test_k7_a_transaction_of_nobody_but_the_test_case_does_not_count() -> None:
    assert not inside_a_transaction()
    with transaction.atomic():
        assert inside_a_transaction()


QUESTIONS = {"look_up", "start_checkout", "refund"}
TRANSACTIONS = {"Durable", "atomic"}


def asked_inside(source: str) -> list[int]:
    """The lines on which a gateway is asked within a block that is a transaction."""
    blocks = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.With) and TRANSACTIONS & {_name(item.context_expr) for item in node.items}
    ]
    inside = (node for block in blocks for line in block.body for node in ast.walk(line))
    return [node.lineno for node in inside if isinstance(node, ast.Call) and _name(node) in QUESTIONS]


def _name(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_k7_no_line_of_the_package_asks_a_gateway_inside_a_transaction() -> None:
    files = list(Path(django_tenant_billing.__file__).parent.rglob("*.py"))
    assert len(files) > 50
    assert [(file.name, found) for file in files if (found := asked_inside(file.read_text(encoding="utf-8")))] == []


def test_k7_such_a_line_would_be_found() -> None:
    naive = "with transaction.atomic():\n    payment = locked(payment)\n    proof = gateway.look_up(order)\n"
    assert asked_inside(naive) == [3]
    assert asked_inside("with open(name):\n    gateway.look_up(order)\n") == []


# --- K9 --------------------------------------------------------------------------------------------------------------

DECIDING = {
    f"tenant_billing_{table}"
    for table in ("paymenttransaction", "paymentevent", "activation", "subscription", "usagecounter", "hold",
                  "grantrecord", "planlimit", "limitoverride", "breaker", "throttle")
}  # fmt: skip
"""What is read to decide something about money or quotas."""


class ReadsFromReplica:
    """The router of a site that reads from a replica and writes to the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def replica(transactional_db: None, settings: Any) -> Iterator[list[str]]:
    """A site with a replica; what is read from it."""
    read: list[str] = []
    # A connection of its own to the same data, which the test case lets pass for the one it knows.
    connections["replica"] = connections["default"].copy()

    def noting(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        read.append(sql)
        return execute(sql, params, many, context)

    seed_catalogue()
    settings.DATABASE_ROUTERS = [f"{__name__}.ReadsFromReplica"]
    with connections["replica"].execute_wrapper(noting):
        yield read
    connections["replica"].close()
    del connections["replica"]


def decided_by(read: list[str]) -> list[str]:
    return [sql for sql in read if any(f"{quote}{table}{quote}" in sql for table in DECIDING for quote in '"`')]


@contextmanager
def by_the_primary(read: list[str]) -> Iterator[None]:
    """Nothing in the block reads what decides from the replica."""
    read.clear()
    yield
    assert decided_by(read) == []


def test_k9_no_step_of_a_payment_is_decided_by_a_replica(replica: list[str], simulator: Server) -> None:
    organization = Organization.objects.create(name="Replicated")
    other = Organization.objects.create(name="Other")
    with by_the_primary(replica):
        payment = start(organization)
        wrong, dismissed = start(other, "BASIC"), start(other, "PRO")
    pay(simulator, payment)
    with by_the_primary(replica):
        come_back(payment)
        assert payments.find("khalti", payment.reference, organization) is not None
        assert payments.settle(payment).status == "paid"
    for doubtful in (wrong, dismissed):
        pay(simulator, doubtful, Act.CLOSE_TAB)
        tamper(simulator, doubtful, total_amount=1)
    with by_the_primary(replica), clock.moved(timedelta(minutes=2)):
        assert payments.reconcile(per_second=1000).review == 2
    with by_the_primary(replica):
        assert payments.apply_review(wrong, actor="anna", reason="agreed").status == "paid"
        assert payments.dismiss_review(dismissed, actor="anna", reason="agreed").status == "dismissed"
        assert payments.refund(payment, actor="anna", reason="agreed").status == "refunded"


VERBS: dict[str, Callable[[Organization], object]] = {
    "consume": lambda organization: quotas.consume(organization, "invoices"),
    "release": lambda organization: quotas.consume(organization, "invoices").release(),
    "consume several": lambda organization: quotas.consume(organization, {"invoices": 1, "customers": 1}),
    "reserve": lambda organization: quotas.reserve(organization, "invoices", 1),
    "track": lambda organization: quotas.track(organization, "invoices"),
    "cancel": lambda organization: subscriptions.cancel(organization, actor="anna"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_k9_no_quota_is_decided_by_a_replica(replica: list[str], simulator: Server, verb: str) -> None:
    organization = Organization.objects.create(name="Replicated")
    payment = start(organization, "BASIC")
    pay(simulator, payment)
    payments.settle(payment)
    with by_the_primary(replica):
        VERBS[verb](organization)


def test_k9_a_refusal_is_not_decided_by_a_replica_either(replica: list[str]) -> None:
    organization = Organization.objects.create(name="Replicated")
    with by_the_primary(replica):
        quotas.consume(organization, "invoices", 10)
        with pytest.raises(QuotaExceeded):
            quotas.consume(organization, "invoices")


def test_k9_such_a_read_would_be_seen(replica: list[str]) -> None:
    assert not PaymentTransaction.objects.filter(status="paid").exists()
    assert len(decided_by(replica)) == 1
    assert not Usage.objects.exists()  # for display
    assert len(decided_by(replica)) == 1
