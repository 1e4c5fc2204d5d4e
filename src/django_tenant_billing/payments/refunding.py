"""Sending money back through a gateway that can."""

from __future__ import annotations

from django.utils.translation import gettext as _

from .. import clock
from ..exceptions import GatewayRejected, GatewayUnavailable, NotRefundable
from ..gateways.base import Gateway
from ..gateways.registry import get_gateway
from ..models import PaymentTransaction
from ..models.append_only import reasoned
from ..verdicts import refund_of
from .access import went_back
from .door import Durable, S, locked, move, order_of
from .settling import settle


def refund(
    payment: PaymentTransaction, amount_minor: int | None = None, *, actor: str, reason: str
) -> PaymentTransaction:
    """Send the money of a payment back, all that is left of it or a part in paisa; the payment as it stands then.

    Asked for once and proved by look-ups: ``refund_pending`` until then. Where the gateway is by hand, staff has sent
    it back itself, and its word is the proof. All of it takes back what it gave; a part takes back nothing. Raises
    NotRefundable, ValueError, GatewayRejected (nothing went back), InsideTransaction.
    """
    reasoned(actor, reason, "who sends the money back, and why?")
    gateway = get_gateway(payment.gateway)
    with Durable("refund"):
        payment = locked(payment)
        if (problem := unrefundable(payment, gateway, amount_minor)) is not None:
            raise NotRefundable(payment.reference, problem)
        left = payment.money_minor - payment.refunded_minor
        payment.paid_at = payment.paid_at or clock.now()
        payment.next_check_at = clock.now()
        facts = {"amount_minor": left if amount_minor is None else amount_minor, "reason": reason.strip()}
        move(payment, S.REFUND_PENDING, detail="asked", actor=actor, data=facts, save=("paid_at", "next_check_at"))
        if gateway.by_hand:
            return _sent_by_hand(payment, whole=facts["amount_minor"] == left, actor=actor, reason=reason.strip())
    try:
        gateway.refund(order_of(payment), None if amount_minor in (None, payment.money_minor) else amount_minor)
    except GatewayRejected as error:
        with Durable("refund"):
            payment = locked(payment)
            source, _since = refund_of(payment)
            if source == S.REVIEW:
                payment.paid_at = None
            move(payment, source, detail="refund_refused", actor=actor, data=error.reasons, save=("paid_at",))
        raise
    except GatewayUnavailable:
        return payment  # Perhaps it went back, perhaps not: never sent again, a look-up tells.
    return settle(payment, actor=actor)


def _sent_by_hand(payment: PaymentTransaction, *, whole: bool, actor: str, reason: str) -> PaymentTransaction:
    """Note, in the commit that asked for it, that a person sent the money of a locked payment back."""
    payment.next_check_at = None
    target = S.REFUNDED if whole else S.PARTIALLY_REFUNDED
    move(payment, target, detail="by_hand", actor=actor, data={"reason": reason}, save=("next_check_at",))
    went_back(payment, S.REFUND_PENDING, clock.now(), actor)
    return payment


def unrefundable(payment: PaymentTransaction, gateway: Gateway, amount_minor: int | None = None) -> str | None:
    """Why this cannot be refunded; None where it can."""
    left = payment.money_minor - payment.refunded_minor
    part = amount_minor is not None and amount_minor != left
    if payment.status not in (S.PAID, S.REVIEW, S.PARTIALLY_REFUNDED):
        return _("it is %(status)s") % {"status": payment.get_status_display()}
    if not (gateway.supports_refunds or gateway.by_hand):
        return _("%(gateway)s refunds in its own dashboard alone; do it there, and it is found within a week") % {
            "gateway": gateway.label
        }
    if payment.gateway_transaction_id is None:
        return _("%(gateway)s never told its number; refund it in the dashboard") % {"gateway": gateway.label}
    if amount_minor is not None and not (type(amount_minor) is int and 0 < amount_minor <= left):
        return _("%(amount)r is no amount of paisa from 1 to %(left)d") % {"amount": amount_minor, "left": left}
    if part and payment.status != S.PAID and not gateway.by_hand:
        return _("only a whole payment can be sent back from here: no look-up tells one part from another")
    return None
