"""What browsers claim: found, logged, never believed."""

from __future__ import annotations

from django.db.models import Model, Q

from ..gateways.base import Claim
from ..models import PaymentTransaction
from .door import Durable, Kind, log, payments


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


def record_claim(gateway: str, claim: Claim, payment: PaymentTransaction | None, *, actor: str = "") -> bool:
    """Log what a browser claims, in a commit of its own; True where it fits the payment it names."""
    # Our reference is no capability; the gateway's own is, and its signature: without them nobody is shown anything.
    brought = claim.gateway_reference
    fits = payment is not None and (
        (claim.authenticated and claim.reference == payment.reference)
        or (bool(brought) and brought == payment.gateway_reference)
    )
    with Durable("record_claim"):
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
    with Durable("record_rejected"):
        log(None, Kind.REFUSED, gateway=gateway, reference=reference[:20], detail=problem, actor=actor)
