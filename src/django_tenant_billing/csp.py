"""What a Content-Security-Policy must allow so that payers reach the gateways that are on.

Nothing of ours needs a script, a style or a frame from elsewhere. Only forms lead away: to a gateway, and, because
Chrome applies ``form-action`` to the redirects that follow a form too, also where a redirect leads.
"""

from __future__ import annotations

from typing import cast

from django.utils.functional import SimpleLazyObject

from .exceptions import GatewayNotConfigured
from .gateways.registry import usable_gateways

SELF = "'self'"


def origins() -> list[str]:
    """The origins of all gateways that are on, such as ``https://pay.khalti.com``; each once, in order."""
    try:
        gateways = usable_gateways()
    except GatewayNotConfigured:
        return []  # Said by check; a page that shows no plan for that would say nothing more.
    return list(dict.fromkeys(origin for gateway in gateways.values() for origin in gateway.origins if origin))


def sources() -> dict[str, list[str]]:
    """Each directive that the billing pages need, with its sources: as the settings are now."""
    return {"form-action": [SELF, *origins()]}


def form_action(*others: str) -> list[str]:
    """The sources of ``form-action`` for ``SECURE_CSP``, with ``others`` of the site's own.

    For settings files, where the gateways are not known yet: read when the first policy is written, and kept.
    """
    return cast("list[str]", SimpleLazyObject(lambda: [*sources()["form-action"], *others]))


def header() -> str:
    """The same as text, to be added to a policy that a site writes by itself: ``form-action 'self' https://...``."""
    return "; ".join(f"{directive} {' '.join(values)}" for directive, values in sources().items())
