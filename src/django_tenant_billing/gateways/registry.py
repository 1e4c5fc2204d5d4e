"""From an alias in settings to a gateway."""

from __future__ import annotations

from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from ..conf import conf
from ..exceptions import GatewayNotConfigured
from .base import Gateway


def gateway_aliases() -> list[str]:
    """Aliases of the gateways that are on, in the order of the settings."""
    return list(conf.gateways)


@sensitive_variables("entry")
def get_gateway(alias: str) -> Gateway:
    """The gateway of this alias. Raises GatewayNotConfigured, which names the setting."""
    entry = conf.gateways.get(alias)
    if entry is None:
        raise GatewayNotConfigured(f"There is no gateway {alias!r}. Configured: {', '.join(conf.gateways) or 'none'}.")
    where = f"TENANT_BILLING_GATEWAYS[{alias!r}]"
    if set(entry) - {"BACKEND", "OPTIONS"} or "BACKEND" not in entry:
        raise GatewayNotConfigured(f'{where} must have "BACKEND", may have "OPTIONS", and nothing else.')
    try:
        backend = import_string(entry["BACKEND"])
    except ImportError as error:
        raise GatewayNotConfigured(f'{where}["BACKEND"]: {error}') from error
    if not (isinstance(backend, type) and issubclass(backend, Gateway)):
        raise GatewayNotConfigured(f'{where}["BACKEND"]: {entry["BACKEND"]} is not a Gateway.')
    try:
        return backend(**entry.get("OPTIONS", {}))
    except TypeError as error:
        problem = str(error)
    # Outside the except block: the failed call's frames hold the options, and the options hold the secrets.
    raise GatewayNotConfigured(f'{where}["OPTIONS"]: {problem}')
