"""What a site around us may be like: its settings (P12), its receivers (P11), and rows that are there already (P13)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler
from django.db import IntegrityError, connections, models, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpRequest, HttpResponse
from django.test import Client

import django_tenant_billing
from django_tenant_billing import payments, quotas, signals, subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.gateways.base import Claim
from django_tenant_billing.models import Activation, Breaker, PaymentEvent, PaymentTransaction, Subscription, Throttle
from django_tenant_billing.payments import door
from tests.folding import assert_log_folds_to_state
from tests.test_models import NEVER, OURS
from tests.test_payments import pay, plan_of, start, tamper
from tests.test_views_callbacks import come_back
from tests.testapp.models import Organization

# --- P12 -------------------------------------------------------------------------------------------------------------

TENANTS = "tests.testapp.middleware.organization_from_header"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"


@pytest.fixture(params=[False, True], ids=["", "ATOMIC_REQUESTS"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", request.param)
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["", "login everywhere"])
def login(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *([LOGIN] if request.param else [])]


@pytest.fixture(params=[False, True], ids=["", "tenants"])
def tenants(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if request.param or one != TENANTS]


@pytest.mark.django_db(transaction=True)
def test_p12_callbacks_work_and_are_logged_under_any_host_settings(
    atomic: bool, login: None, tenants: None, simulator: Server, organization: Organization
) -> None:
    def lines(kind: str) -> int:
        return PaymentEvent.objects.filter(kind=kind).count()

    forged, genuine = start(organization, "BASIC"), start(organization)
    assert come_back(forged).status_code == 303
    assert (lines("claim"), plan_of(organization)) == (1, "FREE")
    assert come_back(forged, pidx="another").headers["Location"] == "/billing/payments/"
    assert lines("claim") == 2
    # An error rolls back what a view under ATOMIC_REQUESTS wrote: these lines survive theirs.
    assert Client().get(f"/billing/khalti/callback/{genuine.reference}/?pidx=a&pidx=b").status_code == 400
    assert lines("refused") == 1
    assert Client().get("/billing/khalti/callback/?pidx=nobody").status_code == 404
    assert lines("claim") == 3
    pay(simulator, genuine)
    answer = come_back(genuine)
    assert (answer.status_code, plan_of(organization)) == (303, "PRO")
    assert "Payment received" in Client().get(answer.headers["Location"]).content.decode()
    assert Client().get(f"/billing/esewa/failure/{genuine.reference}/").status_code == 303
    assert Client().get("/billing/esewa/success/?data=bm8=").status_code == 400
    assert (lines("claim"), lines("refused")) == (5, 2)
    assert Client().get("/billing/payments/").status_code in (302, 403)  # no such page without a session
    assert_log_folds_to_state()


@pytest.mark.django_db(transaction=True)
def test_p12_a_view_that_is_not_kept_out_of_atomic_requests_loses_its_line(atomic: bool) -> None:
    def view(_request: HttpRequest) -> HttpResponse:
        PaymentEvent.objects.append(None, PaymentEvent.Kind.REFUSED, gateway="khalti", detail="naive")
        raise ValueError("bad callback")

    with pytest.raises(ValueError, match="bad callback"):
        BaseHandler().make_view_atomic(view)(HttpRequest())
    assert PaymentEvent.objects.count() == (0 if atomic else 1)


# --- P11 -------------------------------------------------------------------------------------------------------------


def activated(server: Server, organization: Organization) -> PaymentTransaction:
    payment = start(organization)
    pay(server, payment)
    assert come_back(payment).status_code == 303
    payment.refresh_from_db()
    assert payment.status == "paid"
    return payment


def reviewed(server: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(server, payment)
    tamper(server, payment, total_amount=1)
    assert payments.settle(payment).status == "review"


def refunded(server: Server, organization: Organization) -> None:
    payment = activated(server, organization)
    assert payments.refund(payment, actor="anna", reason="agreed").status == "refunded"


def changed(server: Server, organization: Organization) -> None:
    activated(server, organization)
    subscriptions.cancel(organization, actor="anna")
    assert Subscription.objects.get().canceled_at is not None


def warned(_server: Server, organization: Organization) -> None:
    assert quotas.consume(organization, "invoices", 9).amount == 9


CAUSES: dict[str, Callable[[Server, Organization], object]] = {
    "plan_activated": activated,
    "payment_needs_review": reviewed,
    "payment_refunded": refunded,
    "subscription_changed": changed,
    "usage_warning": warned,
}


@contextmanager
def heard(name: str) -> Iterator[list[dict[str, Any]]]:
    """One receiver that raises, and after it one that listens."""
    seen: list[dict[str, Any]] = []

    def breaks(**_facts: Any) -> None:
        raise ValueError("receiver")

    def hears(**facts: Any) -> None:
        seen.append(facts)

    signal = getattr(signals, name)
    signal.connect(breaks)
    signal.connect(hears)
    try:
        yield seen
    finally:
        signal.disconnect(breaks)
        signal.disconnect(hears)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", CAUSES)
def test_p11_a_receiver_that_raises_hides_no_success_and_no_other_receiver(
    simulator: Server, organization: Organization, name: str
) -> None:
    with heard(name) as seen:
        CAUSES[name](simulator, organization)
    assert seen
    assert_log_folds_to_state()


def unsafe(source: str) -> list[int]:
    """The lines that announce something so that a receiver's error would come back."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and (
            call.func.attr == "send"
            or (call.func.attr == "on_commit" and "robust" not in {word.arg for word in call.keywords})
        )
    ]


def test_p11_every_signal_is_sent_robustly() -> None:
    package = Path(django_tenant_billing.__file__).parent
    files = [file for file in package.rglob("*.py") if "contrib" not in file.parts]
    assert len(files) > 50
    assert [(file.name, found) for file in files if (found := unsafe(file.read_text(encoding="utf-8")))] == []
    assert unsafe("signals.plan_activated.send(sender=None)\ntransaction.on_commit(told)\n") == [1, 2]


# --- P13 -------------------------------------------------------------------------------------------------------------


def unique_fields(model: type[models.Model]) -> set[tuple[str, ...]]:
    alone = {(field.name,) for field in model._meta.fields if field.unique and not field.primary_key}
    return alone | {tuple(c.fields) for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)}


def again(row: models.Model, **changes: Any) -> None:
    """Another row like this one."""
    row.pk, row._state.adding = None, True
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(force_insert=True)


def paid_row() -> PaymentTransaction:
    return PaymentTransaction.objects.get()


NOW = datetime(2026, 1, 1, tzinfo=UTC)

DUPLICATES: dict[tuple[type[models.Model], tuple[str, ...]], Callable[[], object]] = {
    (PaymentTransaction, ("reference",)): lambda: again(
        paid_row(), gateway_reference=None, gateway_transaction_id=None
    ),
    (PaymentTransaction, ("gateway", "gateway_reference")): lambda: again(
        paid_row(), reference="TB-2", gateway_transaction_id=None
    ),
    (PaymentTransaction, ("gateway", "gateway_transaction_id")): lambda: again(
        paid_row(), reference="TB-2", gateway_reference=None
    ),
    (Activation, ("payment",)): lambda: again(Activation.objects.get(), purchase="another"),
    (Activation, ("purchase",)): lambda: again(Activation.objects.get(), payment=None),
    (Subscription, ("organization",)): lambda: again(Subscription.objects.get()),
    (Breaker, ("gateway",)): lambda: [Breaker.objects.create(gateway="twice") for _time in range(2)],
    (Throttle, ("name",)): lambda: [
        Throttle.objects.create(name="twice", started_at=NOW, count=1) for _time in range(2)
    ],
}


def test_p13_every_unique_constraint_around_a_payment_is_tried() -> None:
    assert set(DUPLICATES) == {(model, fields) for model in AROUND_A_PAYMENT for fields in unique_fields(model)}
    assert ELSEWHERE


def names_of_unique_constraints(model: type[models.Model]) -> set[str]:
    """As test_models.py names them."""
    alone = {f"{model._meta.model_name}.{field[0]}" for field in unique_fields(model) if len(field) == 1}
    return alone | {c.name for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)}


AROUND_A_PAYMENT = {model for model, _fields in DUPLICATES}
ELSEWHERE = {name for model in OURS if model not in AROUND_A_PAYMENT for name in names_of_unique_constraints(model)}


def log_line() -> None:
    payments.record_claim("khalti", Claim(reference=None, gateway_reference=None, status="twice"), None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("savepoint", [True, False], ids=["with a savepoint", "without"])
@pytest.mark.parametrize("case", list(DUPLICATES), ids=lambda case: f"{case[0].__name__} {'+'.join(case[1])}")
def test_p13_a_row_that_is_there_already_costs_no_line_of_the_log(
    simulator: Server,
    organization: Organization,
    case: tuple[type[models.Model], tuple[str, ...]],
    savepoint: bool,
) -> None:
    activated(simulator, organization)
    assert_costs_no_line(DUPLICATES[case], savepoint=savepoint)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("savepoint", [True, False], ids=["with a savepoint", "without"])
@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_p13_nor_does_one_of_a_table_that_holds_no_money(
    organization: Organization, name: str, savepoint: bool
) -> None:
    refused, _allowed = NEVER[name]
    assert_costs_no_line(partial(refused[0], organization), savepoint=savepoint)


def assert_costs_no_line(duplicate: Callable[[], object], *, savepoint: bool) -> None:
    lines = PaymentEvent.objects.count()
    if savepoint:
        with door.Durable("test"):
            with pytest.raises(IntegrityError), transaction.atomic():
                duplicate()
            PaymentEvent.objects.append(None, PaymentEvent.Kind.REFUSED, gateway="khalti", detail="twice")
    else:
        with pytest.raises(IntegrityError), door.Durable("test"):
            duplicate()
        log_line()
    assert PaymentEvent.objects.count() == lines + 1
    assert_log_folds_to_state()


@pytest.mark.django_db(transaction=True)
def test_p13_going_on_after_a_duplicate_without_a_savepoint_loses_the_line(
    simulator: Server, organization: Organization
) -> None:
    activated(simulator, organization)
    lines = PaymentEvent.objects.count()
    with pytest.raises(TransactionManagementError), transaction.atomic():
        with pytest.raises(IntegrityError):
            again(paid_row())
        PaymentEvent.objects.append(None, PaymentEvent.Kind.REFUSED, gateway="khalti", detail="naive")
    assert PaymentEvent.objects.count() == lines


@pytest.mark.django_db(transaction=True)
def test_p13_a_gateway_that_names_two_payments_alike_leaves_the_second_in_the_log_and_open_to_a_new_try(
    simulator: Server, organization: Organization
) -> None:
    first = start(organization)
    PaymentTransaction.objects.filter(pk=first.pk).update(gateway_transaction_id="T1")
    other = Organization.objects.create(name="Other")
    second = start(other)
    pay(simulator, second)
    tamper(simulator, second, transaction_id="T1")
    settled = payments.settle(second)
    assert (settled.status, settled.detail) == ("review", "transaction_reused")
    assert [event.kind for event in second.events.all()][-3:] == ["asked", "proof", "moved"]
