"""A state in a word or two, with a tone that decides shape and colour: what lists and cards show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..lifecycle import State
from ..states import PaymentState


class Badge(NamedTuple):
    """``tone`` is ``good``, ``wait``, ``bad`` or ``calm``; the label says it in words."""

    tone: str
    label: Promise


SUBSCRIPTION: Mapping[State, Badge] = {
    State.ACTIVE: Badge("good", _("Active")),
    State.TRIALING: Badge("calm", _("Trial")),
    State.CANCELED: Badge("wait", _("Canceled")),
    State.GRACE: Badge("bad", _("Payment overdue")),
    State.EXPIRED: Badge("bad", _("Ended")),
}

PAYMENT: Mapping[PaymentState, Badge] = {
    PaymentState.CREATED: Badge("wait", _("Started")),
    PaymentState.INITIATED: Badge("wait", _("Not finished")),
    PaymentState.PENDING: Badge("wait", _("Being confirmed")),
    PaymentState.PAID: Badge("good", _("Paid")),
    PaymentState.REVIEW: Badge("wait", _("In review")),
    PaymentState.FAILED: Badge("bad", _("Not paid")),
    PaymentState.CANCELED: Badge("bad", _("Not paid, canceled")),
    PaymentState.EXPIRED: Badge("bad", _("Not paid in time")),
    PaymentState.REFUND_PENDING: Badge("wait", _("Refund on its way")),
    PaymentState.PARTIALLY_REFUNDED: Badge("calm", _("Partly refunded")),
    PaymentState.REFUNDED: Badge("calm", _("Refunded")),
    PaymentState.DISMISSED: Badge("calm", _("Closed")),
}
