"""How often somebody may do what reaches a gateway. Each counter has a name; what it counts for is a keyed hash."""

from __future__ import annotations

import math
from datetime import timedelta

from django.db.models import Model
from django.utils.crypto import salted_hmac

from .. import clock
from ..exceptions import Throttled
from ..models import PaymentTransaction, Throttle

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

LIMITS = {
    "initiate:user": (10, MINUTE),
    "initiate:organization": (30, HOUR),
    "verify:payment": (3, MINUTE),
    "callback:address": (60, MINUTE),
    "callback:payment": (6, MINUTE),
    "suspect:unknown": (1, MINUTE),
}
"""How many, in how long, of each kind."""


def may_initiate(organization: Model, user_key: object) -> None:
    """Count an attempt to pay. Raises Throttled."""
    _take("initiate:user", user_key)
    _take("initiate:organization", organization.pk)


def may_verify(payment: PaymentTransaction) -> None:
    """Count a question that somebody asks about this payment. Raises Throttled."""
    _take("verify:payment", payment.pk)


def may_look_up(payment: PaymentTransaction, address: str) -> bool:
    """Count a look-up that a returning browser causes; False where there were too many: then nobody is asked."""
    try:
        _take("callback:address", address)
        _take("callback:payment", payment.pk)
    except Throttled:
        return False
    return True


def may_tell(gateway: str, reason: str) -> bool:
    """Count an announcement about no payment of ours: a flood of forgeries must not become a flood of mail."""
    try:
        _take("suspect:unknown", f"{gateway} {reason}")
    except Throttled:
        return False
    return True


def _take(kind: str, who: object) -> None:
    limit, window = LIMITS[kind]
    now = clock.now()
    digest = salted_hmac("tenant_billing.throttle", f"{kind} {who}", algorithm="sha256").hexdigest()
    until = Throttle.objects.take(f"{kind}:{digest}", limit, window, now)
    if until is not None:
        raise Throttled(max(math.ceil((until - now).total_seconds()), 1))
