"""Who may enter a view that no quota guards. The guards of the package do the same by themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from .models import Role

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def organization_required(view: View) -> View:
    """For pages: the login page without a user, 403 without an organization."""

    @login_required
    @wraps(view)
    def wrapped(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.organization is None:
            raise PermissionDenied(_("Organization not found"))
        return view(request, *args, **kwargs)

    return cast(View, wrapped)


def owner_required(view: View) -> View:
    """As ``organization_required``, and 403 for everybody but its owners."""

    @organization_required
    @wraps(view)
    def wrapped(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.membership.role != Role.OWNER:
            raise PermissionDenied(_("Only an owner of the organization may do this."))
        return view(request, *args, **kwargs)

    return cast(View, wrapped)


def bearer_token_required(view: View) -> View:
    """For JSON: 401 without a token. No browser sends one by itself, so that CSRF needs no guard of its own."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.by_token:
            body = {"error": _("Send a valid token: Authorization: Bearer ..."), "code": "not_authenticated"}
            return JsonResponse(body, status=401, headers={"WWW-Authenticate": "Bearer"})
        return view(request, *args, **kwargs)

    return cast(View, wrapped)
