"""Bank transfers and cash as a gateway: where the payer is sent, and what nobody can be asked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from django_tenant_billing.exceptions import CallbackRejected, GatewayRejected, GatewayUnavailable
from django_tenant_billing.gateways.base import Checkout, Claim
from django_tenant_billing.gateways.manual import ManualGateway
from django_tenant_billing.tokens import result_path
from tests.test_gateways_base import ORDER


def test_the_payer_is_sent_to_the_page_of_the_payment() -> None:
    url = "https://app.example.com" + result_path("T1")
    assert ManualGateway().start_checkout(ORDER) == Checkout(method="GET", url=url)


def test_it_is_by_hand_and_says_what_payers_read() -> None:
    gateway = ManualGateway(label="Cash", instructions="At the counter.")
    assert (gateway.by_hand, gateway.label, gateway.instructions) == (True, "Cash", "At the counter.")
    assert (ManualGateway().label, ManualGateway().instructions) == ("Bank transfer", "")
    assert repr(gateway) == "<ManualGateway 'Cash'>"


def test_nobody_can_be_asked_and_nothing_is_sent_back() -> None:
    with pytest.raises(GatewayUnavailable, match="Record the money in the admin"):
        ManualGateway().look_up(ORDER)
    with pytest.raises(GatewayRejected):
        ManualGateway().refund(ORDER, None)


def test_a_browser_that_comes_back_claims_nothing() -> None:
    nothing = Claim(reference=None, gateway_reference=None, status="")
    assert ManualGateway().read_callback(RequestFactory().get("/?status=paid")) == nothing
    with pytest.raises(CallbackRejected):
        ManualGateway().read_callback(RequestFactory().get("/?a=1&a=2"))


@pytest.mark.parametrize("label", ["", "  ", "x" * 101, "Two\nlines", None, 7])
def test_a_label_that_payers_cannot_read_is_e024(label: Any) -> None:
    (error,) = ManualGateway(label=label).check()
    assert (error.id, error.msg) == ("tenant_billing.E024", f"A manual gateway's label is {label!r}.")


@pytest.mark.parametrize("instructions", [None, ["At the counter."]])
def test_instructions_that_are_no_text_are_e024(instructions: Any) -> None:
    (error,) = ManualGateway(instructions=instructions).check()
    assert error.id == "tenant_billing.E024"
    assert "instructions are" in error.msg


@pytest.mark.parametrize("label", ["Cash", "x" * 100, "बैंक"])
def test_a_label_in_one_line_is_fine(label: str) -> None:
    assert ManualGateway(label=label, instructions="One.\nTwo.").check() == []
