"""Beginning an attempt to pay."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Model
from django.utils.translation import gettext as _

from .. import clock
from ..exceptions import AlreadyPaid, GatewayRejected, GatewayUnavailable, NotForSale, TooManyAttempts
from ..gateways.base import Checkout, Gateway
from ..gateways.registry import get_gateway
from ..models import Activation, PaymentTransaction, PlanPrice, Subscription
from ..models.payments import new_purchase, new_reference
from ..models.quotes import Quote, price_of, quote, terms_of
from ..organizations import name_of
from ..parties import buyer_of
from ..states import HORIZON, NOT_RECEIVED_AFTER, OPEN, next_check
from .door import Durable, Kind, S, locked, log, move, order_of, payments, using
from .settling import settle

MOST_OPEN = 3
COUNTED_FOR = timedelta(hours=1)
"""So many attempts of one organization may be open at once. No wallet's link can be paid after an hour."""


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
    gateway is by hand there is none, and the payment stays ``created`` until staff records its money. Earlier open
    attempts for the same thing are asked about first. Raises AlreadyPaid, TooManyAttempts, NotForSale,
    GatewayNotConfigured, GatewayRejected, GatewayUnavailable, InsideTransaction, Busy.
    """
    asked, sold = get_gateway(gateway), price_of(plan, price)
    _ask_about_earlier(organization, sold, actor)
    now, buyer = clock.now(), buyer_of(organization)
    with Durable("start"):
        payment = attempt(organization, sold, gateway, asked, buyer=buyer, actor=actor, now=now)
        _refuse_too_many(organization, now)
    if asked.by_hand:
        return payment, asked.start_checkout(order_of(payment, base_url))
    try:
        checkout = asked.start_checkout(order_of(payment, base_url))
    except (GatewayRejected, GatewayUnavailable) as error:
        refused = isinstance(error, GatewayRejected)
        with Durable("start"):
            detail = "initiate_failed" if refused else "initiate_unknown"
            data = error.reasons if isinstance(error, GatewayRejected) else {"error": str(error)}
            move(locked(payment), S.FAILED, detail=detail, actor=actor, data=data)
        raise
    with Durable("start"):
        payment = locked(payment)
        payment.gateway_reference = checkout.gateway_reference
        payment.initiated_at = clock.now()
        payment.next_check_at = next_check(payment.initiated_at, payment.initiated_at)
        move(payment, S.INITIATED, actor=actor, save=("gateway_reference", "initiated_at", "next_check_at"))
    return payment, checkout


def attempt(
    organization: Model, sold: PlanPrice, alias: str, gateway: Gateway, *, buyer: dict[str, str], actor: str,
    now: datetime,
) -> PaymentTransaction:  # fmt: skip
    """A new attempt, ``created``. The caller has a transaction open, and asked for the buyer before it. Raises
    NotForSale.
    """
    if sold.currency not in gateway.currencies:
        raise NotForSale(
            sold.plan_id,
            _("%(gateway)s does not take %(currency)s") % {"gateway": gateway.label, "currency": sold.currency},
        )
    # One at a time for each organization: two tabs that pay for the same thing share one purchase.
    subscription = Subscription.objects.lock(organization.pk, now)
    quoted = quote(subscription, terms_of(sold), now).at_least(gateway.minimum_minor)
    if quoted.due_minor == 0:
        raise NotForSale(sold.plan_id, _("the organization has credit for all of it, so nothing has to be paid"))
    payment = PaymentTransaction(
        organization_id=organization.pk,
        organization_key=str(organization.pk),
        organization_name=name_of(organization),
        reference=new_reference(),
        purchase=_open_purchase(organization, quoted, now) or new_purchase(),
        gateway=alias,
        plan_id=sold.plan_id,
        amount_minor=quoted.due_minor,
        credit_minor=quoted.spent_minor,
        currency=sold.currency,
        interval=sold.interval,
        interval_count=sold.interval_count,
        status=S.CREATED,
        buyer=buyer,
        actor=actor[:200],
        created_at=now,
        next_check_at=now + NOT_RECEIVED_AFTER if gateway.by_hand else None,
    )
    payment.save(force_insert=True)
    facts = {
        "plan": payment.plan_id, "amount_minor": payment.amount_minor, "credit_minor": payment.credit_minor,
        "currency": payment.currency, "interval": payment.interval, "interval_count": payment.interval_count,
    }  # fmt: skip
    log(payment, Kind.STARTED, to=S.CREATED, actor=actor, data=facts)
    return payment


def _ask_about_earlier(organization: Model, sold: PlanPrice, actor: str) -> None:
    """Whoever paid, closed the tab and comes again is not made to pay twice. Raises AlreadyPaid."""
    same = payments().filter(
        organization_id=organization.pk,
        plan_id=sold.plan_id,
        interval=sold.interval,
        interval_count=sold.interval_count,
        status__in=OPEN,
        created_at__gt=clock.now() - HORIZON,
    )
    for earlier in same.order_by("-created_at", "-pk")[:MOST_OPEN]:
        asked = settle(earlier, actor=actor)
        if asked.status == S.PAID:
            raise AlreadyPaid(asked)
        if asked.unanswered:
            return


def _refuse_too_many(organization: Model, now: datetime) -> None:
    """Undo an attempt that is one too many. Raises TooManyAttempts."""
    fresh = payments().filter(organization_id=organization.pk, created_at__gt=now - COUNTED_FOR)
    open_ = fresh.filter(status__in=OPEN | {S.CREATED}).count()
    if open_ > MOST_OPEN:
        raise TooManyAttempts(MOST_OPEN)


def _open_purchase(organization: Model, quoted: Quote, now: datetime) -> str | None:
    """The purchase that an earlier, unfinished attempt for the same thing belongs to."""
    same = payments().filter(
        organization_id=organization.pk,
        plan_id=quoted.terms.plan,
        amount_minor=quoted.due_minor,
        currency=quoted.terms.currency,
        interval=quoted.terms.interval,
        interval_count=quoted.terms.intervals,
        created_at__gt=now - HORIZON,
    )
    latest = same.order_by("-created_at", "-pk").first()
    if latest is None or Activation.objects.using(using()).filter(purchase=latest.purchase).exists():
        return None
    return latest.purchase
