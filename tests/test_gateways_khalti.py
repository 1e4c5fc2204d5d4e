"""Khalti on the documented bodies, and on everything that is not documented."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
import responses
from django.core.checks import Error
from django.http import HttpRequest
from django.test import RequestFactory

from django_tenant_billing.exceptions import (
    CallbackRejected,
    GatewayRefusesUs,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
)
from django_tenant_billing.gateways.addresses import is_loopback
from django_tenant_billing.gateways.base import Checkout, Claim, Order, Outcome, Proof
from django_tenant_billing.gateways.khalti import (
    HOSTS,
    MINIMUM_MINOR,
    OUTCOMES,
    PAYMENT_HOSTS,
    KhaltiGateway,
)
from tests.servers import CANARY, log, message, places_of, replies, serving, shown
from tests.words import other_words

__all__ = ["log"]  # a fixture

SANDBOX = "https://dev.khalti.com/api/v2/"
LIVE = "https://khalti.com/api/v2/"
INITIATE = f"{SANDBOX}epayment/initiate/"
LOOKUP = f"{SANDBOX}epayment/lookup/"
PIDX = "bZQLD9wRVWo4CdESSfuSsB"
TRANSACTION = "GFq9PFS7b2iYvL8Lir9oXe"

ORDER = Order(
    reference="T1-7K2M",
    amount_minor=390000,
    currency="NPR",
    description="PRO plan",
    return_url="https://app.example.com/billing/khalti/callback/T1-7K2M/",
    website_url="https://app.example.com/",
)
STARTED = replace(ORDER, gateway_reference=PIDX)
INITIATED = {
    "pidx": PIDX,
    "payment_url": f"https://test-pay.khalti.com/?pidx={PIDX}",
    "expires_at": "2023-05-25T16:26:16.471649+05:45",
    "expires_in": 1800,
}
COMPLETED = {
    "pidx": PIDX,
    "total_amount": 390000,
    "status": "Completed",
    "transaction_id": TRANSACTION,
    "fee": 0,
    "refunded": False,
}


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Khalti's side of the wire. What is not told to answer refuses the connection."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def gateway(**options: str) -> KhaltiGateway:
    return KhaltiGateway(**({"secret_key": CANARY} | options))


def sent(wire: responses.RequestsMock) -> dict[str, Any]:
    """The one request that went out."""
    assert len(wire.calls) == 1
    body = json.loads(wire.calls[0].request.body or "")
    assert isinstance(body, dict)
    return body


def start(**options: str) -> Checkout:
    return gateway(**options).start_checkout(ORDER)


def look_up() -> Proof:
    return gateway().look_up(STARTED)


def unavailable_start() -> GatewayUnavailable:
    with pytest.raises(GatewayUnavailable) as caught:
        start()
    return caught.value


def unavailable_look_up() -> GatewayUnavailable:
    with pytest.raises(GatewayUnavailable) as caught:
        look_up()
    return caught.value


# Initiate.


def test_the_payer_is_sent_to_the_link_that_khalti_gave(wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED)
    assert start() == Checkout(
        method="GET",
        url=f"https://test-pay.khalti.com/?pidx={PIDX}",
        gateway_reference=PIDX,
        expires_at=datetime(2023, 5, 25, 16, 26, 16, 471649, timezone(timedelta(hours=5, minutes=45))),
    )


def test_initiate_sends_the_documented_fields_and_the_key(wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED)
    start()
    assert sent(wire) == {
        "return_url": "https://app.example.com/billing/khalti/callback/T1-7K2M/",
        "website_url": "https://app.example.com/",
        "amount": 390000,
        "purchase_order_id": "T1-7K2M",
        "purchase_order_name": "PRO plan",
    }
    headers = wire.calls[0].request.headers
    assert headers["Authorization"] == f"Key {CANARY}"
    assert headers["Content-Type"] == "application/json"


def test_a_callback_url_of_the_settings_replaces_our_own(wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED)
    start(callback_url="https://old.example.com/khalti/callback/")
    assert sent(wire)["return_url"] == "https://old.example.com/khalti/callback/"


def test_live_mode_talks_to_the_live_hosts(wire: responses.RequestsMock, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = "live"
    wire.post(f"{LIVE}epayment/initiate/", json=INITIATED | {"payment_url": f"https://pay.khalti.com/?pidx={PIDX}"})
    wire.post(f"{LIVE}epayment/lookup/", json=COMPLETED)
    assert start().url == f"https://pay.khalti.com/?pidx={PIDX}"
    assert look_up().outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("base_url", ["https://a.khalti.com/api/v2", "https://a.khalti.com/api/v2/"])
def test_a_base_url_of_the_options_is_used_with_or_without_its_slash(
    base_url: str, wire: responses.RequestsMock
) -> None:
    wire.post("https://a.khalti.com/api/v2/epayment/initiate/", json=INITIATED)
    assert start(base_url=base_url).gateway_reference == PIDX


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ({"expires_at": "2026-01-01T00:00:00Z"}, datetime(2026, 1, 1, tzinfo=timezone.utc)),  # noqa: UP017
        ({"expires_at": "2026-01-01T00:00:00"}, None),
        ({"expires_at": "2026-02-31T00:00:00Z"}, None),
        ({"expires_at": "soon"}, None),
        ({"expires_at": ""}, None),
        ({"expires_at": None}, None),
        ({"expires_at": 1800}, None),
        ({}, None),
    ],
)
def test_the_end_of_a_link_is_told_only_where_it_is_a_moment(
    given: Mapping[str, Any], moment: datetime | None, wire: responses.RequestsMock
) -> None:
    wire.post(INITIATE, json={"pidx": PIDX, "payment_url": INITIATED["payment_url"], **given})
    assert start().expires_at == moment


DOCUMENTED_REFUSALS: list[tuple[dict[str, Any], dict[str, str]]] = [
    *(
        (
            {name: ["This field may not be blank."], "error_key": "validation_error"},
            {name: "This field may not be blank."},
        )
        for name in ("return_url", "website_url", "purchase_order_id", "purchase_order_name")
    ),
    *(
        ({name: ["Enter a valid URL."], "error_key": "validation_error"}, {name: "Enter a valid URL."})
        for name in ("return_url", "website_url")
    ),
    *(
        ({"amount": [text], "error_key": "validation_error"}, {"amount": text})
        for text in (
            "Amount should be greater than Rs. 10, that is 1000 paisa.",
            "A valid integer is required.",
            "Amount Breakdown mismatch.",
        )
    ),
    ({"amount": ["This field is required."], "error_key": "validation_error"}, {"amount": "This field is required."}),
    ({"detail": "Fee not found.", "error_key": "validation_error"}, {"detail": "Fee not found."}),
    ({"detail": "No.", "status_code": 400}, {"detail": "No."}),
    ({"amount": ["One.", "Two."], "return_url": ["Three."]}, {"amount": "One. Two.", "return_url": "Three."}),
    ({"x" * 60: ["y" * 300]}, {"x" * 50: "y" * 200}),
    ({}, {}),
]


@pytest.mark.parametrize(("body", "reasons"), DOCUMENTED_REFUSALS)
def test_a_validation_error_is_a_refusal_with_khaltis_reasons(
    body: dict[str, Any], reasons: dict[str, str], wire: responses.RequestsMock
) -> None:
    wire.post(INITIATE, json=body, status=400)
    with pytest.raises(GatewayRejected, match="Khalti refused to start this payment") as caught:
        start()
    assert caught.value.reasons == reasons
    assert len(wire.calls) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("detail", ["Invalid token.", "Authentication credentials were not provided."])
def test_a_refused_key_is_unavailable_and_named(status: int, detail: str, wire: responses.RequestsMock) -> None:
    for url in (INITIATE, LOOKUP):
        wire.post(url, json={"detail": detail, "status_code": status}, status=status)
    wanted = f"Khalti refused our key (HTTP {status}). Check KHALTI_SECRET_KEY."
    assert str(unavailable_start()) == wanted
    assert str(unavailable_look_up()) == wanted
    assert len(wire.calls) == 2


# A status of success with a success body does not make these an answer.
@pytest.mark.parametrize("status", [201, 202, 302, 404, 409, 429, 500, 502, 503, 504])
def test_initiate_is_believed_at_200_only(status: int, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED, status=status)
    assert str(unavailable_start()) == f"Khalti answered initiate with HTTP {status} and no payment link."
    assert len(wire.calls) == 1


@pytest.mark.parametrize("pidx", [None, "", 5, True, ["x"], {"x": 1}, "x" * 101, "भुक्तानी", "x\x00y", "x\ny"], ids=ascii)
def test_without_a_pidx_that_can_be_kept_there_is_no_checkout(pidx: object, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED | {"pidx": pidx})
    assert str(unavailable_start()) == "Khalti answered initiate with HTTP 200 and no payment link."


@pytest.mark.parametrize("missing", ["pidx", "payment_url"])
def test_without_pidx_or_link_there_is_no_checkout(missing: str, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json={name: value for name, value in INITIATED.items() if name != missing})
    assert str(unavailable_start()) == "Khalti answered initiate with HTTP 200 and no payment link."


@pytest.mark.parametrize("pidx", [PIDX, "x" * 100, "x"])
def test_a_pidx_is_kept_whatever_its_length_up_to_100(pidx: str, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED | {"pidx": pidx})
    assert start().gateway_reference == pidx


@pytest.mark.parametrize(
    "url",
    [
        "https://pay.khalti.com.evil.test/",
        "https://evil.test/?pidx=x",
        "https://evil.test/pay.khalti.com",
        "https://pay.khalti.com@evil.test/",
        "https://test-pay.khalti.com@evil.test/",
        "https://test-pay.khalti.com:password@evil.test/",
        "https://somebody@test-pay.khalti.com/",
        "https://test-pay.khalti.com:8443/",
        "https://test-pay.khalti.com\\@evil.test/",
        "https://test-pay.khalti.com.",
        "https://xtest-pay.khalti.com/",
        "https://pay.khalti.com/?pidx=x",
        "https://khalti.com/",
        "http://test-pay.khalti.com/",
        "//test-pay.khalti.com/",
        "test-pay.khalti.com/",
        "/?pidx=x",
        "",
        "javascript:alert(1)",
        "javascript://test-pay.khalti.com/%0Aalert(1)",
        "data:text/html,hello",
        "https:///test-pay.khalti.com/",
        "https:test-pay.khalti.com",
        "https://[",
        "https://test-pay.khalti.com\u2100@evil.test/",
        "https://test-pay.khalti.c\u043em/",
        " https://test-pay.khalti.com/",
        "https://test-pay.khalti.com/?pidx=x y",
        "https://test-pay.khalti.com/\r\nSet-Cookie: a=b",
        "https://test-\npay.khalti.com/",
        "https://test-pay.khalti.com/?\x00",
        "https://test-pay.khalti.com/?\ud800",
        "http://127.0.0.1/",
        "https://localhost/",
        "http://169.254.169.254/latest/meta-data/",
    ],
    ids=ascii,
)
def test_w5_a_payment_link_to_anywhere_else_is_never_handed_out(url: str, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED | {"payment_url": url})
    assert str(unavailable_start()) == "Khalti answered initiate with a payment link to an unexpected host."


@pytest.mark.parametrize("url", [None, 5, ["https://test-pay.khalti.com/"]])
def test_a_payment_link_that_is_no_text_is_no_link(url: object, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED | {"payment_url": url})
    assert str(unavailable_start()) == "Khalti answered initiate with HTTP 200 and no payment link."


@pytest.mark.parametrize(
    "url", ["https://test-pay.khalti.com/?pidx=x", "HTTPS://test-pay.khalti.com", INITIATED["payment_url"]]
)
def test_a_payment_link_to_khalti_is_handed_out_as_it_came(url: str, wire: responses.RequestsMock) -> None:
    wire.post(INITIATE, json=INITIATED | {"payment_url": url})
    assert start().url == url


# Lookup.


def test_lookup_asks_for_the_pidx_that_we_stored(wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED)
    assert look_up() == Proof(
        outcome=Outcome.SUCCEEDED,
        status="Completed",
        amount_minor=390000,
        gateway_reference=PIDX,
        gateway_transaction_id=TRANSACTION,
        data=COMPLETED,
    )
    assert sent(wire) == {"pidx": PIDX}
    assert wire.calls[0].request.headers["Authorization"] == f"Key {CANARY}"


STATUSES = [
    ("Completed", 200, TRANSACTION, False, Outcome.SUCCEEDED),
    ("Pending", 200, None, False, Outcome.PENDING),
    ("Pending", 200, "", False, Outcome.PENDING),
    ("Initiated", 200, None, False, Outcome.INITIATED),
    ("Refunded", 200, TRANSACTION, True, Outcome.REFUNDED),
    ("Partially Refunded", 200, TRANSACTION, True, Outcome.PARTIALLY_REFUNDED),
    ("Partially refunded", 200, TRANSACTION, False, Outcome.PARTIALLY_REFUNDED),
    ("Expired", 400, None, False, Outcome.EXPIRED),
    ("Expired", 200, None, False, Outcome.EXPIRED),
    ("User canceled", 400, None, False, Outcome.CANCELED),
    ("User canceled", 200, None, False, Outcome.CANCELED),
    ("Failed", 400, TRANSACTION, False, Outcome.FAILED),
    ("Failed", 200, TRANSACTION, False, Outcome.FAILED),
]


@pytest.mark.parametrize(("status", "http_status", "transaction_id", "refunded", "outcome"), STATUSES)
def test_every_documented_status_has_its_outcome(
    status: str,
    http_status: int,
    transaction_id: str | None,
    refunded: bool,
    outcome: Outcome,
    wire: responses.RequestsMock,
) -> None:
    body = COMPLETED | {"status": status, "transaction_id": transaction_id, "refunded": refunded}
    wire.post(LOOKUP, json=body, status=http_status)
    proof = look_up()
    assert (proof.outcome, proof.status) == (outcome, status)
    assert (proof.amount_minor, proof.gateway_reference) == (390000, PIDX)
    assert proof.gateway_transaction_id == (transaction_id or None)
    assert proof.data == body


def test_the_table_of_statuses_is_tested_whole() -> None:
    assert {(status, outcome) for status, _, _, _, outcome in STATUSES} == set(OUTCOMES.items())


@pytest.mark.parametrize(
    "status",
    [
        "completed",
        "COMPLETED",
        "Completed ",
        " Completed",
        "Complete",
        "Not Completed",
        "Completed\u0000",
        "Compl\u0435ted",
        "unsuccessful",
        "not verified",
        "User cancelled",
        "User Canceled",
        "Canceled",
        "expired",
        "PARTIALLY REFUNDED",
        "",
        None,
        True,
        1,
        ["Completed"],
        {"Completed": "Completed"},
    ],
    ids=ascii,
)
@pytest.mark.parametrize("http_status", [200, 400])
def test_g5_any_other_status_is_no_answer(status: object, http_status: int, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"status": status}, status=http_status)
    assert str(unavailable_look_up()) == f"Khalti answered lookup with HTTP {http_status} and no known status."
    assert len(wire.calls) == 1


def test_g5_a_status_in_any_other_words_is_no_answer(wire: responses.RequestsMock) -> None:
    texts = other_words(OUTCOMES)
    assert len(texts) == 200
    for status in texts:
        wire.upsert(responses.POST, LOOKUP, json=COMPLETED | {"status": status})
        assert str(unavailable_look_up()) == "Khalti answered lookup with HTTP 200 and no known status."
    for status in OUTCOMES:
        wire.upsert(responses.POST, LOOKUP, json=COMPLETED | {"status": status})
        assert look_up().status == status


@pytest.mark.parametrize("status", ["Completed", "Pending", "Initiated", "Refunded", "Partially Refunded"])
def test_a_status_that_belongs_to_200_is_no_answer_at_400(status: str, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"status": status}, status=400)
    assert str(unavailable_look_up()) == f"Khalti answered lookup with HTTP 400 and status {status!r}."


@pytest.mark.parametrize("status", ["Completed", "Expired", "User canceled", "Failed"])
@pytest.mark.parametrize("http_status", [201, 302, 404, 409, 429, 500, 502, 503, 504])
def test_no_status_is_believed_at_any_other_http_status(
    status: str, http_status: int, wire: responses.RequestsMock
) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"status": status}, status=http_status)
    assert str(unavailable_look_up()) == f"Khalti answered lookup with HTTP {http_status} and no known status."
    assert len(wire.calls) == 1


@pytest.mark.parametrize("http_status", [404, 400])
def test_an_unknown_pidx_is_no_answer(http_status: int, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json={"detail": "Not found.", "error_key": "validation_error"}, status=http_status)
    assert str(unavailable_look_up()) == f"Khalti answered lookup with HTTP {http_status} and no known status."


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("390000", 390000),
        ("0", 0),
        ("-390000", -390000),
        ('"390000"', None),
        ("390000.0", None),
        ("3.9e5", None),
        ('"3,900.00"', None),
        ("true", None),
        ("null", None),
        ("[390000]", None),
        ('{"paisa": 390000}', None),
    ],
)
def test_only_an_integer_is_an_amount(text: str, amount: int | None, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, body=f'{{"pidx": "{PIDX}", "status": "Completed", "total_amount": {text}}}')
    proof = look_up()
    assert type(proof.amount_minor) is type(amount)
    assert proof.amount_minor == amount


def test_what_lookup_leaves_out_is_unknown(wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json={"status": "Completed"})
    assert look_up() == Proof(
        outcome=Outcome.SUCCEEDED,
        status="Completed",
        amount_minor=None,
        gateway_reference=None,
        data={"status": "Completed"},
    )


@pytest.mark.parametrize("value", [None, "", 5, True, ["x"], "x" * 101, "x\u0000y", "भुक्तानी"], ids=ascii)
def test_an_id_that_cannot_be_kept_is_unknown(value: object, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"pidx": value, "transaction_id": value})
    proof = look_up()
    assert (proof.gateway_reference, proof.gateway_transaction_id) == (None, None)


def test_the_pidx_of_the_answer_is_told_even_where_it_is_another(wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"pidx": "another"})
    assert look_up().gateway_reference == "another"


def test_only_what_the_log_needs_is_kept_of_an_answer(wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json=COMPLETED | {"user": {"mobile": "9800000001"}, "card": "4111111111111111"})
    assert look_up().data == COMPLETED


# What is no answer at all.

NO_ANSWERS: dict[str, dict[str, Any]] = {
    "HTML": {"body": "<html>502 Bad Gateway</html>", "status": 502, "content_type": "text/html"},
    "HTML at 200": {"body": "<html>Sign in</html>", "content_type": "text/html"},
    "nothing": {"body": ""},
    "an array": {"json": [INITIATED, COMPLETED]},
    "null": {"body": "null"},
    "500": {"json": {"detail": "Server error."}, "status": 500},
    "503 with Retry-After": {"json": {}, "status": 503, "headers": {"Retry-After": "0"}},
    "429": {"json": {"detail": "Request was throttled."}, "status": 429, "headers": {"Retry-After": "0"}},
    "a redirect": {"json": INITIATED | COMPLETED, "status": 307, "headers": {"Location": "https://evil.test/"}},
    "a wrong key": {"json": {"detail": "Invalid token."}, "status": 401},
    "no connection": {"body": requests.ConnectionError("refused")},
    "a broken certificate": {"body": requests.exceptions.SSLError("expired")},
    "a broken body": {"body": requests.exceptions.ChunkedEncodingError("hung up")},
    "a connection that takes too long": {"body": requests.ConnectTimeout("slow")},
    "a reply that takes too long": {"body": requests.ReadTimeout("slow")},
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_is_unavailable_and_nothing_is_ever_sent_again(
    name: str, wire: responses.RequestsMock, log: pytest.LogCaptureFixture
) -> None:
    wire.post(INITIATE, **NO_ANSWERS[name])
    wire.post(LOOKUP, **NO_ANSWERS[name])
    for error in (unavailable_start(), unavailable_look_up()):
        assert isinstance(error, GatewayTimeout) == ("too long" in name)
        assert places_of(CANARY, shown(error, log)) == []
        assert CANARY.encode() not in pickle.dumps(error)
    assert [call.request.url for call in wire.calls] == [INITIATE, LOOKUP]
    assert {call.request.headers["Authorization"] for call in wire.calls} == {f"Key {CANARY}"}


def test_no_refusal_shows_the_secret(wire: responses.RequestsMock, log: pytest.LogCaptureFixture) -> None:
    wire.post(INITIATE, json={"amount": ["A valid integer is required."]}, status=400)
    with pytest.raises(GatewayRejected) as caught:
        start()
    assert wire.calls[0].request.headers["Authorization"] == f"Key {CANARY}"
    assert places_of(CANARY, shown(caught.value, log)) == []


@pytest.mark.parametrize("url", ["https://evil.test/", "https://["])
def test_no_link_to_elsewhere_shows_the_secret(
    url: str, wire: responses.RequestsMock, log: pytest.LogCaptureFixture
) -> None:
    wire.post(INITIATE, json=INITIATED | {"payment_url": url})
    error = unavailable_start()
    assert wire.calls[0].request.headers["Authorization"] == f"Key {CANARY}"
    assert places_of(CANARY, shown(error, log)) == []


def test_a_gateway_does_not_show_its_secret() -> None:
    asked = gateway(public_key="public")
    assert repr(asked) == f"<KhaltiGateway {SANDBOX}>"
    assert CANARY not in str(vars(asked))
    for duplicate in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="A secret is not pickled"):
            duplicate(asked)


# The callback.


def callback(query: str) -> HttpRequest:
    return RequestFactory().get(f"/billing/khalti/callback/T1/?{query}")


def test_the_documented_success_is_a_claim_with_the_payer_masked() -> None:
    query = (
        "pidx=bZQLD9wRVWo4CdESSfuSsB&txnId=4H7AhoXDJWg5WjrcPT9ixW&amount=1000&total_amount=1000&status=Completed"
        "&mobile=98XXXXX904&tidx=4H7AhoXDJWg5WjrcPT9ixW&purchase_order_id=test12&purchase_order_name=test"
        "&transaction_id=4H7AhoXDJWg5WjrcPT9ixW"
    )
    assert gateway().read_callback(callback(query)) == Claim(
        reference="test12",
        gateway_reference="bZQLD9wRVWo4CdESSfuSsB",
        status="Completed",
        data={
            "pidx": "bZQLD9wRVWo4CdESSfuSsB",
            "amount": "1000",
            "status": "Completed",
            "mobile": "*******904",
            "transaction_id": "4H7AhoXDJWg5WjrcPT9ixW",
        },
    )


def test_the_documented_cancel_is_a_claim() -> None:
    query = (
        "pidx=bZQLD9wRVWo4CdESSfuSsB&transaction_id=&tidx=&amount=1000&total_amount=1000&mobile="
        "&status=User%20canceled&purchase_order_id=test12&purchase_order_name=test"
    )
    assert gateway().read_callback(callback(query)) == Claim(
        reference="test12",
        gateway_reference="bZQLD9wRVWo4CdESSfuSsB",
        status="User canceled",
        data={
            "pidx": "bZQLD9wRVWo4CdESSfuSsB",
            "transaction_id": "",
            "amount": "1000",
            "mobile": "",
            "status": "User canceled",
        },
    )


@pytest.mark.parametrize("query", ["", "message=Could%20not%20process%20the%20payment.", "pidx=&purchase_order_id="])
def test_a_return_without_pidx_is_a_claim_of_nothing(query: str) -> None:
    claim = gateway().read_callback(callback(query))
    assert (claim.reference, claim.gateway_reference, claim.status) == (None, None, "")


def test_a_payers_number_is_masked_whole_or_not() -> None:
    claim = gateway().read_callback(callback("mobile=9800000904"))
    assert claim.data == {"mobile": "*******904"}


def test_a_plan_name_in_nepali_comes_back() -> None:
    request = RequestFactory().get("/", {"pidx": PIDX, "purchase_order_name": "र्‍याङ्क PRO"})
    assert gateway().read_callback(request).gateway_reference == PIDX


@pytest.mark.parametrize(
    "query",
    [
        "pidx=a&pidx=b",
        "pidx=a&status=Completed&status=User%20canceled",
        f"pidx={'x' * 501}",
        f"{'x' * 51}=1",
        "pidx=a%00",
        "status=Completed%0D%0A",
        "mobile=98%1B[2J",
    ],
)
def test_a_query_that_khalti_never_sends_is_rejected(query: str) -> None:
    with pytest.raises(CallbackRejected):
        gateway().read_callback(callback(query))


# This machine, for the simulator alone.


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("khalti.com", False),
        ("localhost.evil.test", False),
        ("127.0.0.1.evil.test", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("", False),
        (None, False),
    ],
)
def test_this_machine_is_known_by_name_and_address(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_c14_this_machine_is_asked_only_where_the_simulator_is_allowed_and_never_in_live_mode(settings: Any) -> None:
    with serving(replies(message(json.dumps(COMPLETED).encode()))) as server:
        asked = gateway(base_url=server.url)
        with pytest.raises(GatewayUnavailable, match="TENANT_BILLING_ALLOW_SIMULATOR is not set"):
            asked.look_up(STARTED)
        assert server.connections == 0
        settings.TENANT_BILLING_ALLOW_SIMULATOR = True
        assert asked.look_up(STARTED).outcome is Outcome.SUCCEEDED
        assert server.connections == 1
        settings.TENANT_BILLING_MODE = "live"
        with pytest.raises(GatewayUnavailable, match="TENANT_BILLING_MODE is 'live'"):
            asked.look_up(STARTED)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://127.0.0.1:8001/khalti/pay/?pidx=x", True),
        ("https://test-pay.khalti.com/?pidx=x", True),
        ("http://127.0.0.1:8002/khalti/pay/?pidx=x", False),
        ("https://127.0.0.1:8001/khalti/pay/?pidx=x", False),
        ("http://localhost:8001/khalti/pay/?pidx=x", False),
        ("http://evil.test/?pidx=x", False),
    ],
)
def test_the_simulator_may_send_the_payer_to_itself_alone(
    url: str, trusted: bool, wire: responses.RequestsMock, settings: Any
) -> None:
    settings.TENANT_BILLING_ALLOW_SIMULATOR = True
    wire.post("http://127.0.0.1:8001/api/v2/epayment/initiate/", json=INITIATED | {"payment_url": url})
    asked = gateway(base_url="http://127.0.0.1:8001/api/v2/")
    if trusted:
        assert asked.start_checkout(ORDER).url == url
    else:
        with pytest.raises(GatewayUnavailable, match="unexpected host"):
            asked.start_checkout(ORDER)


def test_another_host_of_the_options_may_not_send_the_payer_to_itself(wire: responses.RequestsMock) -> None:
    for url in ("https://a.khalti.com/?pidx=x", INITIATED["payment_url"]):
        wire.post("https://a.khalti.com/api/v2/epayment/initiate/", json=INITIATED | {"payment_url": url})
    with pytest.raises(GatewayUnavailable, match="unexpected host"):
        start(base_url="https://a.khalti.com/api/v2/")
    assert start(base_url="https://a.khalti.com/api/v2/").url == INITIATED["payment_url"]


# Checks.


def ids(asked: KhaltiGateway) -> list[str | None]:
    found = asked.check()
    assert all(isinstance(problem, Error) and problem.hint for problem in found)
    return [problem.id for problem in found]


@pytest.mark.parametrize("mode", ["sandbox", "live", None])
def test_a_key_alone_is_enough(mode: str | None, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = mode
    assert ids(gateway()) == []
    assert ids(gateway(base_url=HOSTS[mode or "sandbox"])) == []
    assert ids(gateway(base_url="https://proxy.example.com/khalti/")) == []


def test_without_a_key_there_is_e011() -> None:
    assert ids(gateway(secret_key="")) == ["tenant_billing.E011"]
    assert "KHALTI_SECRET_KEY" in str(gateway(secret_key="").check()[0].hint)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8001/api/v2/", "http://localhost/", "https://[::1]:8001/"])
def test_c14_this_machine_is_e012_unless_the_simulator_is_allowed_and_always_in_live_mode(
    base_url: str, settings: Any
) -> None:
    assert ids(gateway(base_url=base_url)) == ["tenant_billing.E012"]
    assert "TENANT_BILLING_ALLOW_SIMULATOR" in str(gateway(base_url=base_url).check()[0].hint)
    settings.TENANT_BILLING_ALLOW_SIMULATOR = True
    assert ids(gateway(base_url=base_url)) == []
    settings.TENANT_BILLING_MODE = "live"
    assert ids(gateway(base_url=base_url)) == ["tenant_billing.E012"]
    assert gateway(base_url=base_url).check()[0].hint == (
        'Leave base_url out; for the simulator set TENANT_BILLING_MODE = "sandbox".'
    )


@pytest.mark.parametrize(
    ("mode", "base_url", "named"),
    [
        ("live", SANDBOX, LIVE),
        ("live", SANDBOX.rstrip("/"), LIVE),
        ("live", "https://DEV.khalti.com:443/api/v2/", LIVE),
        ("live", "https://a.khalti.com/api/v2/", LIVE),
        ("sandbox", LIVE, SANDBOX),
        ("sandbox", "https://khalti.com:443/api/v2", SANDBOX),
        ("live", "http://khalti.com/api/v2/", LIVE),
        ("sandbox", "http://dev.khalti.com/api/v2/", SANDBOX),
        ("sandbox", "ftp://dev.khalti.com/", SANDBOX),
        ("sandbox", "dev.khalti.com/api/v2/", SANDBOX),
        ("sandbox", "https://[", SANDBOX),
        ("production", "", "the right host"),
    ],
)
def test_c13_a_base_url_of_the_other_mode_or_without_tls_is_e013_and_nothing_is_asked_there(
    mode: str, base_url: str, named: str, settings: Any, wire: responses.RequestsMock
) -> None:
    settings.TENANT_BILLING_MODE = mode
    assert ids(gateway(base_url=base_url)) == ["tenant_billing.E013"]
    problem = gateway(base_url=base_url).check()[0]
    assert f"TENANT_BILLING_MODE is {mode!r}" in problem.msg
    assert problem.hint == f"Leave base_url out, and {named} is used."
    wire.post(re.compile(""), json=COMPLETED)
    for use in (lambda: start(base_url=base_url), lambda: gateway(base_url=base_url).look_up(STARTED)):
        with pytest.raises(GatewayUnavailable, match="but TENANT_BILLING_MODE is"):
            use()
    assert len(wire.calls) == 0


@pytest.mark.parametrize("base_url", ["", "https://["])
def test_without_a_host_to_ask_khalti_is_unavailable(base_url: str, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = "production"
    with pytest.raises(GatewayUnavailable, match="but TENANT_BILLING_MODE is 'production'"):
        start(base_url=base_url)
    assert CANARY not in repr(gateway(base_url=base_url))


def test_every_mode_has_its_hosts() -> None:
    assert (HOSTS, MINIMUM_MINOR) == ({"live": LIVE, "sandbox": SANDBOX}, 1000)
    assert PAYMENT_HOSTS == {"live": "pay.khalti.com", "sandbox": "test-pay.khalti.com"}


FIXED = "https://app.example.com/billing/khalti/callback/"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://app.example.com/billing/khalti/callback/", "no https URL"),
        ("/billing/khalti/callback/", "no https URL"),
        ("https://[", "no https URL"),
        (f"{FIXED}?order=1", "a query or a fragment"),
        (f"{FIXED}?", "a query or a fragment"),
        (f"{FIXED}#paid", "a query or a fragment"),
        ("https://app.example.com/", "does not answer"),
        ("https://app.example.com/khalti/callback/", "does not answer"),
        ("https://app.example.com/billing/plans/", "not the callback of a gateway"),
        ("https://app.example.com/billing/khalti/failure/", "not the callback of a gateway"),
        ("https://app.example.com/billing/wallet/callback/", "not the callback of a gateway"),
        (f"{FIXED}TB-ONE/", "not the callback of a gateway"),
    ],
)
def test_a_fixed_callback_url_that_cannot_work_is_e025(url: str, problem: str, settings: Any) -> None:
    settings.TENANT_BILLING_GATEWAYS = {"khalti": {}}
    assert ids(gateway(callback_url=url)) == ["tenant_billing.E025"]
    assert problem in gateway(callback_url=url).check()[0].msg
    assert ids(gateway(callback_url=FIXED)) == []


def test_a_fixed_callback_url_may_be_plain_http_beside_the_simulator(settings: Any) -> None:
    settings.TENANT_BILLING_GATEWAYS = {"khalti": {}}
    settings.TENANT_BILLING_ALLOW_SIMULATOR = True
    assert ids(gateway(callback_url="http://127.0.0.1:8000/billing/khalti/callback/")) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_apart_from_an_outage(status: int, wire: responses.RequestsMock) -> None:
    wire.post(LOOKUP, json={"detail": "Invalid token.", "status_code": 401}, status=status)
    assert type(unavailable_look_up()) is GatewayRefusesUs
    wire.replace(responses.POST, LOOKUP, json={"detail": "Not found."}, status=404)
    assert type(unavailable_look_up()) is GatewayUnavailable


def test_the_message_of_older_days_is_kept_for_the_log() -> None:
    claim = gateway().read_callback(callback("message=Could%20not%20process%20the%20payment."))
    assert (claim.reference, claim.data) == (None, {"message": "Could not process the payment."})
