"""The JSON of a subscription: where it stands, what buying would do, and what people do to it beside paying."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from ..models.quotes import Excess, Quote
from ..subscriptions import preview, subscription_of
from .acts import ACTS, OF_A_PLAN
from .endpoints import body_of, chosen, endpoint, refused
from .shared import actor_of, moment_json, rupees_json, subscription_json


@endpoint("GET", "view")
def subscription(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET subscription/``: where it stands now."""
    return JsonResponse(subscription_json(subscription_of(organization)))


@endpoint("GET", "view")
def quotation(request: HttpRequest, organization: Model) -> HttpResponse:
    """``GET subscription/preview/?plan=PRO&term=year``: what buying would do and cost now. Changes nothing."""
    offer, excess = preview(organization, *chosen(request.GET.dict()))
    return JsonResponse(_offer_json(offer, excess))


@endpoint("POST", "pay")
def act(request: HttpRequest, organization: Model, act: str) -> HttpResponse:
    """``POST subscription/cancel/``, ``.../schedule-change/ {"plan": "BASIC"}``...: 409 where it is not possible."""
    if act not in ACTS:
        text = _("Nobody can %(act)r a subscription. Choose one of: %(acts)s.") % {"act": act, "acts": ", ".join(ACTS)}
        return refused(request, HTTPStatus.NOT_FOUND, "act_not_found", text)
    plan, term = chosen(body_of(request)) if act in OF_A_PLAN else ("", None)
    ACTS[act](organization, plan, term, actor_of(request))
    return JsonResponse(subscription_json(subscription_of(organization)))


def _offer_json(offer: Quote, excess: tuple[Excess, ...]) -> dict[str, Any]:
    """Money in rupees and in paisa. ``credits`` are what comes back of paid time, ``balance`` is credit from before."""
    return {
        "plan": offer.terms.plan,
        "purchase": offer.purchase.value,
        "starts_at": moment_json(offer.starts_at),
        "ends_at": moment_json(offer.ends_at),
        "currency": offer.terms.currency,
        **_money("price", offer.terms.price_minor),
        **_money("balance", offer.balance_minor),
        **_money("credit_spent", offer.spent_minor),
        **_money("due", offer.due_minor),
        "credits": [
            {
                "plan": credit.activation.plan,
                "unused_days": credit.unused_days,
                "days": credit.days,
                **_money("amount", credit.amount_minor),
            }
            for credit in offer.credits
        ],
        "excess": [{"feature": over.feature, "used": over.used, "limit": over.limit} for over in excess],
    }


def _money(name: str, minor: int) -> dict[str, Any]:
    return {name: rupees_json(minor), f"{name}_minor": minor}
