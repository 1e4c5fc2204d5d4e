"""What several admin pages share: who may not touch what."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from .. import clock
from ..subscriptions import overdue_since


class ReadOnly:
    """Nothing is added, changed or deleted here, by anybody: money and audit rows."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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
