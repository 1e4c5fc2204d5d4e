"""The frozen values that go to a gateway and come back, and what every callback's query must be."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.test import RequestFactory

from django_tenant_billing.exceptions import CallbackRejected, GatewayError
from django_tenant_billing.gateways.base import (
    MAX_PARAMETER,
    Checkout,
    Claim,
    Gateway,
    Order,
    Outcome,
    Proof,
    masked,
    single_parameters,
    text_option,
)

ORDER = Order(
    reference="T1",
    amount_minor=390000,
    currency="NPR",
    description="PRO plan",
    return_url="https://app.example.com/billing/khalti/callback/T1/",
    website_url="https://app.example.com/",
)
CHECKOUT = Checkout(method="GET", url="https://pay.khalti.com/?pidx=x")
CLAIM = Claim(reference=None, gateway_reference=None, status="Completed")
PROOF = Proof(outcome=Outcome.PENDING, status="Pending", amount_minor=None, gateway_reference=None)


def get(query: str) -> HttpRequest:
    return RequestFactory().get(f"/billing/khalti/callback/?{query}")


@pytest.mark.parametrize("value", [ORDER, CHECKOUT, CLAIM, PROOF], ids=["order", "checkout", "claim", "proof"])
def test_a_value_never_changes(value: Any) -> None:
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.another = 1


def test_a_value_says_by_default_that_nothing_more_is_known() -> None:
    assert ORDER.gateway_reference is None
    assert (CHECKOUT.fields, CHECKOUT.gateway_reference, CHECKOUT.expires_at) == ({}, None, None)
    assert CLAIM.data == {}
    assert (PROOF.gateway_transaction_id, PROOF.data) == (None, {})


def test_values_do_not_share_their_mappings() -> None:
    assert CLAIM.data is not Claim(reference=None, gateway_reference=None, status="").data


def test_outcomes_are_words_of_ours() -> None:
    assert [str(outcome) for outcome in Outcome] == [
        "succeeded",
        "initiated",
        "pending",
        "failed",
        "canceled",
        "expired",
        "refunded",
        "partially_refunded",
        "not_found",
    ]


@pytest.mark.parametrize("missing", ["start_checkout", "read_callback", "look_up"])
def test_a_gateway_must_answer_all_three_questions(missing: str) -> None:
    answers = dict.fromkeys(("start_checkout", "read_callback", "look_up"))
    assert type("Whole", (Gateway,), answers)().check() == []
    del answers[missing]
    with pytest.raises(TypeError, match=missing):
        type("Half", (Gateway,), answers)()


def test_a_gateway_takes_rupees_and_refunds_nothing_unless_it_says_so() -> None:
    assert Gateway.currencies == {"NPR"}
    assert Gateway.supports_refunds is False


def test_a_query_of_single_parameters_is_read_as_text() -> None:
    assert single_parameters(get("pidx=abc&status=User%20canceled&mobile=&name=%E0%A4%B0%E0%A5%81").GET) == {
        "pidx": "abc",
        "status": "User canceled",
        "mobile": "",
        "name": "रु",
    }
    assert single_parameters(get("").GET) == {}


@pytest.mark.parametrize("query", ["pidx=a&pidx=b", "pidx=a&pidx=a", "pidx=&pidx=", "pidx=a&status=x&%70idx=b"])
def test_a_repeated_parameter_is_rejected(query: str) -> None:
    with pytest.raises(CallbackRejected, match="The parameter 'pidx' came 2 times"):
        single_parameters(get(query).GET)


def test_a_parameter_is_read_up_to_the_limit_and_rejected_beyond_it() -> None:
    longest = "x" * MAX_PARAMETER
    assert single_parameters(get(f"{'n' * 50}={longest}").GET) == {"n" * 50: longest}
    with pytest.raises(CallbackRejected, match="The parameter 'pidx' is longer"):
        single_parameters(get(f"pidx={longest}x").GET)
    with pytest.raises(CallbackRejected, match=f"The parameter '{'n' * 50}' is longer"):
        single_parameters(get(f"{'n' * 51}=x").GET)


@pytest.mark.parametrize(
    "code", ["00", "01", "07", "0A", "0D", "1B", "7F", "C2%85", "E2%80%A8", "E2%80%AE", "EF%BB%BF"]
)
def test_a_character_that_no_gateway_sends_is_rejected(code: str) -> None:
    with pytest.raises(CallbackRejected, match="The parameter 'status' has characters"):
        single_parameters(get(f"status=Comp%{code}leted").GET)
    with pytest.raises(CallbackRejected, match="has characters"):
        single_parameters(get(f"sta%{code}tus=Completed").GET)


@pytest.mark.parametrize("text", ["र्‍याङ्क", "क्‌ष", "PRO plan", "👩‍💻 plan", "🇳🇵", "~!@$%^*()"])
def test_a_name_as_people_write_it_is_read(text: str) -> None:
    request = RequestFactory().get("/", {"purchase_order_name": text})
    assert single_parameters(request.GET) == {"purchase_order_name": text}


def test_bytes_that_are_no_text_are_replaced_and_not_believed() -> None:
    assert single_parameters(get("status=Completed%FF").GET) == {"status": "Completed\ufffd"}


def test_a_rejected_callback_is_a_suspicious_operation_of_a_gateway() -> None:
    with pytest.raises(SuspiciousOperation) as caught:
        single_parameters(get("a=1&a=2").GET)
    assert isinstance(caught.value, GatewayError)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("9800000904", "*******904"),
        ("98XXXXX904", "*******904"),
        ("1234", "*234"),
        ("123", "123"),
        ("12", "12"),
        ("", ""),
    ],
)
def test_a_payers_number_keeps_its_last_digits_only(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_how_many_digits_are_kept_can_be_said() -> None:
    assert masked("9800000904", shown=2) == "********04"


def test_an_option_is_a_text_or_nothing_and_an_error_shows_only_its_type() -> None:
    assert (text_option("secret_key", "k"), text_option("secret_key", None)) == ("k", "")
    with pytest.raises(TypeError, match=r"^secret_key must be a text, and it is of type bytes$"):
        text_option("secret_key", b"hidden")
