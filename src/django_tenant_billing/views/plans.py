"""What each plan gives and costs."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import clock
from ..organizations import may
from ..refusals import admit
from ..subscriptions import may_try, subscription_of
from .offers import Offer, offers_for, terms_in
from .pages import configured


@never_cache
@require_safe
@configured
def plans(request: HttpRequest) -> HttpResponseBase:
    """What each plan gives and costs; ``?term=year`` shows the prices of a year first."""
    organization = admit(request, "view", json=False)
    if not isinstance(organization, Model):
        return organization
    return plans_page(request, organization)


def plans_page(
    request: HttpRequest, organization: Model, *, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    """The compare table: constant in queries, whatever the number of plans and features."""
    now = clock.now()
    offers = offers_for(request.GET.get("term", ""))
    terms = terms_in(offers)
    standing = subscription_of(organization).rolled(now)
    context = {
        "here": "plans",
        "organization": organization,
        "offers": offers,
        "features": list(zip(*(offer.benefits for offer in offers), strict=True)),
        "terms": terms.items() if len(terms) > 1 else (),
        "term": next((term for term in terms if term == request.GET.get("term")), _common_term(offers)),
        "current": standing.plan_in_force(now),
        "may_renew": standing.period_end is not None,
        "may_pay": may(request, organization, "pay"),
        "may_try": any(offer.plan.trial_days for offer in offers) and may_try(organization),
        "error": error,
    }
    return render(request, "tenant_billing/plans.html", context, status=status)


def _common_term(offers: tuple[Offer, ...]) -> str:
    """The term of the prices that are shown where nobody chose one; of the lowest plan that has a price."""
    return next((offer.price.term for offer in offers if offer.price is not None), "")
