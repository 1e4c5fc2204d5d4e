"""The one door to a payment's state: start, settle, reconcile.

A claim (what a browser brings) is logged and makes us ask; a proof (what the gateway's server answers) settles. The
gateway is asked outside any transaction. One durable commit then locks the row, tests the transition table, saves,
logs and activates, so that whatever dies, asking again finishes the work and repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import router, transaction
from django.db.models import Model, Q, QuerySet
from django.urls import reverse

from . import clock, signals
from .exceptions import (
    GatewayError,
    GatewayRejected,
    GatewayUnavailable,
    IllegalTransition,
    InsideTransaction,
    NotForSale,
)
from .gateways.base import Checkout, Claim, Order, Proof
from .gateways.registry import get_gateway
from .models import Activation, PaymentEvent, PaymentTransaction, PlanPrice, Subscription
from .models.payments import new_purchase, new_reference
from .models.quotes import Quote, price_of, quote, terms_of
from .organizations import name_of
from .states import HORIZON, OPEN, SOFT_FAILED, UNANSWERED_RETRIES, UNSENT_AFTER, PaymentState, may_move, next_check
from .verdicts import judge, next_question, overdue

__all__ = ["Sweep", "find", "reconcile", "record_claim", "record_rejected", "settle", "start"]

Kind = PaymentEvent.Kind
log = PaymentEvent.objects.append
S = PaymentState

LEASE = timedelta(seconds=60)
"""How long one worker may take to ask, by the database's clock. A killed worker's lease simply ends."""

RETRY = timedelta(minutes=1)


def start(
    organization: Model,
    plan: str,
    gateway: str,
    *,
    base_url: str,
    price: PlanPrice | str | None = None,
    actor: str = "",
) -> tuple[PaymentTransaction, Checkout]:
    """Begin an attempt to pay for a plan, at its default price or at another one, which may be named by its term
    (``"year"``); the payer is then sent to the returned Checkout.

    The amount is what credit leaves to be paid. The gateway's reference is committed before this returns. Raises
    NotForSale, GatewayNotConfigured, GatewayRejected, GatewayUnavailable, InsideTransaction.
    """
    asked = get_gateway(gateway)
    sold = price_of(plan, price)
    if sold.currency not in asked.currencies:
        raise NotForSale(plan, f"{asked.label} does not take {sold.currency}")
    now = clock.now()
    with _Durable("start"):
        # One at a time for each organization: two tabs that pay for the same thing share one purchase.
        subscription = Subscription.objects.lock(organization.pk, now)
        quoted = quote(subscription, terms_of(sold), now).at_least(asked.minimum_minor)
        if quoted.due_minor == 0:
            raise NotForSale(plan, "the organization has credit for all of it, so nothing has to be paid")
        payment = PaymentTransaction(
            organization_id=organization.pk,
            organization_key=str(organization.pk),
            organization_name=name_of(organization),
            reference=new_reference(),
            purchase=_open_purchase(organization, quoted, now) or new_purchase(),
            gateway=gateway,
            plan_id=sold.plan_id,
            amount_minor=quoted.due_minor,
            credit_minor=quoted.spent_minor,
            currency=sold.currency,
            interval=sold.interval,
            interval_count=sold.interval_count,
            status=S.CREATED,
            actor=actor[:200],
            created_at=now,
        )
        payment.save(force_insert=True)
        log(payment, Kind.STARTED, to=S.CREATED, actor=actor, data={"plan": plan, "amount_minor": quoted.due_minor})
    try:
        checkout = asked.start_checkout(_order(payment, base_url))
    except (GatewayRejected, GatewayUnavailable) as error:
        refused = isinstance(error, GatewayRejected)
        with _Durable("start"):
            detail = "initiate_failed" if refused else "initiate_unknown"
            data = error.reasons if isinstance(error, GatewayRejected) else {"error": str(error)}
            _move(_locked(payment), S.FAILED, detail=detail, actor=actor, data=data)
        raise
    with _Durable("start"):
        payment = _locked(payment)
        payment.gateway_reference = checkout.gateway_reference
        payment.initiated_at = clock.now()
        payment.next_check_at = next_check(payment.initiated_at, payment.initiated_at)
        _move(payment, S.INITIATED, actor=actor, save=("gateway_reference", "initiated_at", "next_check_at"))
    return payment, checkout


def find(gateway: str, value: str, organization: Model | None = None) -> PaymentTransaction | None:
    """The payment that our reference, or the gateway's, or its transaction id names; of one organization, if given.

    Compared to the letter: a database may not tell upper from lower case.
    """
    named = Q(reference=value) | Q(gateway_reference=value) | Q(gateway_transaction_id=value)
    found = _payments().filter(named, gateway=gateway)
    if organization is not None:
        found = found.filter(organization_id=organization.pk)
    return next(
        (p for p in found if value in (p.reference, p.gateway_reference, p.gateway_transaction_id)),
        None,
    )


def record_claim(gateway: str, claim: Claim, payment: PaymentTransaction | None, *, actor: str = "") -> bool:
    """Log what a browser claims, in a commit of its own; True where it fits the payment it names."""
    # Our reference is no capability; the gateway's own is, and its signature: without them nobody is shown anything.
    brought = claim.gateway_reference
    fits = payment is not None and (
        (claim.authenticated and claim.reference == payment.reference)
        or (bool(brought) and brought == payment.gateway_reference)
    )
    with _Durable("record_claim"):
        log(
            payment,
            Kind.CLAIM,
            gateway=gateway,
            reference=(claim.reference or "")[:20],
            detail="" if fits else "mismatch" if payment is not None else "unknown_payment",
            actor=actor,
            data={"status": claim.status, "authenticated": claim.authenticated, **claim.data},
        )
    return fits


def record_rejected(gateway: str, reference: str, problem: str, *, actor: str = "") -> None:
    """Log a callback that could not even be read as a claim."""
    with _Durable("record_rejected"):
        log(None, Kind.REFUSED, gateway=gateway, reference=reference[:20], detail=problem, actor=actor)


def settle(payment: PaymentTransaction, *, actor: str = "") -> PaymentTransaction:
    """Ask the gateway about this payment and apply the answer; the payment as it stands afterwards.

    Safe to call at any time, any number of times, by anybody. Without an answer, or while another worker asks, nothing
    changes but the time of the next question. Raises InsideTransaction.
    """
    with _Durable("settle"):
        leased = (
            _payments()
            .filter(pk=payment.pk, status__in=OPEN | SOFT_FAILED)
            .exclude(gateway_reference=None, initiated_at=None)
            .filter(Q(leased_until=None) | Q(leased_until__lt=clock.DatabaseNow()))
            .update(leased_until=clock.DatabaseNow() + LEASE)
        )
        payment = _payments().get(pk=payment.pk)
        if leased:
            log(payment, Kind.ASKED, actor=actor)
        elif payment.status == S.PAID:
            payment.activate_plan()
    if not leased:
        return payment
    try:
        proof = get_gateway(payment.gateway).look_up(_order(payment))
    except GatewayError as error:
        return _unanswered(payment, error, actor)
    return _apply(payment, proof, actor)


@dataclass(slots=True)
class Sweep:
    """What one run of reconcile did."""

    asked: int = 0
    paid: int = 0
    review: int = 0
    closed: int = 0
    still_open: int = 0


def reconcile(*, limit: int = 50) -> Sweep:
    """Ask about open payments whose time has come, oldest first, and close those that never reached a payer."""
    sweep, now = Sweep(), clock.now()
    for payment in _payments().filter(status=S.CREATED, created_at__lt=now - UNSENT_AFTER)[:limit]:
        with _Durable("reconcile"):
            locked = _locked(payment)
            if locked.status == S.CREATED:
                _move(locked, S.FAILED, detail="initiate_unknown", actor="reconcile")
                sweep.closed += 1
    due = _payments().filter(status__in=OPEN | SOFT_FAILED, next_check_at__lte=now).order_by("next_check_at")
    for payment in due[:limit]:
        # First to the back of the queue: whatever breaks on this one, the next run begins with the others.
        _payments().filter(pk=payment.pk, next_check_at=payment.next_check_at).update(next_check_at=now + RETRY)
        status = settle(payment, actor="reconcile").status
        sweep.asked += 1
        sweep.paid += status == S.PAID
        sweep.review += status == S.REVIEW
        sweep.closed += status in SOFT_FAILED
        sweep.still_open += status in OPEN
    return sweep


def _apply(payment: PaymentTransaction, proof: Proof, actor: str) -> PaymentTransaction:
    """The one commit: lock, test the table, save, log, activate."""
    now = clock.now()
    with _Durable("settle"):
        payment = _locked(payment)
        log(payment, Kind.PROOF, detail=proof.status, actor=actor, data=proof.data)
        payment.leased_until, payment.unanswered = None, 0
        target, detail = judge(payment, proof, now)
        payment.next_check_at = next_question(payment, target, now)
        saved: tuple[str, ...] = ("leased_until", "unanswered", "next_check_at")
        if target in (S.PAID, S.REVIEW):
            if detail != "transaction_reused":
                payment.gateway_transaction_id = proof.gateway_transaction_id
            payment.paid_at = now if target == S.PAID else None
            saved += ("gateway_transaction_id", "paid_at")
        if target == payment.status:
            payment.save(update_fields=[*saved, "updated_at"])
        else:
            _move(payment, target, detail=detail, actor=actor, save=saved)
        if target == S.PAID:
            payment.activate_plan()
        if target == S.REVIEW:
            review = partial(signals.payment_needs_review.send_robust, sender=PaymentTransaction, payment=payment)
            transaction.on_commit(review, using=_using(), robust=True)
    return payment


def _unanswered(payment: PaymentTransaction, error: GatewayError, actor: str) -> PaymentTransaction:
    """No usable answer is not a failure: note it and ask again, soon at first, then by the schedule."""
    now = clock.now()
    with _Durable("settle"):
        payment = _locked(payment)
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
            _move(payment, target, detail=reason, actor=actor, save=saved)
    return payment


def _open_purchase(organization: Model, quoted: Quote, now: datetime) -> str | None:
    """The purchase that an earlier, unfinished attempt for the same thing belongs to."""
    same = _payments().filter(
        organization_id=organization.pk,
        plan_id=quoted.terms.plan,
        amount_minor=quoted.due_minor,
        currency=quoted.terms.currency,
        interval=quoted.terms.interval,
        interval_count=quoted.terms.intervals,
        created_at__gt=now - HORIZON,
    )
    latest = same.order_by("-created_at", "-pk").first()
    if latest is None or Activation.objects.using(_using()).filter(purchase=latest.purchase).exists():
        return None
    return latest.purchase


def _order(payment: PaymentTransaction, base_url: str = "") -> Order:
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
    )


def _move(
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


def _locked(payment: PaymentTransaction) -> PaymentTransaction:
    return _payments().select_for_update().get(pk=payment.pk)


def _payments() -> QuerySet[PaymentTransaction]:
    """Payments of the primary database: a replica may not know yet what was just committed."""
    return PaymentTransaction.objects.using(_using())


def _using() -> str:
    return router.db_for_write(PaymentTransaction)


class _Durable(transaction.Atomic):
    """A transaction that really commits at its end, or refuses to begin: see InsideTransaction."""

    def __init__(self, what: str) -> None:
        super().__init__(_using(), savepoint=True, durable=True)
        self._what = what

    def __enter__(self) -> None:
        try:
            super().__enter__()
        except RuntimeError as error:
            raise InsideTransaction(self._what) from error
