"""What a page of the site shows of billing: read when a template first asks, once for each request.

For looking at only: no guard and no decision reads it. ``forget`` is for a page that counts after it has shown.
"""

from __future__ import annotations

import logging
from datetime import tzinfo
from functools import cached_property
from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from . import clock, quotas
from .decisions import Decision
from .exceptions import CatalogueMissing, OrganizationNotFound, UnknownFeature
from .models import Subscription
from .organizations import organization_of
from .refusals import upgrade_url
from .subscriptions import subscription_of
from .zones import zone_of

logger = logging.getLogger("tenant_billing")

_KEPT_AS = "_tenant_billing_shown"


class Shown:
    """Billing of the organization of one request; empty values where nobody is logged in or there is no organization.

    Nothing is read before it is asked for, and nothing twice. What is not seeded yet is empty too, and logged.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def organization(self) -> Model | None:
        """By the resolver, for somebody who is logged in. No permission is asked: the site chose to show this page."""
        user = getattr(self._request, "user", None)
        if user is None or not user.is_authenticated:
            return None
        try:
            return organization_of(self._request)
        except OrganizationNotFound:
            return None

    @cached_property
    def usage(self) -> dict[str, Decision]:
        """For each feature by its slug, in the catalogue's order: may one more be used, and every number of it."""
        try:
            decisions = quotas.check_all(self.organization) if self.organization is not None else []
        except CatalogueMissing as error:
            logger.error("%s", error)
            return {}
        return {decision.feature: decision for decision in decisions}

    @property
    def plan(self) -> str:
        """Code of the plan in force."""
        return "" if self._subscription is None else self._subscription.plan_in_force(clock.now())

    @property
    def state(self) -> str:
        """``"trialing"``, ``"active"``, ``"canceled"``, ``"grace"`` or ``"expired"``."""
        return "" if self._subscription is None else self._subscription.state(clock.now()).value

    @property
    def near_limit(self) -> list[Decision]:
        """The features that are used up to 80 % of their limit or more."""
        return [decision for decision in self.usage.values() if decision.is_near]

    @property
    def upgrade_url(self) -> str:
        """Where plans are sold; empty where the site includes no URLs of ours."""
        return upgrade_url() or ""

    @property
    def zone(self) -> tzinfo | None:
        """The organization's."""
        return None if self.organization is None else zone_of(self.organization)

    def decision(self, feature: str) -> Decision | None:
        """What is shown of one feature; None where there is nothing to show. Raises UnknownFeature."""
        if self.usage and feature not in self.usage:
            raise UnknownFeature(feature)
        return self.usage.get(feature)

    @cached_property
    def _subscription(self) -> Subscription | None:
        if self.organization is None:
            return None
        try:
            return subscription_of(self.organization).rolled(clock.now())
        except CatalogueMissing as error:
            logger.error("%s", error)
            return None


def shown_on(request: Any) -> Shown:
    """The one of this request, made at first. Costs no query."""
    if not hasattr(request, _KEPT_AS):
        setattr(request, _KEPT_AS, Shown(request))
    shown: Shown = getattr(request, _KEPT_AS)
    return shown


def forget(request: Any) -> None:
    """Let what this request shows from now on be read anew."""
    if hasattr(request, _KEPT_AS):
        delattr(request, _KEPT_AS)
