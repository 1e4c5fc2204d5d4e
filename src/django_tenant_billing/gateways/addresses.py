"""URLs as settings and gateways give them: text that may be no URL at all."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str | None) -> bool:
    """Is this host name or address the machine itself?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as a Content-Security-Policy names them; empty where it names no host."""
    parts = split(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""


def split(url: str) -> SplitResult:
    """The parts of a URL; of the empty one where this is none, such as ``https://[``."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
