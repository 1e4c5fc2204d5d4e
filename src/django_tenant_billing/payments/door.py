"""What every step of a payment goes through: rows of the primary database, a durable commit, the transition table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import DatabaseError, connections, router, transaction
from django.db.models import QuerySet
from django.urls import reverse

from ..exceptions import Busy, IllegalTransition, InsideTransaction
from ..gateways.base import Order
from ..models import PaymentEvent, PaymentTransaction
from ..states import PaymentState, may_move
from .waiting import bounded, gave_up

Kind = PaymentEvent.Kind
log = PaymentEvent.objects.append
S = PaymentState


class Durable(transaction.Atomic):
    """A transaction that really commits at its end, or refuses to begin: see InsideTransaction.

    Raises Busy where the database gave up waiting for somebody else; nothing was changed then.
    """

    def __init__(self, what: str) -> None:
        super().__init__(using(), savepoint=True, durable=True)
        self._what = what
        self._bounds = ExitStack()

    def __enter__(self) -> None:
        try:
            with self._or_busy(), ExitStack() as undo:
                super().__enter__()
                undo.push(super().__exit__)
                self._bounds.enter_context(bounded(using()))
                undo.pop_all()
        except RuntimeError as error:
            raise InsideTransaction(self._what) from error

    def __exit__(self, *problem: Any) -> None:
        self._bounds.close()
        with self._or_busy():
            super().__exit__(*problem)
        if isinstance(problem[1], DatabaseError):
            self._refuse_if_busy(problem[1])

    @contextmanager
    def _or_busy(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            self._refuse_if_busy(error)
            raise

    def _refuse_if_busy(self, error: DatabaseError) -> None:
        if gave_up(error, connections[using()]):
            raise Busy(f"payments.{self._what}()") from error


def using() -> str:
    return router.db_for_write(PaymentTransaction)


def payments() -> QuerySet[PaymentTransaction]:
    """Payments of the primary database: a replica may not know yet what was just committed."""
    return PaymentTransaction.objects.using(using())


def locked(payment: PaymentTransaction) -> PaymentTransaction:
    return payments().select_for_update().get(pk=payment.pk)


def move(
    payment: PaymentTransaction,
    target: PaymentState,
    *,
    detail: str = "",
    actor: str = "",
    data: Mapping[str, Any] | None = None,
    save: tuple[str, ...] = (),
) -> None:
    """Write a new status, if the table allows it, and its line in the log. The only place that does."""
    source = payment.status
    if not may_move(source, target):
        raise IllegalTransition(payment.reference, str(source), str(target))
    payment.status, payment.detail = target, detail
    payment.save(update_fields=["status", "detail", "updated_at", *save])
    log(payment, Kind.MOVED, source=source, to=target, detail=detail, actor=actor, data=data)


def order_of(payment: PaymentTransaction, base_url: str = "") -> Order:
    """The payment as its gateway needs it; without ``base_url`` for a look-up, which sends nobody anywhere."""

    def back(name: str) -> str:
        path = reverse(f"tenant_billing:gateway_{name}", args=[payment.gateway, payment.reference]) if base_url else ""
        return base_url + path

    return Order(
        reference=payment.reference,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        description=f"{payment.plan_id} plan",
        return_url=back("callback"),
        success_url=back("success"),
        failure_url=back("failure"),
        website_url=base_url + "/",
        gateway_reference=payment.gateway_reference,
        gateway_transaction_id=payment.gateway_transaction_id,
    )
