"""From a request to its organization, and the rights on it: the seam to the site's own multi-tenancy."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest

from .conf import conf, load
from .exceptions import NotAuthorized, OrganizationNotFound


def organization_model() -> type[Model]:
    """The site's organization model."""
    return apps.get_model(conf.organization_model)


def organization_of(request: HttpRequest) -> Model:
    """The organization of this request, by the resolver setting; else ``request.organization`` or ``request.tenant``.

    Raises OrganizationNotFound.
    """
    found = load(conf.organization_resolver, _from_attributes)(request)
    # A lazy object is what it holds; the key of another model would be somebody else's organization.
    if not isinstance(found, organization_model()):
        raise OrganizationNotFound
    return found


def authorize(request: HttpRequest, organization: Model, action: str) -> None:
    """Raise NotAuthorized unless TENANT_BILLING_AUTHORIZE lets this request ``"view"`` or ``"pay"``."""
    if not may(request, organization, action):
        raise NotAuthorized(action)


def may(request: HttpRequest, organization: Model, action: str) -> bool:
    """The same as a question, for pages that leave out what their reader may not do."""
    return bool(load(conf.authorize, _everybody)(request, organization, action))


def name_of(organization: Model) -> str:
    """The organization's name as stored beside a payment, which outlives it."""
    return str(organization)[:200]


def _from_attributes(request: HttpRequest) -> Any:
    named = (getattr(request, name, None) for name in ("organization", "tenant"))
    return next((found for found in named if isinstance(found, organization_model())), None)


def _everybody(_request: HttpRequest, _organization: Model, _action: str) -> bool:
    return True
