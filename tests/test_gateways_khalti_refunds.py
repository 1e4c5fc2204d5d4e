"""Khalti's refunds on the wire, the bounds of what it may say, and each refusal to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import responses
from django.core.checks import Error

from django_tenant_billing.exceptions import GatewayRefusesUs, GatewayRejected, GatewayUnavailable
from django_tenant_billing.gateways.khalti import API_HOSTS, LARGEST_MINOR, KhaltiGateway
from tests.test_gateways_khalti import (
    COMPLETED,
    INITIATE,
    INITIATED,
    LOOKUP,
    PIDX,
    STARTED,
    TRANSACTION,
    gateway,
    look_up,
    sent,
    start,
    unavailable_start,
    wire,
)

__all__ = ["wire"]  # a fixture

PAID = replace(STARTED, gateway_transaction_id=TRANSACTION)
REFUND = f"https://dev.khalti.com/api/merchant-transaction/{TRANSACTION}/refund/"


# --- refunds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount_minor", "said"), [(None, {}), (1000, {"amount": 1000})])
def test_a_refund_names_the_transaction_and_an_amount_only_where_it_is_a_part(
    amount_minor: int | None, said: dict[str, int], wire: responses.RequestsMock
) -> None:
    wire.post(REFUND, json={"detail": "Transaction refund successful."})
    gateway().refund(PAID, amount_minor)
    assert sent(wire) == said


def test_a_refund_that_khalti_refuses_says_why(wire: responses.RequestsMock) -> None:
    wire.post(REFUND, json={"detail": "Balance is not enough.", "status_code": 400}, status=400)
    with pytest.raises(GatewayRejected) as caught:
        gateway().refund(PAID, None)
    assert caught.value.reasons == {"detail": "Balance is not enough."}
    assert str(caught.value).startswith("Khalti refused to refund this payment.")


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (201, GatewayUnavailable, "Khalti answered refund with HTTP 201."),
        (404, GatewayUnavailable, "Khalti answered refund with HTTP 404."),
        (502, GatewayUnavailable, "Khalti answered refund with HTTP 502."),
        (401, GatewayRefusesUs, "Khalti refused our key (HTTP 401). Check KHALTI_SECRET_KEY."),
    ],
)
def test_any_other_answer_to_a_refund_is_none(
    status: int, error: type[Exception], told: str, wire: responses.RequestsMock
) -> None:
    wire.post(REFUND, json={"detail": "?"}, status=status)
    with pytest.raises(error) as caught:
        gateway().refund(PAID, None)
    assert (type(caught.value), str(caught.value)) == (error, told)


def test_what_it_can_do_is_told() -> None:
    assert (KhaltiGateway.label, KhaltiGateway.supports_refunds, KhaltiGateway.minimum_minor) == ("Khalti", True, 1000)


# --- bounds of an answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_an_amount_is_less_than_the_largest(sign: int, wire: responses.RequestsMock) -> None:
    for amount, read in ((LARGEST_MINOR - 1, sign * (LARGEST_MINOR - 1)), (LARGEST_MINOR, None)):
        wire.upsert(responses.POST, LOOKUP, json=COMPLETED | {"total_amount": sign * amount})
        assert look_up().amount_minor == read
    assert LARGEST_MINOR == 10**15


def test_all_of_an_answer_that_the_log_needs_is_kept(wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"mobile": "98XXXXX904"})
    assert look_up().data == COMPLETED


def test_no_answer_to_initiate_is_told_with_its_status(wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json={}, status=200)
    assert str(unavailable_start()) == "Khalti answered initiate with HTTP 200 and no payment link."
    wire.replace(responses.POST, INITIATE, json=INITIATED | {"payment_url": "https://pay.example.com/"})
    assert str(unavailable_start()) == "Khalti answered initiate with a payment link to an unexpected host."


@pytest.mark.parametrize("status", ["Completed", "Pending"])
def test_a_status_at_400_that_belongs_to_200_is_named(status: str, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"status": status}, status=400)
    with pytest.raises(GatewayUnavailable) as caught:
        look_up()
    assert str(caught.value) == f"Khalti answered lookup with HTTP 400 and status {status!r}."


def test_reasons_are_short_and_hold_no_card(wire: responses.RequestsMock) -> None:
    body: dict[str, Any] = {"x" * 60: "y" * 300, "card": ["4111 1111 1111 1111", "is", 1], "error_key": "v", "other": 5}
    wire.post(INITIATE, json=body, status=400)
    with pytest.raises(GatewayRejected) as caught:
        start()
    reasons = caught.value.reasons
    assert reasons["x" * 50] == "y" * 200
    assert (len(reasons), reasons["other"]) == (3, "5")
    assert reasons["card"].endswith(" is 1")
    assert "4111 1111 1111 1111" not in reasons["card"]
    assert str(caught.value).startswith("Khalti refused to start this payment.")


# --- options and checks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["secret_key", "public_key", "callback_url", "base_url"])
def test_an_option_that_is_no_text_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a text"):
        KhaltiGateway(**({"secret_key": "k"} | {name: 5}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "base_url", "origins"),
    [
        ("live", "", ("https://pay.khalti.com",)),
        ("sandbox", "", ("https://test-pay.khalti.com",)),
        ("sandbox", "http://127.0.0.1:8001/api/v2/", ("http://127.0.0.1:8001",)),
        ("production", "", ("",)),
    ],
)
def test_where_payers_are_sent_is_known(mode: str, base_url: str, origins: tuple[str, ...], settings: Any) -> None:
    settings.TENANT_BILLING_MODE = mode
    assert gateway(base_url=base_url).origins == origins


def test_an_option_is_shown_by_where_it_asks() -> None:
    assert repr(gateway(base_url="https://dev.khalti.com/api/v2")) == "<KhaltiGateway https://dev.khalti.com/api/v2/>"


def test_each_check_says_what_is_wrong_and_what_to_do(settings: Any) -> None:
    settings.TENANT_BILLING_GATEWAYS = {"khalti": {}}
    assert gateway(secret_key="").check() == [
        Error("Khalti has no secret_key.", "Add to .env: KHALTI_SECRET_KEY=...", id="tenant_billing.E011")
    ]
    assert gateway(base_url="https://khalti.com/api/v2").check() == [
        Error(
            "Khalti's base_url is https://khalti.com/api/v2/, but TENANT_BILLING_MODE is 'sandbox'.",
            "Leave base_url out, and https://dev.khalti.com/api/v2/ is used.",
            id="tenant_billing.E013",
        )
    ]
    assert gateway(base_url="http://127.0.0.1/").check() == [
        Error(
            "Khalti's base_url is http://127.0.0.1/, which is this machine, and TENANT_BILLING_ALLOW_SIMULATOR is not "
            "set.",
            "For the simulator set TENANT_BILLING_ALLOW_SIMULATOR = True; otherwise leave base_url out.",
            id="tenant_billing.E012",
        )
    ]
    assert gateway(callback_url="https://app.example.com/?a").check() == [
        Error(
            "Khalti's callback_url is 'https://app.example.com/?a', which has a query or a fragment: Khalti adds its "
            "own query.",
            "Leave KHALTI_CALLBACK_URL out, and each payment has its own; or set it to where this site answers "
            "/khalti/callback/ under the include of our URLs.",
            id="tenant_billing.E025",
        )
    ]


@pytest.mark.parametrize(("mode", "others"), [("live", "sandbox"), ("sandbox", "live")])
def test_c13_every_host_that_was_ever_named_is_refused_in_the_other_mode(mode: str, others: str, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = mode
    assert {name: len(hosts) for name, hosts in API_HOSTS.items()} == {"live": 1, "sandbox": 2}
    for host in API_HOSTS[others]:
        assert [one.id for one in gateway(base_url=f"https://{host}/api/v2/").check()] == ["tenant_billing.E013"]
    for host in API_HOSTS[mode]:
        assert gateway(base_url=f"https://{host}/api/v2/").check() == []


def test_a_link_is_bound_to_the_pidx_that_came_with_it(wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED)
    checkout = start()
    assert (checkout.method, checkout.gateway_reference, checkout.fields) == ("GET", PIDX, {})
