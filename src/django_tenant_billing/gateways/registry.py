"""From an alias in settings to a gateway."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from ..conf import conf
from ..exceptions import GatewayNotConfigured
from .base import Gateway

logger = logging.getLogger("tenant_billing")


def gateway_aliases() -> list[str]:
    """Aliases of the gateways that are on, in the order of the settings."""
    return list(_entries())


def usable_gateways() -> dict[str, Gateway]:
    """The gateways that payers can be offered, by alias; one that cannot be made is left out and logged."""
    usable = {}
    for alias in gateway_aliases():
        try:
            usable[alias] = get_gateway(alias)
        except GatewayNotConfigured as error:
            logger.error("%s", error)
    return usable


def get_gateway(alias: str) -> Gateway:
    """The gateway of this alias. Raises GatewayNotConfigured, which names the setting."""
    # No local variable here holds an entry: reporters that print the locals of a traceback would print its secrets.
    if alias not in _entries():
        raise GatewayNotConfigured(f"There is no gateway {alias!r}. Configured: {', '.join(_entries()) or 'none'}.")
    where = f"TENANT_BILLING_GATEWAYS[{alias!r}]"
    if not _is_entry(_entries()[alias]):
        raise GatewayNotConfigured(
            f'{where} must have "BACKEND" (a dotted path), may have "OPTIONS" (a dict), and nothing else.'
        )
    path = _entries()[alias]["BACKEND"]
    try:
        backend = import_string(path)
    except (ImportError, TypeError, ValueError) as error:  # the last two: a path that begins with a dot
        raise GatewayNotConfigured(f'{where}["BACKEND"]: {error}') from error
    if not (isinstance(backend, type) and issubclass(backend, Gateway)):
        raise GatewayNotConfigured(f'{where}["BACKEND"]: {path} is not a Gateway.')
    try:
        return backend(**_entries()[alias].get("OPTIONS", {}))
    except TypeError as error:
        problem = str(error)
    # Outside the except block: the failed call's frames may hold the options, and the options hold the secrets.
    raise GatewayNotConfigured(f'{where}["OPTIONS"]: {problem}')


def _entries() -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(conf.gateways, Mapping):
        raise GatewayNotConfigured(
            'TENANT_BILLING_GATEWAYS must be a dict: {"alias": {"BACKEND": ..., "OPTIONS": ...}}.'
        )
    return conf.gateways


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and set(entry) <= {"BACKEND", "OPTIONS"}
        and isinstance(entry.get("BACKEND"), str)
        and isinstance(entry.get("OPTIONS", {}), Mapping)
    )
