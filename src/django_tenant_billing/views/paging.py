"""Long lists, a page at a time: from the last row that was told, so that what is new moves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.signing import BadSignature, Signer
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .endpoints import BadBody
from .shared import moment_json

Row = TypeVar("Row", bound=Model)

LIMIT, MOST = 50, 100
"""Rows of a page: where the client names no number, and at most."""


def page_json(
    request: HttpRequest, rows: QuerySet[Row], order: Sequence[str], told: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """``{"results": [...], "next": url or null}`` for ``?limit=50&after=...``; one query.

    ``order`` must tell any two rows apart. Raises BadBody for a limit or an ``after`` that this list did not give.
    """
    limit = _limit(request)
    # Signed, so that what comes back is what was given: no moment out of time, no number too large for a database.
    signer = Signer(salt=f"tenant_billing.{rows.model._meta.model_name}")
    if "after" in request.GET:
        try:
            last = signer.unsign_object(request.GET["after"])
        except BadSignature as error:
            raise BadBody(_('"after" must be what "next" of this list had in it.')) from error
        rows = rows.filter(_beyond(order, last))
    found = list(rows.order_by(*order)[: limit + 1])
    url = None
    if len(found) > limit:
        after = signer.sign_object([_plain(getattr(found[limit - 1], name.lstrip("-"))) for name in order])
        url = f"{request.path}?{urlencode({'limit': limit, 'after': after})}"
    return {"results": [told(row) for row in found[:limit]], "next": url}


def _limit(request: HttpRequest) -> int:
    text = request.GET.get("limit", str(LIMIT))
    # isdigit alone knows digits of many scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise BadBody(_('"limit" must be a whole number from 1 to %(most)d.') % {"most": MOST})
    return int(text)


def _beyond(order: Sequence[str], last: Sequence[Any]) -> Q:
    """The rows that come after the one with these values."""
    beyond, same = Q(), Q()
    for name, value in zip(order, last, strict=True):
        field = name.lstrip("-")
        beyond |= same & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        same &= Q(**{field: value})
    return beyond


def _plain(value: Any) -> Any:
    return moment_json(value) if isinstance(value, datetime) else value
