"""What a person does with money that could not be applied by itself."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import clock
from ..exceptions import NotInReview
from ..models import Activation, PaymentTransaction, Subscription
from ..models.append_only import reasoned
from ..models.payments import new_purchase
from ..verdicts import next_question
from .door import Durable, S, locked, move, using

MOST_DAYS = 3660
QUESTION = "who decides about this payment, and why?"

UNSUITABLE = {
    "refunded_before_activation": gettext_lazy("its money went back already; dismiss it"),
    "organization_gone": gettext_lazy("its organization was deleted; refund it"),
}
"""What cannot be applied, whoever decides so, by the detail of the review."""


def unsuitable(payment: PaymentTransaction) -> str:
    """Why a payment in review cannot be applied, whoever decides so; empty where it can."""
    return str(UNSUITABLE.get("organization_gone" if payment.organization_id is None else payment.detail, ""))


def apply_review(
    payment: PaymentTransaction, *, actor: str, reason: str, days: int | None = None
) -> PaymentTransaction:
    """Apply the money of a payment in review as if it had been paid without a doubt: for what was ordered, or for so
    many ``days`` of the plan. What came is what counts as paid. Where another attempt of its purchase was
    applied already, it counts as one of its own.

    Raises NotInReview, NotForSale, ValueError, InsideTransaction, Busy.
    """
    reasoned(actor, reason, QUESTION)
    if days is not None and not 0 < days <= MOST_DAYS:
        raise ValueError(f"Apply it for 1 to {MOST_DAYS} days, not for {days}.")
    now = clock.now()
    with Durable("apply_review"):
        payment = locked(payment)
        if payment.status == S.REVIEW:
            problem = unsuitable(payment)
        else:
            problem = _("it is %(status)s") % {"status": payment.get_status_display()}
        if problem:
            raise NotInReview(payment.reference, problem)
        # After this lock no other attempt of the same purchase can be between this test and its activation.
        Subscription.objects.lock(payment.organization_id, now)
        if Activation.objects.using(using()).filter(purchase=payment.purchase).exists():
            payment.purchase = new_purchase()
        payment.paid_at, payment.next_check_at = now, next_question(payment, S.PAID, now)
        saved = ("purchase", "paid_at", "next_check_at")
        facts = {"reason": reason.strip(), **({} if days is None else {"days": days})}
        move(payment, S.PAID, detail=payment.detail, actor=actor, data=facts, save=saved)
        payment.activate_plan(days=days)
    return payment


def dismiss_review(payment: PaymentTransaction, *, actor: str, reason: str) -> PaymentTransaction:
    """Close a review without applying anything. Raises NotInReview, ValueError, InsideTransaction."""
    reasoned(actor, reason, QUESTION)
    with Durable("dismiss_review"):
        payment = locked(payment)
        if payment.status != S.REVIEW:
            raise NotInReview(payment.reference, _("it is %(status)s") % {"status": payment.get_status_display()})
        move(payment, S.DISMISSED, detail=payment.detail, actor=actor, data={"reason": reason.strip()})
    return payment
