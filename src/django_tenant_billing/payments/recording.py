"""Money that staff has seen: recorded by name and reason, and applied in the same commit."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import clock
from ..exceptions import NotRecordable
from ..gateways.base import Outcome, Proof, is_id
from ..gateways.registry import get_gateway
from ..models import PaymentTransaction, PlanPrice
from ..models.append_only import reasoned
from ..models.quotes import plan_for_sale, price_of
from ..money import format_money
from ..parties import buyer_of
from ..verdicts import problem_of
from .door import Durable, Kind, S, locked, log, move, using
from .starting import attempt

QUESTION = "who has seen the money, and where?"

PROBLEMS = {
    "organization_gone": gettext_lazy("its organization was deleted; send the money back"),
    "duplicate": gettext_lazy(
        "another payment of the same purchase was applied; record this as new money, or send it back"
    ),
    "superseded": gettext_lazy(
        "the organization has bought something else since; record it as new money for what it wants now"
    ),
    "not_for_sale": gettext_lazy("the organization cannot buy this plan as it stands; send the money back"),
    "credit_gone": gettext_lazy(
        "the credit that was to pay for the rest is spent; record it as new money, at what is due now"
    ),
}
"""Why money is not applied, by the words of verdicts.py, and what to do with it instead."""


def record(
    payment: PaymentTransaction, *, amount_minor: int, number: str, actor: str, reason: str
) -> PaymentTransaction:
    """Record that the money of a payment came, and put the organization on its plan, in one commit.

    ``amount_minor`` is what came, in paisa; ``number`` that of the bank's slip or the receipt, used once per gateway.
    Raises NotRecordable, NotForSale, GatewayNotConfigured, ValueError, InsideTransaction; nothing is changed then.
    """
    reasoned(actor, reason, QUESTION)
    with Durable("record"):
        payment = locked(payment)
        _apply(payment, amount_minor, number.strip(), actor, reason.strip())
    return payment


def record_new(
    organization: Model,
    plan: str,
    gateway: str,
    *,
    price: PlanPrice | str | None = None,
    amount_minor: int,
    number: str,
    actor: str,
    reason: str,
) -> PaymentTransaction:
    """Record money that came without an attempt, for what the organization has to pay for ``plan`` now; as record."""
    reasoned(actor, reason, QUESTION)
    asked, sold, buyer = get_gateway(gateway), price_of(plan, price), buyer_of(organization)
    with Durable("record_new"):
        payment = attempt(organization, sold, gateway, asked, buyer=buyer, actor=actor, now=clock.now())
        _apply(payment, amount_minor, number.strip(), actor, reason.strip())
    return payment


def _apply(payment: PaymentTransaction, amount_minor: int, number: str, actor: str, reason: str) -> None:
    """Test, save, log and activate a locked payment."""
    now, gateway = clock.now(), get_gateway(payment.gateway)
    if not gateway.by_hand:
        raise NotRecordable(
            payment.reference,
            _("%(gateway)s is asked about its payments; verify it instead") % {"gateway": gateway.label},
        )
    if payment.status != S.CREATED:
        raise NotRecordable(
            payment.reference, _("it is %(status)s; record it as new money") % {"status": payment.get_status_display()}
        )
    if not is_id(number):
        raise NotRecordable(payment.reference, _("the number must be 1 to 100 plain characters, as on the slip"))
    if type(amount_minor) is not int or amount_minor != payment.amount_minor:
        came = format_money(amount_minor, payment.currency) if type(amount_minor) is int else repr(amount_minor)
        raise NotRecordable(
            payment.reference,
            _("%(due)s is due, not %(came)s; ask for the rest, or send it back")
            % {"due": payment.formatted_amount, "came": came},
        )
    plan_for_sale(payment.plan_id)
    payment.gateway_transaction_id = number
    try:
        # The constraint decides: of two people who record the same slip at once, one is too late.
        with transaction.atomic(using=using()):
            payment.save(update_fields=["gateway_transaction_id"])
    except IntegrityError as error:
        raise NotRecordable(
            payment.reference, _("the number %(number)r was recorded before") % {"number": number}
        ) from error
    proof = Proof(
        outcome=Outcome.SUCCEEDED,
        status="recorded",
        amount_minor=amount_minor,
        gateway_reference=payment.reference,
    )
    if problem := problem_of(payment, proof, now):
        raise NotRecordable(payment.reference, str(PROBLEMS[problem]))
    facts = {"amount_minor": amount_minor, "number": number, "reason": reason}
    log(payment, Kind.PROOF, detail="recorded", actor=actor, data=facts)
    payment.paid_at, payment.received_minor, payment.next_check_at = now, amount_minor, None
    saved = ("paid_at", "received_minor", "next_check_at")
    move(payment, S.PAID, actor=actor, data={"reason": reason}, save=saved)
    payment.activate_plan()
