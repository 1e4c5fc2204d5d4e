"""``@quota_required``: one line that guards a view."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

from . import asking, quotas, refusals
from .exceptions import QuotaExceeded
from .quotas import Grant

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Admitted = Grant | HttpResponseBase | None

View = TypeVar("View", bound=Callable[..., Any])
Keep = Callable[[HttpResponseBase], bool]


def succeeded(response: HttpResponseBase) -> bool:
    """The default of ``keep``: the view did its work."""
    return response.status_code < 400


def quota_required(
    feature: str, amount: int = 1, *, methods: Iterable[str] = (), keep: Keep = succeeded
) -> Callable[[View], View]:
    """Guard a view, sync or async, with ``amount`` units of a feature.

    Unsafe methods consume before the view and give back when it raises or ``keep(response)`` is false; safe methods
    only check, but for those that ``methods`` names (with GET goes HEAD). Without a user, an organization or room, the
    contract's refusal is the answer and the view does not run. Exact but for a kill between count and work, which
    recount_usage repairs; inside ``QuotaRequiredMixin`` and ``quotas.consuming`` even that leaves no trace.
    """
    also = frozenset(method.upper() for method in methods)
    checking = SAFE_METHODS - also - ({"HEAD"} if "GET" in also else frozenset())

    def consumes(request: HttpRequest) -> bool:
        return request.method not in checking

    def before(request: HttpRequest) -> Admitted:
        organization = refusals.admit(request, json=refusals.prefers_json(request))
        if not isinstance(organization, Model):
            return organization
        try:
            if consumes(request):
                asking.forget(request, organization, feature)
                return quotas.consume(organization, feature, amount, actor=request.user)
            asking.entering(request, organization, feature, amount)
        except QuotaExceeded as error:
            return refusals.quota_exceeded(request, error.decision)
        return None

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):
            coroutine = cast(Callable[..., Awaitable[HttpResponseBase]], view)

            @wraps(view)
            async def awaiting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                grant = await _uncancelled(before, request)
                if isinstance(grant, HttpResponseBase):
                    return grant
                try:
                    response = await coroutine(request, *args, **kwargs)
                    kept = keep(response)
                except BaseException:
                    await sync_to_async(_give_back)(grant)
                    raise
                if not kept:
                    await sync_to_async(_give_back)(grant)
                return response

            return cast(View, awaiting)

        @wraps(view)
        def calling(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            grant = before(request)
            if isinstance(grant, HttpResponseBase):
                return grant
            try:
                response: HttpResponseBase = view(request, *args, **kwargs)
                kept = keep(response)
            except BaseException:
                _give_back(grant)
                raise
            if not kept:
                _give_back(grant)
            return response

        return cast(View, calling)

    return decorate


async def _uncancelled(before: Callable[[HttpRequest], Admitted], request: HttpRequest) -> Admitted:
    """Count in a thread that a disconnecting client cannot stop half-way: then what it counted is given back."""
    counting = asyncio.ensure_future(sync_to_async(before)(request))
    try:
        return await asyncio.shield(counting)
    except asyncio.CancelledError:
        grant = await counting
        if isinstance(grant, Grant):
            await sync_to_async(_give_back)(grant)
        raise


def _give_back(grant: Grant | None) -> None:
    if grant is not None:
        grant.release_after_failure()
