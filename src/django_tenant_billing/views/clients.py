"""Whose request it is, by address: to be counted, never to be trusted with anything."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.http import HttpRequest

from ..conf import conf


def client_address(request: HttpRequest) -> str:
    """The address that the outermost of TENANT_BILLING_TRUSTED_PROXIES saw; without any, whoever is connected.

    Each proxy adds at the right of X-Forwarded-For whom it saw; what stands further left is the client's invention. An
    IPv6 network of 64 bits is one client.
    """
    proxies = conf.trusted_proxies
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    # Fewer than declared did not come through all of them, so whoever is connected may have written every one.
    seen = forwarded[-proxies] if 0 < proxies <= len(forwarded) else ""
    return _client(seen) or _client(request.META.get("REMOTE_ADDR", ""))


def _client(text: str) -> str:
    """An address in one spelling, without a port; empty where this is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((int(address), 64), strict=False))
    return str(address)
