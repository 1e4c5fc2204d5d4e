"""What browsers claim: found, logged, never believed."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Model, Q

from .. import clock
from ..exceptions import Busy
from ..gateways.base import Claim
from ..models import PaymentTransaction
from .door import Durable, Kind, log, payments
from .suspecting import suspect

LONG_AGO = timedelta(days=1)
"""After this long nobody comes back from paying any more."""


def find(gateway: str, value: str, organization: Model | None = None) -> PaymentTransaction | None:
    """The payment that our reference, or the gateway's, or its transaction id names; of one organization, if given.

    Compared to the letter: a database may not tell upper from lower case.
    """
    named = Q(reference=value) | Q(gateway_reference=value) | Q(gateway_transaction_id=value)
    found = payments().filter(named, gateway=gateway)
    if organization is not None:
        found = found.filter(organization_id=organization.pk)
    return next(
        (p for p in found if value in (p.reference, p.gateway_reference, p.gateway_transaction_id)),
        None,
    )


def claim_fits(claim: Claim, payment: PaymentTransaction | None) -> bool:
    """Does whoever brings this come from this payment's gateway?"""
    # Our reference is no capability; the gateway's own is, and its signature: without them nobody is shown anything.
    brought = claim.gateway_reference
    return payment is not None and (
        (claim.authenticated and claim.reference == payment.reference)
        or (bool(brought) and brought == payment.gateway_reference)
    )


def record_claim(gateway: str, claim: Claim, payment: PaymentTransaction | None, *, actor: str = "") -> bool:
    """Log what a browser claims, in a commit of its own; True where it fits the payment it names.

    Raises Busy where somebody holds that payment: the claim is in the log then by its reference alone.
    """
    fits = claim_fits(claim, payment)
    facts = {"status": claim.status, "authenticated": claim.authenticated, **claim.data}
    try:
        with Durable("record_claim"):
            if payment is not None and (reason := _suspicion(claim, payment)):
                # Before the log: its foreign key shares the row's lock, and on MariaDB two who share it cannot both
                # write.
                suspect(payment, gateway, reason)
            log(
                payment,
                Kind.CLAIM,
                gateway=gateway,
                reference=(claim.reference or "")[:20],
                detail="" if fits else "mismatch" if payment is not None else "unknown_payment",
                actor=actor,
                data=facts,
            )
    except Busy:
        # Without a foreign key to the payment, which would wait for it as well.
        named = payment.reference if payment else ""
        with Durable("record_claim"):
            log(None, Kind.CLAIM, gateway=gateway, reference=named, detail="busy", actor=actor, data=facts)
        raise
    return fits


def record_rejected(gateway: str, reference: str, problem: str, *, actor: str = "", forged: bool = False) -> None:
    """Log a callback that could not even be read as a claim; ``forged`` where its signature is wrong."""
    with Durable("record_rejected"):
        if forged:
            payment = find(gateway, reference) if reference else None
            suspect(payment, gateway, "bad_signature", reference=reference[:20])
        log(None, Kind.REFUSED, gateway=gateway, reference=reference[:20], detail=problem, actor=actor)


def _suspicion(claim: Claim, payment: PaymentTransaction) -> str:
    """Why no honest browser brings this claim to this payment; empty where one may."""
    other = (claim.reference or payment.reference) != payment.reference
    if claim.authenticated:
        # What the gateway signed was seen before, in an honest browser.
        old = payment.paid_at is not None and clock.now() - payment.paid_at >= LONG_AGO
        return "replay" if other or old else ""
    return "mismatch" if other or claim.gateway_reference not in (None, payment.gateway_reference) else ""
