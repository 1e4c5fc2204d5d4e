"""What no honest payer does: noted on the payment, told in one line of the log, announced after commit."""

from __future__ import annotations

import logging
from functools import partial

from django.db import transaction

from .. import signals
from ..models import PaymentTransaction
from .door import payments, using
from .throttling import may_tell

logger = logging.getLogger("tenant_billing")

REASONS = ("burst", "mismatch", "bad_signature", "replay", "amount", "transaction_reused")
"""From the least to the gravest. A payment keeps the gravest, so that nobody hides one behind another."""

OF_PROOFS = {"reference": "mismatch", "amount": "amount", "transaction_reused": "transaction_reused"}
"""By the detail of a review: why a proof that does not fit is more than bad luck."""


def suspect(payment: PaymentTransaction | None, gateway: str, reason: str, *, reference: str = "") -> None:
    """Note one of REASONS, of a payment or of what names none of ours.

    Every time is a line of the log. ``suspicious_payment`` is sent when it is the gravest so far of its payment, and
    once a minute where it is of none: otherwise whoever forges decides how much mail its receiver sends.
    """
    reference = payment.reference if payment else reference
    logger.warning("Suspicious (%s) at gateway %s: payment %s.", reason, gateway, reference or "unknown")
    if payment is None:
        news = may_tell(gateway, reason)
    else:
        lighter = ("", *REASONS[: REASONS.index(reason)])
        news = bool(payments().filter(pk=payment.pk, suspicion__in=lighter).update(suspicion=reason))
        payment.suspicion = reason if news else payment.suspicion
    if news:
        tell = partial(
            signals.suspicious_payment.send_robust,
            sender=PaymentTransaction,
            payment=payment,
            gateway=gateway,
            reference=reference,
            reason=reason,
        )
        transaction.on_commit(tell, using=using(), robust=True)


def suspect_review(payment: PaymentTransaction) -> None:
    """As suspect, of a payment that went to review: nothing where its detail is no sign of forgery."""
    if payment.detail in OF_PROOFS:
        suspect(payment, payment.gateway, OF_PROOFS[payment.detail])
