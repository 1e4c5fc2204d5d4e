"""What a request has asked already: each feature's decision is read once, for the guard, the view and its template."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Model
from django.http import HttpRequest

from . import quotas
from .decisions import Decision
from .organizations import organization_of

_ATTRIBUTE = "_tenant_billing_decisions"


def ask(request: HttpRequest, feature: str, amount: int = 1) -> Decision:
    """May the request's organization use ``amount`` more? One query for each feature and request.

    To show, not to count on: what this request consumed afterwards is read anew, what others do meanwhile is not.
    Raises OrganizationNotFound, UnknownFeature.
    """
    organization = organization_of(request)
    known = _known(request, organization)
    if feature not in known:
        known[feature] = quotas.entry(organization, feature)
    return replace(known[feature], amount=amount)


def ask_all(request: HttpRequest) -> list[Decision]:
    """The decision for one unit of every feature, in the catalogue's order; one query, and none for ``ask`` after it.

    Raises OrganizationNotFound.
    """
    organization = organization_of(request)
    decisions = quotas.check_all(organization)
    _known(request, organization).update({decision.feature: decision for decision in decisions})
    return decisions


def entering(request: HttpRequest, organization: Model, feature: str, amount: int) -> None:
    """The check before guarded work, of what was asked already or now. Raises QuotaExceeded, UnknownFeature."""
    known = _known(request, organization)
    if feature not in known or not replace(known[feature], amount=amount):
        # A no is asked again: room may have come since, and the counter of what exists may only start now.
        known[feature] = quotas.enter(organization, feature, amount)


def forget(request: HttpRequest, organization: Model, feature: str) -> None:
    """What was known of this feature is counted past."""
    _known(request, organization).pop(feature, None)


def _known(request: HttpRequest, organization: Model) -> dict[str, Decision]:
    by_organization: dict[object, dict[str, Decision]] = request.__dict__.setdefault(_ATTRIBUTE, {})
    return by_organization.setdefault(organization.pk, {})
