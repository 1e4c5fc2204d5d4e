"""What a proof, or the lack of one, means for a payment. Reads and decides; payments.py writes.

All reads are of the primary database: a replica may not have the rival that just committed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

from django.db import router
from django.db.models import Q

from .exceptions import NotForSale
from .gateways.base import Outcome, Proof
from .models import Activation, PaymentEvent, PaymentTransaction, Subscription
from .models.quotes import is_sold, quote
from .states import (
    DASHBOARD_CHECKS,
    HORIZON,
    LATE_CHECKS,
    NOT_FOUND_AFTER,
    NOT_FOUND_APART,
    OPEN,
    PRICE_HOLDS_FOR,
    REFUND_CHECK,
    REFUND_GIVEN_UP_AFTER,
    SETTLED,
    SOFT_FAILED,
    STALE_AFTER,
    PaymentState,
    next_check,
)

S = PaymentState

DAILY = timedelta(days=1)


def judge(payment: PaymentTransaction, proof: Proof, now: datetime) -> tuple[PaymentState, str]:
    """Where this proof takes this locked payment, and why; its own status and detail where it changes nothing."""
    here = PaymentState(payment.status)
    if here in SETTLED:
        return _refunded(payment, proof, now)
    if here not in OPEN | SOFT_FAILED:
        return here, payment.detail
    if proof.outcome is Outcome.SUCCEEDED:
        problem = problem_of(payment, proof, now)
        return (S.REVIEW, problem) if problem else (S.PAID, "")
    if proof.outcome in (Outcome.REFUNDED, Outcome.PARTIALLY_REFUNDED):
        return S.REVIEW, "refunded_before_activation"
    if here in SOFT_FAILED:
        return here, payment.detail
    if proof.outcome is Outcome.NOT_FOUND:
        return (S.EXPIRED, "not_found") if _really_gone(payment, proof, now) else (here, payment.detail)
    said = S(proof.outcome.value)
    return overdue(payment, said, now) or (said, "" if said in OPEN else "gateway")


def _refunded(payment: PaymentTransaction, proof: Proof, now: datetime) -> tuple[PaymentState, str]:
    """What a proof says of money that had come: is it still there?"""
    here = PaymentState(payment.status)
    asked = here is S.REFUND_PENDING
    if proof.gateway_reference == (payment.gateway_reference or payment.reference):
        if proof.outcome is Outcome.REFUNDED and here is not S.REFUNDED:
            return S.REFUNDED, "" if asked else "at_gateway"
        source, since = refund_of(payment) if asked else (here, now)
        if proof.outcome is Outcome.PARTIALLY_REFUNDED and source is S.PAID:
            return S.PARTIALLY_REFUNDED, "" if asked else "at_gateway"
        still_there = proof.outcome in (Outcome.SUCCEEDED, Outcome.PARTIALLY_REFUNDED)
        if asked and still_there and now - since >= REFUND_GIVEN_UP_AFTER:
            return source, "refund_not_made"
    return here, payment.detail


def refund_of(payment: PaymentTransaction) -> tuple[PaymentState, datetime]:
    """Where a payment whose refund was asked for came from then, and when that was."""
    asked = _asked(payment)
    return PaymentState(asked.from_status), asked.at


def refund_asked(payment: PaymentTransaction) -> int:
    """How much was asked for last, in paisa."""
    return int(_asked(payment).data["amount_minor"])


def _asked(payment: PaymentTransaction) -> PaymentEvent:
    events = PaymentEvent.objects.using(router.db_for_write(PaymentEvent)).filter(payment=payment)
    return events.filter(kind=PaymentEvent.Kind.MOVED, to_status=S.REFUND_PENDING).latest("pk")


def _really_gone(payment: PaymentTransaction, proof: Proof, now: datetime) -> bool:
    """Has a gateway that does not find the payment said so long enough, and nothing else since?

    It also says so before the payer logs in, and for seconds around completion.
    """
    events = PaymentEvent.objects.using(router.db_for_write(PaymentEvent)).filter(payment=payment)
    answers = events.filter(kind=PaymentEvent.Kind.PROOF).order_by("-pk").values_list("detail", "at")
    *_later, (_detail, first) = takewhile(lambda answer: answer[0] == proof.status, answers)
    began = payment.initiated_at or payment.created_at
    return now - began >= NOT_FOUND_AFTER and now - first >= NOT_FOUND_APART


def overdue(payment: PaymentTransaction, said: PaymentState, now: datetime) -> tuple[PaymentState, str] | None:
    """Where time takes a payment that is still ``said`` to be open; None while there is time.

    Nothing paid for seven days expires, softly. A gateway that says "pending" for thirty days needs a person.
    """
    age = now - (payment.initiated_at or payment.created_at)
    if said == S.INITIATED and age >= HORIZON:
        return S.EXPIRED, "horizon"
    if said == S.PENDING and age >= STALE_AFTER:
        return S.REVIEW, "stale"
    return None


def next_question(payment: PaymentTransaction, status: PaymentState, now: datetime) -> datetime | None:
    """When the gateway is asked again; None when never by itself.

    Past the horizon what is pending is asked about daily. What failed, was canceled or expired is looked at once
    after a day and once after thirty: money can come late. What was paid is looked at once a week for five weeks: it
    can go back.
    """
    began = payment.initiated_at or payment.created_at
    if status in OPEN:
        return next_check(began, now) or now + DAILY
    if status is S.REFUND_PENDING:
        return now + REFUND_CHECK
    if status in (S.PAID, S.PARTIALLY_REFUNDED):
        paid_at = payment.paid_at or now
        return next((paid_at + after for after in DASHBOARD_CHECKS if paid_at + after > now), None)
    if status in SOFT_FAILED:
        return next((began + late for late in LATE_CHECKS if began + late > now), None)
    return None


def problem_of(payment: PaymentTransaction, proof: Proof, now: datetime) -> str:
    """Why proved money must wait for a person; empty where it may be applied."""
    if proof.gateway_reference != (payment.gateway_reference or payment.reference):
        return "reference"
    if proof.amount_minor != payment.amount_minor:
        return "amount"
    using = router.db_for_write(PaymentTransaction)
    others = PaymentTransaction.objects.using(using).filter(gateway=payment.gateway).exclude(pk=payment.pk)
    if proof.gateway_transaction_id and others.filter(gateway_transaction_id=proof.gateway_transaction_id).exists():
        return "transaction_reused"
    if payment.organization_id is None:
        return "organization_gone"
    # After this lock no other attempt of the same purchase can be between this test and its activation.
    subscription = Subscription.objects.lock(payment.organization_id, now)
    activations = Activation.objects.using(using)
    if activations.filter(purchase=payment.purchase).exists():
        return "duplicate"
    bought_after = Q(payment__created_at__gt=payment.created_at) | Q(payment=None, at__gt=payment.created_at)
    newer = activations.filter(bought_after, subscription=subscription, closed_at=None, ends_at__gt=now)
    # A payment that comes late must not take away what was bought after it.
    if newer.exclude(plan=payment.plan_id).exists():
        return "superseded"
    try:
        # As of when it was started: that a day passed since then is not the payer's fault.
        offered = quote(subscription, payment.terms, payment.created_at)
    except NotForSale:
        return "not_for_sale"
    # Of what is paid by hand (still ``created``) a person decides by recording it: the price that was told holds.
    old = payment.status != S.CREATED and now - (payment.initiated_at or payment.created_at) > PRICE_HOLDS_FOR
    late = old or payment.status in SOFT_FAILED
    if late and not is_sold(payment.terms):
        return "price_gone"
    return "credit_gone" if payment.credit_minor > offered.credit_minor else ""
