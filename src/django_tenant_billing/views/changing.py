"""Choosing a plan: what it would do and cost, paying for it, and what people do to their subscription beside paying."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from .. import clock, payments, vat
from ..exceptions import (
    AlreadyPaid,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    NotForSale,
    NotPossible,
    Throttled,
    TooManyAttempts,
)
from ..gateways.registry import usable_gateways
from ..models import Plan
from ..models.quotes import Purchase
from ..money import format_money
from ..organizations import may
from ..payments.throttling import may_initiate
from ..refusals import admit
from ..subscriptions import may_schedule, preview, subscription_of
from .acts import ACTS
from .endpoints import told
from .pages import configured, overview_page
from .plans import plans_page
from .shared import actor_of, base_url, come_again, non_atomic, private, result_url, see_other
from .wallets import send_payer


@private
@non_atomic
@require_http_methods(["GET", "HEAD", "POST"])
@configured
def checkout(request: HttpRequest) -> HttpResponseBase:
    """What buying ``plan`` for ``term`` would do and cost; a POST with a ``gateway`` sends the payer to it."""
    organization = admit(request, "pay" if request.method == "POST" else "view", json=False)
    if not isinstance(organization, Model):
        return organization
    if request.method != "POST":
        return _checkout_page(request, organization, *_chosen(request.GET))
    return _pay(request, organization)


@never_cache
@require_POST
@configured
def change(request: HttpRequest, act: str) -> HttpResponseBase:
    """Cancel, resume, undo and so on; the overview then tells where the subscription stands."""
    organization = admit(request, "pay", json=False)
    if not isinstance(organization, Model):
        return organization
    try:
        ACTS[act](organization, *_chosen(request.POST), actor_of(request))
    except NotPossible as error:
        return overview_page(request, organization, error=str(error), status=HTTPStatus.CONFLICT)
    except NotForSale as error:
        return plans_page(request, organization, error=str(error), status=HTTPStatus.BAD_REQUEST)
    return see_other(reverse("tenant_billing:overview"))


def _pay(request: HttpRequest, organization: Model) -> HttpResponse:
    plan, term = _chosen(request.POST)
    alias = request.POST.get("gateway", "")
    gateway = usable_gateways().get(alias)
    if gateway is None:
        text = _("Choose how you want to pay.")
        return _checkout_page(request, organization, plan, term, error=text, status=HTTPStatus.BAD_REQUEST)
    try:
        may_initiate(organization, request.user.pk)
        payment, sent = payments.start(
            organization, plan, alias, base_url=base_url(request), price=term, actor=actor_of(request)
        )
    except NotForSale as error:
        return plans_page(request, organization, error=str(error), status=HTTPStatus.BAD_REQUEST)
    except AlreadyPaid as error:
        return see_other(result_url(error.payment))
    except (Throttled, TooManyAttempts) as error:
        many = HTTPStatus.TOO_MANY_REQUESTS
        return come_again(_checkout_page(request, organization, plan, term, error=told(error), status=many), error)
    except GatewayTimeout:
        status, text = HTTPStatus.GATEWAY_TIMEOUT, _("%(gateway)s does not answer.")
    except (GatewayUnavailable, GatewayRejected):
        status, text = HTTPStatus.BAD_GATEWAY, _("%(gateway)s cannot take this payment now.")
    else:
        return send_payer(request, payment, gateway, sent)
    text = " ".join((text % {"gateway": gateway.label}, _("Nothing was charged. Try again in a minute.")))
    return _checkout_page(request, organization, plan, term, error=text, status=status)


def _checkout_page(
    request: HttpRequest, organization: Model, plan: str, term: str | None, *, error: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:  # fmt: skip
    try:
        offer, excess = preview(organization, plan, term)
    except NotForSale as reason:
        return plans_page(request, organization, error=str(reason), status=HTTPStatus.BAD_REQUEST)
    currency = offer.terms.currency
    standing = subscription_of(organization).plan_in_force(clock.now())
    found = Plan.objects.in_bulk([plan, standing])
    context = {
        "here": "plans",
        "organization": organization,
        "plan": found[plan],
        "current": found.get(standing),
        "term": term,
        "offer": offer,
        "price": format_money(offer.terms.price_minor, currency),
        "vat_note": vat.note_of_total(),
        "credits": [(credit, format_money(credit.amount_minor, currency)) for credit in offer.credits],
        "balance": format_money(offer.balance_minor, currency),
        "due": format_money(offer.due_minor, currency),
        "kept": format_money(offer.credit_minor - offer.spent_minor, currency),
        "keeps": offer.credit_minor > offer.spent_minor,
        "excess": excess,
        "gateways": [
            (alias, gateway.label, format_money(offer.at_least(gateway.minimum_minor).due_minor, currency))
            for alias, gateway in usable_gateways().items()
            if currency in gateway.currencies
        ],
        "may_pay": may(request, organization, "pay"),
        "may_wait": offer.purchase is Purchase.PREPAYS and may_schedule(organization, plan),
        "error": error,
    }
    return render(request, "tenant_billing/checkout.html", context, status=status)


def _chosen(form: QueryDict) -> tuple[str, str | None]:
    """The plan, and the term of one of its prices; None for its default price."""
    return form.get("plan", ""), form.get("term") or None
