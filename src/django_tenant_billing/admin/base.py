"""What several admin pages share: who may not touch what."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from .. import clock
from ..subscriptions import overdue_since


class ReadOnly:
    """Nothing is added, changed or deleted here, by anybody: money and audit rows."""

    # Logs grow for ever: they are not counted a second time to tell how many rows a search left out.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


TOOLS = "tenant_billing/admin/list.html"


class HasTools:
    """Links above the list, to pages that are no list. Its template is TOOLS."""

    admin_site: Any

    class Media:
        css: ClassVar = {"all": ("tenant_billing/admin.css",)}

    tools: Any
    """A method of the request: where whoever asks may go, by the name of the address in this admin, as it is called."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        site = self.admin_site.name
        tools = [(reverse(f"admin:{name}", current_app=site), text) for name, text in self.tools(request).items()]
        return super().changelist_view(request, {**(extra_context or {}), "tools": tools})  # type: ignore[misc]


def only_look(request: HttpRequest, *, may: bool) -> None:
    """Of a page that is only read. Raises PermissionDenied for who may not see it, and for what is sent to it."""
    if not may or request.method not in ("GET", "HEAD"):
        raise PermissionDenied


def page(site_admin: Any, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    """A page of ours inside the admin: ``title`` is its heading."""
    # What {% url "admin:..." %} leads to: a site may have more than one admin.
    request.current_app = site_admin.admin_site.name
    shared = site_admin.admin_site.each_context(request)
    return render(request, f"tenant_billing/admin/{name}.html", {**shared, **context})


class WatchesBilling:
    """Above the list stands a warning where run_billing has stopped."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        since = overdue_since(clock.now())
        if since is not None:
            text = _("The command run_billing has stopped (since %(since)s). Run: manage.py run_billing")
            messages.warning(request, text % {"since": date_format(localtime(since), "DATETIME_FORMAT")})
        return super().changelist_view(request, extra_context)  # type: ignore[misc]


class GoesWithOrganization:
    """Rows that appear and go with their organization: never added or deleted by themselves."""

    opts: Any

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Asked from the organization's own delete page too, where the cascade must stay possible.
        match = request.resolver_match
        here = match is not None and (match.url_name or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return not here and bool(super().has_delete_permission(request, obj))  # type: ignore[misc]
