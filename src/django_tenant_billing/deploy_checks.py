"""What ``check --deploy`` says of a site that takes payments: settings that make a return or a session easier to steal.

HTTPS, HSTS and secure cookies are Django's own checks. Where no gateway is on, nothing here is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from .csp import origins
from .exceptions import GatewayNotConfigured
from .gateways.registry import gateway_aliases

REFERRER_POLICIES = frozenset({"same-origin", "no-referrer"})
"""Those that tell another site nothing, not even where somebody came from."""


def check_security(**_kwargs: Any) -> list[CheckMessage]:
    """Hosts, cookies, referrers, mails, proxies, DEBUG and the policy of forms."""
    try:
        sells = bool(gateway_aliases())
    except GatewayNotConfigured:
        sells = True
    if not sells:
        return []
    messages: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        messages.append(
            Warning(
                "ALLOWED_HOSTS has '*': any Host header is taken for this site's, in links and in redirects.",
                'Name the hosts of this site: ALLOWED_HOSTS = ["app.example.com"].',
                id="tenant_billing.W006",
            )
        )
    if settings.SESSION_COOKIE_SAMESITE != "Lax":
        messages.append(
            Warning(
                f"SESSION_COOKIE_SAMESITE is {settings.SESSION_COOKIE_SAMESITE!r}: with 'Strict' payers come back "
                "logged out, with any other than 'Lax' other sites send the cookie along. No gateway needs it.",
                'Set SESSION_COOKIE_SAMESITE = "Lax", Django\'s default.',
                id="tenant_billing.W007",
            )
        )
    if _referrer_policy(settings.SECURE_REFERRER_POLICY) not in REFERRER_POLICIES:
        messages.append(
            Warning(
                f"SECURE_REFERRER_POLICY is {settings.SECURE_REFERRER_POLICY!r}, which is weaker than 'same-origin': "
                "gateways and other sites are told where payers came from.",
                'Set SECURE_REFERRER_POLICY = "same-origin", Django\'s default.',
                id="tenant_billing.W008",
            )
        )
    if names := list(_html_mailers()):
        messages.append(
            Warning(
                f'LOGGING["handlers"][{names[0]!r}] mails error reports as HTML, with every variable of every frame.',
                'Remove "include_html": True from it.',
                id="tenant_billing.W009",
            )
        )
    if settings.SECURE_PROXY_SSL_HEADER and not hasattr(settings, "TENANT_BILLING_TRUSTED_PROXIES"):
        messages.append(
            Warning(
                "SECURE_PROXY_SSL_HEADER says that a proxy stands before this site, but nothing says how many do: all "
                "payers that come back share the proxy's address, and are slowed down as one.",
                "Set TENANT_BILLING_TRUSTED_PROXIES = 1 (0 where REMOTE_ADDR is the client's own).",
                id="tenant_billing.W010",
            )
        )
    if settings.DEBUG:
        messages.append(
            Warning(
                "DEBUG is on: error pages show what payers sent, and without TENANT_BILLING_PUBLIC_BASE_URL the Host "
                "header says where gateways send payers back.",
                "Set DEBUG = False.",
                id="tenant_billing.W011",
            )
        )
    if missing := _not_allowed(getattr(settings, "SECURE_CSP", None) or {}):
        messages.append(
            Warning(
                f"SECURE_CSP lets no form lead to {' or '.join(missing)}, so payers cannot get to the gateway.",
                'Set "form-action": django_tenant_billing.csp.form_action() in SECURE_CSP.',
                id="tenant_billing.W012",
            )
        )
    return messages


def _referrer_policy(value: Any) -> str:
    """The one that browsers follow: the last of several."""
    policies = value.split(",") if isinstance(value, str) else list(value or [""])
    return str(policies[-1]).strip()


def _html_mailers() -> Iterable[str]:
    for name, handler in (settings.LOGGING.get("handlers") or {}).items():
        factory = handler.get("()", handler.get("class", ""))
        path = factory if isinstance(factory, str) else getattr(factory, "__name__", "")
        if path.endswith("AdminEmailHandler") and handler.get("include_html"):
            yield name


def _not_allowed(policy: Mapping[str, Any]) -> list[str]:
    """The gateways' origins that ``form-action`` leaves out. It has no fallback: where it is not set, all may be."""
    values = policy.get("form-action")
    if values is None or values is False:
        return []
    allowed = values.split() if isinstance(values, str) else () if values is True else tuple(values)
    return [origin for origin in origins() if not any(_covers(source, origin) for source in allowed)]


def _covers(source: str, origin: str) -> bool:
    """Does this source of a policy allow forms to that origin?"""
    parts = urlsplit(origin)
    host, scheme = parts.netloc, f"{parts.scheme}:"
    if source in ("*", scheme):
        return True
    if "://" in source:
        given, _, source = source.partition("://")
        if f"{given}:" != scheme:
            return False
    source = source.partition("/")[0].lower()
    return host == source or (source.startswith("*.") and host.endswith(source[1:]))
