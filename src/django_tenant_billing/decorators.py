"""``@quota_required``: one line that guards a view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

from . import quotas, refusals
from .exceptions import QuotaExceeded
from .quotas import Grant

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

View = TypeVar("View", bound=Callable[..., Any])
Keep = Callable[[HttpResponseBase], bool]


def succeeded(response: HttpResponseBase) -> bool:
    """The default of ``keep``: the view did its work."""
    return response.status_code < 400


def quota_required(
    feature: str, amount: int = 1, *, methods: Iterable[str] | None = None, keep: Keep = succeeded
) -> Callable[[View], View]:
    """Guard a view, sync or async, with ``amount`` units of a feature.

    Unsafe methods consume before the view and give back when it raises or ``keep(response)`` is false; safe methods
    only check. ``methods`` names the methods that consume instead. Without a user, an organization or room, the
    contract's refusal is the answer and the view does not run. Exact but for a kill between count and work, which
    recount_usage repairs; inside ``QuotaRequiredMixin`` and ``quotas.consuming`` even that leaves no trace.
    """
    consuming = None if methods is None else frozenset(method.upper() for method in methods)

    def consumes(request: HttpRequest) -> bool:
        return request.method not in SAFE_METHODS if consuming is None else request.method in consuming

    def before(request: HttpRequest) -> Grant | HttpResponseBase | None:
        organization = refusals.admit(request, json=refusals.prefers_json(request))
        if not isinstance(organization, Model):
            return organization
        try:
            if consumes(request):
                return quotas.consume(organization, feature, amount)
            quotas.enter(organization, feature, amount)
        except QuotaExceeded as error:
            return refusals.quota_exceeded(request, error.decision)
        return None

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):
            coroutine = cast(Callable[..., Awaitable[HttpResponseBase]], view)

            @wraps(view)
            async def awaiting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                grant = await sync_to_async(before)(request)
                if isinstance(grant, HttpResponseBase):
                    return grant
                try:
                    response = await coroutine(request, *args, **kwargs)
                except BaseException:
                    await sync_to_async(_give_back)(grant)
                    raise
                if not keep(response):
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
            except BaseException:
                _give_back(grant)
                raise
            if not keep(response):
                _give_back(grant)
            return response

        return cast(View, calling)

    return decorate


def _give_back(grant: Grant | None) -> None:
    if grant is not None:
        grant.release_after_failure()
