"""What becomes of what a payment gave, when its money went back."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import transaction

from .. import signals
from ..exceptions import NotForSale
from ..models import Activation, PaymentTransaction, Subscription
from ..models.refunds import take_back
from ..states import PaymentState
from ..verdicts import refund_asked
from .door import Kind, S, log, using


def went_back(payment: PaymentTransaction, source: PaymentState, now: datetime, actor: str) -> None:
    """Note how much went back of a locked payment, and take back what it gave: nothing of it for a part.

    Of a part that was sent back in the gateway's dashboard nobody tells how much it was.
    """
    whole = payment.status == S.REFUNDED
    asked = refund_asked(payment) if source == S.REFUND_PENDING else 0
    payment.refunded_minor = payment.money_minor if whole else payment.refunded_minor + asked
    payment.save(update_fields=["refunded_minor", "updated_at"])
    span = Activation.objects.using(using()).filter(payment=payment).select_related("payment").first()
    if span is not None and not whole:
        span.value_minor = max(span.value_minor - asked, span.credited_minor)
        span.save(update_fields=["value_minor"])
    if span is not None and whole and payment.organization_id is not None:
        row = Subscription.objects.lock(payment.organization_id, now)
        try:
            with transaction.atomic(using=using()):
                take_back(row, span, now, actor=actor or "refund")
        except NotForSale as error:
            log(payment, Kind.REFUSED, detail="access_kept", actor=actor, data={"error": str(error)})
    told = partial(signals.payment_refunded.send_robust, sender=PaymentTransaction, payment=payment)
    transaction.on_commit(told, using=using(), robust=True)
