"""From a request to its user, when a program asks, and to the organization it is for. In this order in MIDDLEWARE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase

from .models import ApiToken, Membership

SESSION_KEY = "organization"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class BearerTokenMiddleware:
    """Sets ``request.user`` from ``Authorization: Bearer ...``. Stands after AuthenticationMiddleware.

    A request that brings a token is never let in by its cookie: with a wrong token it is anonymous.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        scheme, _space, plain = request.headers.get("Authorization", "").partition(" ")
        request.by_token = False
        if scheme.lower() == "bearer":
            user = ApiToken.objects.user_of(plain.strip())
            request.by_token = user is not None
            request.user = user or AnonymousUser()
        return self.get_response(request)


class OrganizationMiddleware:
    """Sets ``request.organization``: the one chosen in this session, else the user's first, else None.

    ``request.membership`` is the user's own in it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        request.membership = membership_of(request) if request.user.is_authenticated else None
        request.organization = request.membership.organization if request.membership else None
        return self.get_response(request)


def membership_of(request: Any) -> Membership | None:
    """Never in an organization that the user is no longer a member of, whatever the session says."""
    memberships = request.user.memberships.select_related("organization")
    chosen = None if request.by_token else request.session.get(SESSION_KEY)
    membership: Membership | None = memberships.filter(organization_id=chosen).first() if chosen else None
    return membership or memberships.first()
