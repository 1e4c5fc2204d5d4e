"""How a payment stands, said to the person who made it: a headline, and why, for every state and detail there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from ..gateways.registry import usable_gateways
from ..models import PaymentTransaction
from ..money import format_money
from ..states import SETTLED, SOFT_FAILED, PaymentState
from .badges import PAYMENT, Badge
from .shared import begins_later

S = PaymentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the result page says."""

    badge: Badge
    title: str
    text: str
    """A sentence or two; plain text."""
    instructions: str = ""
    """Where it is paid by hand: what the site asks the payer to do."""
    confirming: bool = False
    """May the page look again by itself?"""
    again: bool = False
    """Would it help to try once more?"""


IN_REVIEW: Mapping[str, Promise] = {
    "amount": gettext_lazy("What arrived is not the amount that was asked for."),
    "duplicate": gettext_lazy("You had paid for the same thing already, so this is a second payment."),
    "superseded": gettext_lazy("You bought another plan after you started this payment."),
    "organization_gone": gettext_lazy("The organization that it was for is no longer here."),
    "not_for_sale": gettext_lazy("The plan cannot be bought any more."),
    "price_gone": gettext_lazy("The plan is no longer sold at this price."),
    "credit_gone": gettext_lazy("The credit that was to pay a part of it was used for something else."),
    "refunded_before_activation": gettext_lazy("The gateway says that this money was sent back."),
    "stale": gettext_lazy("The gateway has not said for thirty days whether you paid."),
}
"""Why a person has to look; anything else is said in general."""

NOT_PAID: Mapping[str, Promise] = {
    "initiate_failed": gettext_lazy("%(gateway)s refused to begin this payment, so you were not sent there."),
    "initiate_unknown": gettext_lazy("%(gateway)s did not answer, so you were not sent there."),
    "not_received": gettext_lazy(
        "We have not seen your money in time. If you paid all the same, tell us the reference below."
    ),
    "not_found": gettext_lazy("%(gateway)s knows of no such payment: it was opened, and not made."),
    "horizon": gettext_lazy("It was not paid within seven days."),
}

BY_STATE: Mapping[PaymentState, Promise] = {
    S.FAILED: gettext_lazy("%(gateway)s told us that this payment did not succeed."),
    S.CANCELED: gettext_lazy("It was canceled at %(gateway)s before it was paid."),
    S.EXPIRED: gettext_lazy("The time to pay it at %(gateway)s ran out."),
}
"""Where the gateway itself said so."""

NEVER_SENT = frozenset({"initiate_failed", "initiate_unknown", "not_received"})
"""Of these no money can be on its way through a wallet."""


def told(payment: PaymentTransaction) -> Told:
    """What to say of this payment now. Asks nobody but the database."""
    status = S(payment.status)
    badge = PAYMENT[status]
    gateway = usable_gateways().get(payment.gateway)
    label = gateway.label if gateway is not None else payment.gateway
    if status is S.PAID:
        return Told(badge=badge, title=_("Payment received"), text=_activated(payment))
    if status is S.REVIEW:
        return Told(badge=badge, title=_review_title(payment), text=_review(payment))
    if status in SETTLED:
        return Told(badge=badge, title=str(badge.label), text=_sent_back(payment))
    if status is S.DISMISSED:
        text = _("A person looked at this payment and closed it. If you did not expect that, ask with the reference.")
        return Told(badge=badge, title=pgettext("payment", "Closed"), text=text)
    if status in SOFT_FAILED:
        return Told(badge=badge, title=_("Not paid"), text=_not_paid(payment, label), again=True)
    if gateway is not None and gateway.by_hand:
        text = _("Quote the reference below. The plan becomes active as soon as we have seen your money.")
        title = _("Pay by: %(gateway)s") % {"gateway": label}
        return Told(badge=badge, title=title, text=text, instructions=gateway.instructions)
    text = _("You can leave this page: the plan becomes active as soon as the gateway confirms.")
    return Told(badge=badge, title=_("We are confirming your payment"), text=text, confirming=True)


def _activated(payment: PaymentTransaction) -> str:
    facts = {"plan": payment.plan.name}
    begins = begins_later(payment)
    if begins is None:
        return _("The %(plan)s plan is active.") % facts
    facts["begins"] = date_format(localtime(begins), "DATETIME_FORMAT")
    return _("The %(plan)s plan begins when the time you have paid for ends: %(begins)s") % facts


def _review_title(payment: PaymentTransaction) -> str:
    return _("Your payment is being looked at") if payment.detail == "stale" else _("Your payment arrived")


def _review(payment: PaymentTransaction) -> str:
    why = IN_REVIEW.get(payment.detail, gettext_lazy("Something about it needs a look."))
    what = _("A person will decide about it. Nothing is lost, and you do not need to pay again.")
    return f"{why} {what}"


def _sent_back(payment: PaymentTransaction) -> str:
    if payment.status == S.REFUND_PENDING:
        return _("We asked for your money to be sent back. The gateway can take some days for it.")
    if payment.status == S.REFUNDED:
        return _("All of this payment was sent back to you.")
    facts = {"money": format_money(payment.refunded_minor, payment.currency), "paid": payment.formatted_money}
    return _("Of %(paid)s, %(money)s was sent back to you.") % facts


def _not_paid(payment: PaymentTransaction, label: str) -> str:
    why = str(NOT_PAID.get(payment.detail, BY_STATE[S(payment.status)])) % {"gateway": label}
    if payment.detail in NEVER_SENT:
        return why
    return " ".join((why, _("If money left your wallet all the same, it will be found and applied.")))
