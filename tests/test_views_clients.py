"""Whose request it is, through none, one and two proxies, and whatever a client writes into the header."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory

from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Throttle
from django_tenant_billing.views.clients import client_address
from tests.test_payments import start
from tests.testapp.models import Organization


def address(settings: Any, proxies: object, forwarded: str | None, connected: str = "10.0.0.9") -> str:
    settings.TENANT_BILLING_TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=connected))


SPOOFS = ["", "203.0.113.66", "203.0.113.66, 203.0.113.67, 203.0.113.68", "127.0.0.1", "unknown", ",,,", "x" * 5000]


@pytest.mark.parametrize("spoof", SPOOFS)
@pytest.mark.parametrize(("proxies", "added"), [(0, []), (1, ["192.0.2.1"]), (2, ["192.0.2.1", "10.0.0.8"])])
def test_w7_a_spoofed_header_changes_no_address(settings: Any, spoof: str, proxies: int, added: list[str]) -> None:
    written = ", ".join([*([spoof] if spoof else []), *added])
    assert address(settings, proxies, written or None) == ("192.0.2.1" if added else "10.0.0.9")


@pytest.mark.parametrize("forwarded", [None, "", "203.0.113.66", "203.0.113.66, nonsense"])
def test_whoever_did_not_come_through_all_proxies_is_whoever_is_connected(settings: Any, forwarded: str | None) -> None:
    assert address(settings, 2, forwarded if forwarded != "203.0.113.66, nonsense" else "nonsense, 192.0.2.1") == (
        "10.0.0.9"
    )


@pytest.mark.parametrize("proxies", [-1, "1", True, None, 1.0])
def test_what_is_no_number_of_proxies_is_none(settings: Any, proxies: object) -> None:
    assert address(settings, proxies, "203.0.113.66") == "10.0.0.9"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::2", "2001:db8::/64"),
        ("[2001:db8:0:1::7]:443", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
    ],
)
def test_an_address_has_one_spelling_and_an_ipv6_network_is_one_client(settings: Any, written: str, read: str) -> None:
    assert address(settings, 1, written) == read


def test_behind_a_socket_without_proxies_all_are_one(settings: Any) -> None:
    assert address(settings, 0, "203.0.113.66", connected="") == ""


@pytest.mark.parametrize(("proxies", "counters"), [(0, 1), (1, 1), (2, 5)])
def test_w7_a_client_that_invents_addresses_is_counted_as_one_where_the_proxies_are_declared_right(
    simulator: Server, organization: Organization, settings: Any, proxies: int, counters: int
) -> None:
    """Behind one real proxy. With 2 declared the client chooses its own address: that is why the number matters."""
    settings.TENANT_BILLING_TRUSTED_PROXIES = proxies
    payment = start(organization)
    for number in range(5):
        invented = {"X-Forwarded-For": f"203.0.113.{number}, 192.0.2.1"}
        assert Client(headers=invented).get(f"/billing/khalti/callback/{payment.reference}/").status_code == 303
    assert Throttle.objects.filter(name__startswith="callback:address").count() == counters
