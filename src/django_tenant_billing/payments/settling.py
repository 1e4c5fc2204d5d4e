"""What the gateway's server answers when it is asked, and what becomes of the payment then."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q

from .. import clock, signals
from ..exceptions import GatewayError, GatewayRefusesUs, GatewayUnavailable
from ..gateways.base import Proof
from ..gateways.registry import get_gateway
from ..models import Breaker, PaymentTransaction
from ..states import OPEN, SETTLED, SOFT_FAILED, UNANSWERED_RETRIES, PaymentState
from ..verdicts import judge, next_question, overdue
from .access import went_back
from .door import Durable, Kind, S, locked, log, move, order_of, payments, using
from .suspecting import suspect_review

logger = logging.getLogger("tenant_billing")

LEASE = timedelta(seconds=60)
"""How long one worker may take to ask, by the database's clock. A killed worker's lease simply ends."""

RETRY = timedelta(minutes=1)


URGENT = OPEN | SOFT_FAILED | {S.REFUND_PENDING}
"""Something is still to come of these."""

CALM = frozenset({S.PAID, S.PARTIALLY_REFUNDED})
"""Looked at when nothing else is to do: their money may have gone back in the gateway's dashboard."""


def settle(payment: PaymentTransaction, *, actor: str = "") -> PaymentTransaction:
    """Ask the gateway about this payment and apply the answer; the payment as it stands afterwards.

    Safe to call at any time, any number of times, by anybody. Without an answer, or while another worker asks, nothing
    changes but the time of the next question. A gateway that is down, or refuses our key, is spared: see Breaker. Of
    what is paid nobody asks. Raises InsideTransaction, Busy.
    """
    return ask(payment, URGENT, actor)


def verify(payment: PaymentTransaction, *, actor: str = "") -> PaymentTransaction:
    """As settle, also of what is paid: its money may have gone back."""
    return ask(payment, URGENT | CALM, actor)


def ask(payment: PaymentTransaction, states: Collection[str], actor: str) -> PaymentTransaction:
    """As settle, of a payment in one of these states."""
    with Durable("settle"):
        free = (
            payments()
            .filter(pk=payment.pk, status__in=states)
            .exclude(gateway_reference=None, initiated_at=None)
            .filter(Q(leased_until=None) | Q(leased_until__lt=clock.DatabaseNow()))
        )
        may_ask = Breaker.objects.may_ask(payment.gateway, clock.now())
        leased = may_ask and free.update(leased_until=clock.DatabaseNow() + LEASE)
        payment = payments().get(pk=payment.pk)
        if leased:
            log(payment, Kind.ASKED, actor=actor)
        elif payment.status == S.PAID:
            payment.activate_plan()
    if not leased:
        return payment
    try:
        proof = get_gateway(payment.gateway).look_up(order_of(payment))
    except GatewayError as error:
        _note(payment.gateway, error)
        return _unanswered(payment, error, actor)
    Breaker.objects.answered(payment.gateway)
    return _apply(payment, proof, actor)


def _note(gateway: str, error: GatewayError) -> None:
    """What an answer that did not come means for whoever asks this gateway next."""
    if isinstance(error, GatewayRefusesUs):
        Breaker.objects.halt(gateway, str(error))
        logger.error(
            "Gateway %r is not asked any more: %s Then: reconcile_payments --resume %s", gateway, error, gateway
        )
    elif isinstance(error, GatewayUnavailable):
        Breaker.objects.unanswered(gateway, clock.now())


def _apply(payment: PaymentTransaction, proof: Proof, actor: str) -> PaymentTransaction:
    """The one commit: lock, test the table, save, log, activate."""
    now = clock.now()
    with Durable("settle"):
        payment = locked(payment)
        log(payment, Kind.PROOF, detail=proof.status, actor=actor, data=proof.data)
        payment.leased_until, payment.unanswered = None, 0
        here = PaymentState(payment.status)
        target, detail = judge(payment, proof, now)
        payment.next_check_at = next_question(payment, target, now)
        saved: tuple[str, ...] = ("leased_until", "unanswered", "next_check_at")
        if target in (S.PAID, S.REVIEW) and here not in SETTLED:
            if detail != "transaction_reused":
                payment.gateway_transaction_id = proof.gateway_transaction_id
            payment.paid_at = now if target == S.PAID else None
            if proof.amount_minor is not None and proof.amount_minor >= 0:
                payment.received_minor = proof.amount_minor
            saved += ("gateway_transaction_id", "paid_at", "received_minor")
        if target == S.REVIEW and here == S.REFUND_PENDING:
            payment.paid_at = None
            saved += ("paid_at",)
        if target == payment.status:
            payment.save(update_fields=[*saved, "updated_at"])
        else:
            move(payment, target, detail=detail, actor=actor, save=saved)
        if target == S.PAID:
            payment.activate_plan()
        if here != target and target in (S.REFUNDED, S.PARTIALLY_REFUNDED):
            went_back(payment, here, now, actor)
        if target == S.REVIEW:
            suspect_review(payment)
            review = partial(signals.payment_needs_review.send_robust, sender=PaymentTransaction, payment=payment)
            transaction.on_commit(review, using=using(), robust=True)
    return payment


def _unanswered(payment: PaymentTransaction, error: GatewayError, actor: str) -> PaymentTransaction:
    """No usable answer is not a failure: note it and ask again, soon at first, then by the schedule."""
    now = clock.now()
    with Durable("settle"):
        payment = locked(payment)
        log(payment, Kind.NO_ANSWER, detail=type(error).__name__, actor=actor, data={"error": str(error)})
        payment.leased_until = None
        payment.unanswered += 1
        here = PaymentState(payment.status)
        target, reason = (overdue(payment, here, now) if here in OPEN else None) or (here, "")
        if target in OPEN and payment.unanswered < UNANSWERED_RETRIES:
            payment.next_check_at = now + RETRY
        else:
            payment.unanswered = 0
            payment.next_check_at = next_question(payment, target, now)
        saved = ("leased_until", "unanswered", "next_check_at")
        if target == here:
            payment.save(update_fields=[*saved, "updated_at"])
        else:
            move(payment, target, detail=reason, actor=actor, save=saved)
    return payment
