"""What the views share: the base URL, the actor, the address of a result page, and values as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.cache import never_cache

from .. import clock
from ..conf import conf
from ..exceptions import Busy, GatewayNotConfigured, Throttled, TooManyAttempts
from ..models import Activation, PaymentTransaction, Subscription
from ..money import to_major
from ..tokens import result_path

View = TypeVar("View", bound=Callable[..., Any])


def non_atomic(view: View) -> View:
    """Keep ATOMIC_REQUESTS of every database away from a view that asks a gateway."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def private(view: View) -> View:
    """What it answers is kept by no cache, and its address, which may let somebody in, is told to no other site."""

    @wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = view(*args, **kwargs)
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    decorated: Any = never_cache(wrapped)
    return decorated  # type: ignore[no-any-return]


Answer = TypeVar("Answer", bound=HttpResponseBase)

TOO_MANY_SECONDS, BUSY_SECONDS = 3600, 5


def come_again(response: Answer, error: Exception) -> Answer:
    """The answer to this error, with the seconds after which trying again may help, where any do."""
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(error.seconds)
    elif isinstance(error, TooManyAttempts | Busy):
        response.headers["Retry-After"] = str(BUSY_SECONDS if isinstance(error, Busy) else TOO_MANY_SECONDS)
    return response


def base_url(request: HttpRequest) -> str:
    """Where gateways send payers back: the setting, never the Host header outside DEBUG."""
    if conf.public_base_url is not None:
        return conf.public_base_url
    if settings.DEBUG:
        return f"{request.scheme}://{request.get_host()}"
    raise GatewayNotConfigured(
        "TENANT_BILLING_PUBLIC_BASE_URL is not set, so no gateway could send a payer back. "
        'Set it: TENANT_BILLING_PUBLIC_BASE_URL = "https://app.example.com"'
    )


def actor_of(request: HttpRequest) -> str:
    """Who did it, as text: users come and go, the log stays."""
    user = getattr(request, "user", None)
    return f"user {user.pk}: {user}" if user is not None and user.is_authenticated else ""


def see_other(url: str) -> HttpResponseRedirect:
    """303: go there with a GET, whatever this was."""
    response = HttpResponseRedirect(url)
    response.status_code = HTTPStatus.SEE_OTHER
    return response


def result_url(payment: PaymentTransaction) -> str:
    """The clean address a payer lands on."""
    return result_path(payment.reference)


def term_of(payment: PaymentTransaction) -> str:
    """What it pays for, as the price of its plan is named: ``year``, ``3-month``."""
    return payment.interval if payment.interval_count == 1 else f"{payment.interval_count}-{payment.interval}"


def begins_later(payment: PaymentTransaction) -> datetime | None:
    """When the plan that was paid for begins, where another one holds until then."""
    bought = Activation.objects.filter(payment=payment).select_related("subscription").first()
    return bought.starts_at if bought is not None and bought.waits(clock.now()) else None


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """What was bought and what is in force, as of now, whatever was written down of it."""
    now = clock.now()
    subscription = subscription.rolled(now)
    return {
        "plan": subscription.plan_in_force(now),
        "bought_plan": subscription.plan_id,
        "state": subscription.state(now).value,
        "period_start": moment_json(subscription.period_start),
        "period_end": moment_json(subscription.period_end),
        "next_plan": subscription.next_plan_id,
        "next_period_end": moment_json(subscription.next_period_end),
        "trial_ends_at": moment_json(subscription.trial_ends_at),
        "credit": rupees_json(subscription.credit_minor),
        "credit_minor": subscription.credit_minor,
        "credit_currency": subscription.credit_currency,
        "ends_at": moment_json(subscription.ends_at),
        "renews_at": moment_json(subscription.renews_at),
    }


def rupees_json(amount_minor: int) -> int | float:
    """Rupees as a JSON number: the text of this float is exact, and only the text leaves the process."""
    whole = to_major(amount_minor)
    return whole if isinstance(whole, int) else float(whole)


def payment_json(payment: PaymentTransaction) -> dict[str, Any]:
    """A payment as its organization sees it. ``payment_id`` and ``reference`` are one thing."""
    return {
        "payment_id": payment.reference,
        "reference": payment.reference,
        "gateway": payment.gateway,
        "plan": payment.plan_id,
        "amount": rupees_json(payment.amount_minor),
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    }


def moment_json(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
