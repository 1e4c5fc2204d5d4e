"""What every JSON view shares: the ruled order of refusals, CSRF unless a Bearer token came, errors as JSON, bodies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from ..exceptions import (
    AlreadyPaid,
    BillingError,
    Busy,
    CatalogueMissing,
    GatewayNotConfigured,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    NotForSale,
    NotPossible,
    Throttled,
    TooManyAttempts,
)
from ..refusals import admit, has_bearer, refuse
from .shared import come_again, payment_json

P = ParamSpec("P")
MAX_BODY = 10_000


class BadBody(Exception):
    """A body that is not what the view needs; its text goes to the client."""


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def endpoint(
    method: str, action: str
) -> Callable[
    [Callable[Concatenate[HttpRequest, Model, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """One JSON view: its method, the ruled order of refusals, CSRF unless a Bearer token came, errors as JSON."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, Model, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method != method and (request.method, method) != ("HEAD", "GET"):
                refusal = refused(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Use {method}.")
                refusal.headers["Allow"] = method
                return refusal
            organization = admit(request, action, json=True)
            if not isinstance(organization, Model):
                return organization
            if method != "GET" and not has_bearer(request) and (reason := _csrf_problem(request)):
                return refused(request, HTTPStatus.FORBIDDEN, "csrf_failed", reason)
            try:
                return view(request, organization, *args, **kwargs)
            except (BadBody, BillingError) as error:
                return come_again(refused(request, *meaning(error), **_facts(error)), error)

        decorated: Any = never_cache(csrf_exempt(login_not_required(wrapped)))
        return decorated  # type: ignore[no-any-return]

    return decorate


def meaning(error: Exception) -> tuple[HTTPStatus, str, str]:
    if isinstance(error, BadBody):
        return HTTPStatus.BAD_REQUEST, "bad_request", str(error)
    if isinstance(error, NotForSale):
        return HTTPStatus.BAD_REQUEST, "not_for_sale", str(error)
    if isinstance(error, NotPossible):
        return HTTPStatus.CONFLICT, "not_possible", str(error)
    if isinstance(error, AlreadyPaid):
        return HTTPStatus.CONFLICT, "already_paid", _("You have paid for this already. Nothing more is due.")
    if isinstance(error, Throttled | TooManyAttempts):
        code = "throttled" if isinstance(error, Throttled) else "too_many_attempts"
        return HTTPStatus.TOO_MANY_REQUESTS, code, told(error)
    if isinstance(error, Busy):
        return HTTPStatus.SERVICE_UNAVAILABLE, "busy", _("Somebody else is changing this. Try again in a few seconds.")
    if isinstance(error, GatewayTimeout):
        return HTTPStatus.GATEWAY_TIMEOUT, "gateway_timeout", _("The gateway does not answer. Try again in a minute.")
    if isinstance(error, GatewayUnavailable | GatewayRejected):
        return (
            HTTPStatus.BAD_GATEWAY,
            "gateway_unavailable",
            _("The gateway cannot take this payment now. Nothing was charged. Try again in a minute."),
        )
    if isinstance(error, GatewayNotConfigured | CatalogueMissing):
        return HTTPStatus.SERVICE_UNAVAILABLE, "not_configured", str(error)
    raise error


def told(error: Throttled | TooManyAttempts) -> str:
    """Why there may be no further try now, in the reader's language."""
    if isinstance(error, Throttled):
        return _("Too many tries. Try again in %(seconds)d seconds.") % {"seconds": error.seconds}
    return _("Too many of your payments are still open. Finish one of them, or try again in an hour.")


def _facts(error: Exception) -> dict[str, Any]:
    return {"payment": payment_json(error.payment)} if isinstance(error, AlreadyPaid) else {}


def body_of(request: HttpRequest) -> dict[str, Any]:
    if request.content_type != "application/json":
        return dict(request.POST.items())
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        raise BadBody(_("The body is too large."))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadBody(_("The body must be a JSON object."))
    return body


def text_in(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 100 or not value.isprintable():
        raise BadBody(_('"%(name)s" must be a text of 1 to 100 characters.') % {"name": name})
    return value


def chosen(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """The plan, and the term of one of its prices, such as ``year``; None for its default price."""
    return text_in(body, "plan"), text_in(body, "term") if "term" in body else None


def _csrf_problem(request: HttpRequest) -> str:
    check = _CsrfCheck(lambda _request: HttpResponse())
    check.process_request(request)
    return check.process_view(request, None, (), {}) or ""  # type: ignore[arg-type, return-value]


def refused(request: HttpRequest, status: HTTPStatus, code: str, message: str, **extra: Any) -> HttpResponse:
    return refuse(request, status, code, message, json=True, extra=extra)
