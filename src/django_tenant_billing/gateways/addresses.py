"""URLs as settings and gateways give them: text that may be no URL at all."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from ..conf import conf


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


def simulator_problem(name: str, url: str) -> tuple[str, str] | None:
    """What is wrong with an option that leads to this machine, and what to type; None where the simulator is allowed.

    In live mode it never is, whatever the settings allow: play money buys nothing there.
    """
    if conf.mode == "live":
        return (
            f"{name} is {url}, which is this machine, but TENANT_BILLING_MODE is 'live'.",
            f'Leave {name.split()[-1]} out; for the simulator set TENANT_BILLING_MODE = "sandbox".',
        )
    if not conf.allow_simulator:
        return (
            f"{name} is {url}, which is this machine, and TENANT_BILLING_ALLOW_SIMULATOR is not set.",
            f"For the simulator set TENANT_BILLING_ALLOW_SIMULATOR = True; otherwise leave {name.split()[-1]} out.",
        )
    return None
