"""Attempts whose money a person sees, on the bank account or at the counter: no gateway can be asked about them."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Model

from .. import clock
from ..exceptions import NotForSale
from ..gateways.base import Checkout, Gateway
from ..gateways.registry import get_gateway
from ..models import PaymentTransaction, PlanPrice, Subscription
from ..models.payments import new_purchase, new_reference
from ..models.quotes import price_of, quote, terms_of
from ..organizations import name_of
from ..states import NOT_RECEIVED_AFTER
from . import starting
from .door import Durable, Kind, S, locked, log, move, order_of, payments


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

    The amount is what credit leaves to be paid. The gateway's reference is committed before this returns; where the
    gateway is by hand there is none, and the payment stays ``created`` until staff records its money. Raises
    NotForSale, GatewayNotConfigured, GatewayRejected, GatewayUnavailable, InsideTransaction.
    """
    asked = get_gateway(gateway)
    if not asked.by_hand:
        return starting.start(organization, plan, gateway, base_url=base_url, price=price, actor=actor)
    with Durable("start"):
        payment = attempt(organization, plan, gateway, asked, price=price, actor=actor, now=clock.now())
    return payment, asked.start_checkout(order_of(payment, base_url))


def attempt(
    organization: Model,
    plan: str,
    alias: str,
    gateway: Gateway,
    *,
    price: PlanPrice | str | None,
    actor: str,
    now: datetime,
) -> PaymentTransaction:
    """A new attempt that waits for a person. The caller has a transaction open. Raises NotForSale."""
    sold = price_of(plan, price)
    if sold.currency not in gateway.currencies:
        raise NotForSale(plan, f"{gateway.label} does not take {sold.currency}")
    # One at a time for each organization: attempts for the same thing share one purchase, whoever is to be paid.
    subscription = Subscription.objects.lock(organization.pk, now)
    quoted = quote(subscription, terms_of(sold), now).at_least(gateway.minimum_minor)
    if quoted.due_minor == 0:
        raise NotForSale(plan, "the organization has credit for all of it, so nothing has to be paid")
    payment = PaymentTransaction(
        organization_id=organization.pk,
        organization_key=str(organization.pk),
        organization_name=name_of(organization),
        reference=new_reference(),
        purchase=starting._open_purchase(organization, quoted, now) or new_purchase(),
        gateway=alias,
        plan_id=sold.plan_id,
        amount_minor=quoted.due_minor,
        credit_minor=quoted.spent_minor,
        currency=sold.currency,
        interval=sold.interval,
        interval_count=sold.interval_count,
        status=S.CREATED,
        actor=actor[:200],
        created_at=now,
        next_check_at=now + NOT_RECEIVED_AFTER,
    )
    payment.save(force_insert=True)
    log(payment, Kind.STARTED, to=S.CREATED, actor=actor, data={"plan": plan, "amount_minor": quoted.due_minor})
    return payment


def close_unreceived(now: datetime, limit: int) -> int:
    """Close attempts whose money nobody recorded in time; how many there were."""
    closed = 0
    for payment in payments().filter(status=S.CREATED, next_check_at__lte=now)[:limit]:
        with Durable("reconcile"):
            late = locked(payment)
            if late.status == S.CREATED:
                late.next_check_at = None
                move(late, S.FAILED, detail="not_received", actor="reconcile", save=("next_check_at",))
                closed += 1
    return closed
