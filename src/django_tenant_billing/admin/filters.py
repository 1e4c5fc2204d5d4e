"""Filters of lists that know their choices: to ask a table for what stands in a column would be to read all of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import clock
from ..gateways.registry import gateway_aliases
from ..lifecycle import State
from ..payments.suspecting import REASONS


class StateFilter(admin.SimpleListFilter):
    """Subscriptions by where they stand now."""

    title, parameter_name = gettext_lazy("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, str(state.label)) for state in State]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.standing(clock.now()).filter(stands=self.value()) if self.value() else queryset


class GatewayFilter(admin.SimpleListFilter):
    """By the gateways that are on. The aliases in the table are not asked for: that would read all of it."""

    title, parameter_name = gettext_lazy("gateway"), "gateway"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(alias, alias) for alias in gateway_aliases()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(gateway=self.value()) if self.value() else queryset


class SuspicionFilter(admin.SimpleListFilter):
    """By what looked forged, the gravest first."""

    title, parameter_name = gettext_lazy("suspicion"), "suspicion"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", _("any")), *((reason, reason) for reason in reversed(REASONS))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "any":
            return queryset.exclude(suspicion="")
        return queryset.filter(suspicion=self.value()) if self.value() else queryset
