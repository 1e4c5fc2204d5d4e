"""How a request is told no: the contract's 401, 403, 404 and 400, as JSON or as a page, in the ruled order.

No user, no organization, no permission, somebody else's object, a bad body, and only then a quota.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from .decisions import Decision
from .exceptions import NotAuthorized, OrganizationNotFound
from .organizations import authorize, organization_of


def prefers_json(request: HttpRequest) -> bool:
    """Does this client read JSON? A Bearer token or a JSON body says so, else its Accept header."""
    if has_bearer(request) or request.content_type == "application/json":
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def has_bearer(request: HttpRequest) -> bool:
    """Does the request carry a token that no browser sends by itself?"""
    return request.headers.get("Authorization", "").lower().startswith("bearer ")


def admit(request: HttpRequest, action: str | None = None, *, json: bool) -> Model | HttpResponseBase:
    """The request's organization, or the refusal to answer with: no user, no organization, no permission."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return unauthenticated(request, json=json)
    try:
        organization = organization_of(request)
        if action is not None:
            authorize(request, organization, action)
    except (OrganizationNotFound, NotAuthorized) as error:
        code = "organization_not_found" if isinstance(error, OrganizationNotFound) else "permission_denied"
        return refuse(request, HTTPStatus.FORBIDDEN, code, str(error), json=json)
    return organization


def unauthenticated(request: HttpRequest, *, json: bool) -> HttpResponseBase:
    """401 for JSON, the login page for browsers."""
    if json:
        response = refuse(request, HTTPStatus.UNAUTHORIZED, "not_authenticated", _("Log in first."), json=True)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    return redirect_to_login(request.get_full_path())


def quota_exceeded(request: HttpRequest, decision: Decision) -> HttpResponse:
    """403 with every number a client needs to explain it."""
    extra = {
        "feature": decision.feature,
        "used": decision.used,
        "limit": decision.limit,
        "plan": decision.plan,
        "upgrade_url": upgrade_url(),
        **{name: decision.facts()[name] for name in ("resets_at", "retry_at", "unlocks")},
    }
    return refuse(
        request,
        HTTPStatus.FORBIDDEN,
        decision.reason.value,
        decision.message,
        json=prefers_json(request),
        template="tenant_billing/over_limit.html",
        extra=extra,
        context={"decision": decision},
    )


def upgrade_url() -> str | None:
    """Where plans are sold; None where the site includes no URLs of ours."""
    try:
        return reverse("tenant_billing:plans")
    except NoReverseMatch:
        return None


def refuse(
    request: HttpRequest,
    status: HTTPStatus,
    code: str,
    message: str,
    *,
    json: bool,
    template: str = "tenant_billing/refused.html",
    extra: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """The one shape of a refusal: ``{"error": what, "code": which, ...}``, or a page that says the same."""
    if json:
        return JsonResponse({"error": message, "code": code, **(extra or {})}, status=status)
    context = {"error": message, "code": code, "upgrade_url": upgrade_url(), **(context or {})}
    return render(request, template, context, status=status)
