"""What every JSON view shares: the ruled order of refusals, CSRF unless a Bearer token came, errors as JSON, bodies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
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

UNREADABLE = (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError)
"""What Django raises on first touch of a body or a query that it cannot, or will not, read."""


class BadBody(Exception):
    """A body or a query that is not what the view needs; its text goes to the client."""


class TooLarge(BadBody):
    """A body larger than any of ours can be."""

    def __init__(self) -> None:
        super().__init__(_("The body is too large."))


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def json_view(
    method: str, *, revalidated: bool = False
) -> Callable[[Callable[Concatenate[HttpRequest, P], HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A view that answers JSON to whoever asks: its one method, and every refusal in the one shape.

    No cache keeps what it answers; a ``revalidated`` answer may be kept by who asked, who must ask each time whether
    it is still the same.
    """

    def decorate(view: Callable[Concatenate[HttpRequest, P], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            answer = _wrong_method(request, method)
            if answer is None:
                try:
                    answer = view(request, *args, **kwargs)
                except (BadBody, BillingError) as error:
                    answer = come_again(refused(request, *meaning(error), **_facts(error)), error)
                except UNREADABLE as error:
                    answer = refused(request, *meaning(_unreadable(error)))
            if revalidated and isinstance(answer, HttpResponse) and answer.status_code == HTTPStatus.OK:
                return _unless_known(request, answer)
            add_never_cache_headers(answer)
            return answer

        decorated: Any = csrf_exempt(login_not_required(wrapped))
        return decorated  # type: ignore[no-any-return]

    return decorate


def endpoint(
    method: str, action: str, *, revalidated: bool = False
) -> Callable[[Callable[Concatenate[HttpRequest, Model, P], HttpResponse]], Callable[..., HttpResponseBase]]:
    """A JSON view of one organization: the ruled order of refusals, CSRF unless a Bearer token came."""

    def decorate(view: Callable[Concatenate[HttpRequest, Model, P], HttpResponse]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def admitted(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            organization = admit(request, action, json=True)
            if not isinstance(organization, Model):
                return organization
            if method != "GET" and not has_bearer(request) and (reason := _csrf_problem(request)):
                return refused(request, HTTPStatus.FORBIDDEN, "csrf_failed", reason)
            return view(request, organization, *args, **kwargs)

        return json_view(method, revalidated=revalidated)(admitted)

    return decorate


def _wrong_method(request: HttpRequest, method: str) -> HttpResponseBase | None:
    allowed = ["GET", "HEAD"] if method == "GET" else [method]
    if request.method in allowed:
        return None
    refusal = refused(
        request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", _("Use %(method)s.") % {"method": method}
    )
    refusal.headers["Allow"] = ", ".join(allowed)
    return refusal


def _unless_known(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The answer with its ETag; 304 and the same headers where the client says that it has just this."""
    etag = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    answer.headers["ETag"] = etag
    patch_cache_control(answer, private=True, no_cache=True)
    patch_vary_headers(answer, ("Cookie", "Authorization", "Accept-Language"))
    # Whoever compresses the answer on its way makes the tag weak.
    known = [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]
    if etag in known or known == ["*"]:
        answer.status_code = HTTPStatus.NOT_MODIFIED
        answer.content = b""
        del answer.headers["Content-Type"]
    return answer


def _unreadable(error: Exception) -> BadBody:
    return TooLarge() if isinstance(error, RequestDataTooBig) else BadBody(_("The request cannot be read."))


def meaning(error: Exception) -> tuple[HTTPStatus, str, str]:
    """The status, the code and the text that tell a client of this error; raises it where it is a fault of ours."""
    if isinstance(error, TooLarge):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", str(error)
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
    if len(request.body) > MAX_BODY:
        raise TooLarge
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadBody(_("The body must be a JSON object."))
    return body


def text_of(body: Mapping[str, Any], name: str) -> str | None:
    """What the body has by this name; None where that is no text of 1 to 100 characters."""
    value = body.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable() else None


def text_in(body: Mapping[str, Any], name: str) -> str:
    """The same. Raises BadBody where there is none."""
    value = text_of(body, name)
    if value is None:
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
