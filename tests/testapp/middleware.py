"""How the test site finds the organization of a request: by a header, for a logged-in user."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from django_tenant_billing import csp

from .models import Organization


def organization_from_header(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get("X-Organization")
        request.organization = Organization.objects.filter(pk=key).first() if key else None  # type: ignore[attr-defined]
        return get_response(request)

    return middleware


def strict_csp(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """The policy that our pages must work under; forms may also lead to the gateways."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = f"default-src 'self'; {csp.header()}"
        return response

    return middleware
