"""The inbox: payments whose money waits for a person, the oldest first, with why, and what may be done about each."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import metrics
from ..exceptions import GatewayNotConfigured
from ..gateways.registry import get_gateway
from ..models import PaymentTransaction
from ..payments.refunding import unrefundable
from ..payments.reviewing import unsuitable

ON_A_PAGE = 50

WHY = {
    "amount": gettext_lazy("Another amount came than was asked for."),
    "reference": gettext_lazy("The gateway's proof names another order."),
    "transaction_reused": gettext_lazy("The gateway's number paid for another payment already."),
    "organization_gone": gettext_lazy("The organization was deleted before the money came."),
    "duplicate": gettext_lazy("Another payment of the same purchase was applied."),
    "superseded": gettext_lazy("The organization bought another plan since."),
    "not_for_sale": gettext_lazy("The organization cannot buy this plan as it stands."),
    "price_gone": gettext_lazy("It came late, at a price that is asked no more."),
    "credit_gone": gettext_lazy("The credit that was to pay for the rest is spent."),
    "refunded_before_activation": gettext_lazy("The gateway sent the money back before it was applied."),
    "stale": gettext_lazy("The gateway says for thirty days that it is pending."),
    "refund_refused": gettext_lazy("It was to be sent back, and the gateway refused."),
    "refund_not_made": gettext_lazy("It was to be sent back, and the gateway never did."),
}
"""What the detail of a payment in review means."""


class Act(NamedTuple):
    """One thing to do about a payment: not possible where ``problem`` says why."""

    name: str
    text: str
    problem: str


class Waiting(NamedTuple):
    """A payment of the inbox."""

    payment: PaymentTransaction
    why: str
    since: datetime
    acts: list[Act]


def inbox(request: HttpRequest) -> dict[str, Any]:
    """What the page shows. The same number of queries however many wait."""
    pages = Paginator(metrics.waiting(), ON_A_PAGE)
    shown = pages.get_page(request.GET.get("page"))
    rows = [Waiting(payment, why(payment), payment.since, acts(payment)) for payment in shown]
    return {"waiting": rows, "page": shown, "number": pages.count}


def why(payment: PaymentTransaction) -> str:
    """Why it waits, as people read it."""
    return str(WHY.get(payment.detail, payment.detail))


def acts(payment: PaymentTransaction) -> list[Act]:
    """What may be done, in the order in which it is thought of. No query."""
    return [
        Act("apply_review", _("Apply it, in full or for some days"), unsuitable(payment)),
        Act("refund", _("Send the money back"), _unrefundable(payment)),
        Act("dismiss_review", _("Close it, apply nothing"), ""),
    ]


def _unrefundable(payment: PaymentTransaction) -> str:
    try:
        return unrefundable(payment, get_gateway(payment.gateway)) or ""
    except GatewayNotConfigured as error:
        return str(error)
