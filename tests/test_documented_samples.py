"""Each documented sample, as the gateway prints it: our adapter reads it, and the simulator answers the same shape."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from django.test import RequestFactory

from django_tenant_billing.contrib.simulator import esewa_payment
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import GatewayRefusesUs, GatewayRejected, GatewayUnavailable
from django_tenant_billing.gateways.base import Order, Outcome
from django_tenant_billing.gateways.esewa import SANDBOX_SECRET, EsewaGateway
from django_tenant_billing.gateways.khalti import KhaltiGateway
from tests.servers import message, replies, serving

PIDX = "HT6o6PEZRWFJ5ygavzHWd5"
ID = "GFq9PFS7b2iYvL8Lir9oXe"
KEY = {"Authorization": "Key simulated_secret_key"}
START = {
    "return_url": "https://example.com/payment/",
    "website_url": "https://example.com/",
    "amount": 1000,
    "purchase_order_id": "test12",
    "purchase_order_name": "test",
}


def order(amount_minor: int = 1000, reference: str = "test12", **names: str) -> Order:
    return Order(
        reference=reference, amount_minor=amount_minor, currency="NPR", description="test",
        return_url="https://example.com/payment/", website_url="https://example.com/", **names,
    )  # fmt: skip


def shape(value: Any) -> Any:
    """Keys and types; numbers of JSON are one type, as their samples are written both ways."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return "number" if type(value) in (int, float) else type(value).__name__


def khalti(url: str) -> KhaltiGateway:
    return KhaltiGateway(secret_key="simulated_secret_key", base_url=f"{url}api/v2/")


def esewa(url: str) -> EsewaGateway:
    return EsewaGateway(
        merchant_code="EPAYTEST", merchant_secret=SANDBOX_SECRET,
        form_url=f"{url}form", status_url=f"{url}api/epay/transaction/status/",
    )  # fmt: skip


def canned(status: int, body: Any) -> Any:
    return serving(replies(message(json.dumps(body).encode(), status=f"{status} {HTTPStatus(status).phrase}")))


def asked(server: Server, path: str, body: Any, headers: Any = KEY) -> tuple[int, Any]:
    answer = requests.post(f"{server.url}api/{path}", json=body, headers=headers, timeout=10)
    return answer.status_code, answer.json()


def begun(server: Server) -> str:
    pidx: str = asked(server, "v2/epayment/initiate/", START)[1]["pidx"]
    return pidx


def test_khaltis_initiate(simulator: Server) -> None:
    sample = {
        "pidx": PIDX,
        "payment_url": f"https://test-pay.khalti.com/?pidx={PIDX}",
        "expires_at": "2023-05-25T16:26:16.471649+05:45",
        "expires_in": 1800,
    }
    status, body = asked(simulator, "v2/epayment/initiate/", START)
    assert (status, shape(body), len(body["pidx"])) == (200, shape(sample), len(PIDX))
    assert body["expires_at"].endswith("+05:45")
    with canned(200, sample) as server:
        checkout = khalti(server.url).start_checkout(order())
    assert (checkout.gateway_reference, checkout.method) == (PIDX, "GET")
    assert checkout.expires_at is not None


@pytest.mark.parametrize(
    ("changes", "sample"),
    [
        *(({name: ""}, {name: ["This field may not be blank."]}) for name in START if name != "amount"),
        *(({name: "x"}, {name: ["Enter a valid URL."]}) for name in ("return_url", "website_url")),
        ({"amount": 999}, {"amount": ["Amount should be greater than Rs. 10, that is 1000 paisa."]}),
        ({"amount": "x"}, {"amount": ["A valid integer is required."]}),
        ({"amount_breakdown": [{"label": "VAT", "amount": 1}]}, {"amount": ["Amount Breakdown mismatch."]}),
    ],
    ids=str,
)
def test_khaltis_validation_errors(changes: dict[str, Any], sample: dict[str, Any], simulator: Server) -> None:
    sample = {**sample, "error_key": "validation_error"}
    assert asked(simulator, "v2/epayment/initiate/", START | changes) == (400, sample)
    with canned(400, sample) as server, pytest.raises(GatewayRejected) as caught:
        khalti(server.url).start_checkout(order())
    assert caught.value.reasons == {name: text[0] for name, text in sample.items() if name != "error_key"}


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Authorization": "Key wrong"}, "Invalid token."),
        ({}, "Authentication credentials were not provided."),
        ({"Authorization": "simulated_secret_key"}, "Authentication credentials were not provided."),
    ],
    ids=str,
)
def test_khaltis_refusals_of_a_key(headers: dict[str, str], detail: str, simulator: Server) -> None:
    sample = {"detail": detail, "status_code": 401}
    for path in ("v2/epayment/initiate/", "v2/epayment/lookup/", f"merchant-transaction/{ID}/refund/"):
        assert asked(simulator, path, START, headers) == (401, sample)
    with canned(401, sample) as server:
        for act in (khalti(server.url).start_checkout, khalti(server.url).look_up):
            with pytest.raises(GatewayRefusesUs):
                act(order(gateway_reference=PIDX))


LOOKUPS: list[tuple[str, list[Act], int, str | None, bool, Outcome]] = [
    ("Completed", [Act.PAY], 200, ID, False, Outcome.SUCCEEDED),
    ("Pending", [Act.PENDING], 200, None, False, Outcome.PENDING),
    ("Initiated", [], 200, None, False, Outcome.INITIATED),
    ("Refunded", [Act.PAY], 200, ID, True, Outcome.REFUNDED),
    ("Expired", [Act.EXPIRE], 400, None, False, Outcome.EXPIRED),
    ("User canceled", [Act.CANCEL], 400, None, False, Outcome.CANCELED),
]


@pytest.mark.parametrize(("status", "acts", "http", "transaction", "refunded", "outcome"), LOOKUPS)
def test_khaltis_lookups(
    status: str,
    acts: list[Act],
    http: int,
    transaction: str | None,
    refunded: bool,
    outcome: Outcome,
    simulator: Server,
) -> None:
    sample = {
        "pidx": PIDX, "total_amount": 1000, "status": status, "transaction_id": transaction, "fee": 0,
        "refunded": refunded,
    }  # fmt: skip
    pidx = begun(simulator)
    for act in acts:
        simulator.khalti.decide(pidx, act)
    if refunded:
        path = f"merchant-transaction/{simulator.khalti.find(pidx).transaction_id}/refund/"
        assert asked(simulator, path, {}) == (200, {"detail": "Transaction refund successful."})
    code, body = asked(simulator, "v2/epayment/lookup/", {"pidx": pidx})
    assert (code, shape(body)) == (http, shape(sample))
    assert (body["status"], body["refunded"]) == (status, refunded)
    with canned(http, sample) as server:
        proof = khalti(server.url).look_up(order(gateway_reference=PIDX))
    assert (proof.outcome, proof.gateway_transaction_id, proof.amount_minor) == (outcome, transaction, 1000)


def test_khaltis_word_for_a_pidx_it_does_not_know(simulator: Server) -> None:
    sample = {"detail": "Not found.", "error_key": "validation_error"}
    assert asked(simulator, "v2/epayment/lookup/", {"pidx": PIDX}) == (404, sample)
    with canned(404, sample) as server, pytest.raises(GatewayUnavailable):
        khalti(server.url).look_up(order(gateway_reference=PIDX))


RETURNED = (
    f"pidx={PIDX}&txnId={ID}&amount=1000&total_amount=1000&status=Completed&mobile=98XXXXX904&tidx={ID}"
    f"&purchase_order_id=test12&purchase_order_name=test&transaction_id={ID}"
)
CANCELED = (
    f"pidx={PIDX}&transaction_id=&tidx=&amount=1000&total_amount=1000&mobile=&status=User%20canceled"
    "&purchase_order_id=test12&purchase_order_name=test"
)


@pytest.mark.parametrize(("act", "sample"), [(Act.PAY, RETURNED), (Act.CANCEL, CANCELED)])
def test_khaltis_returns(act: Act, sample: str, simulator: Server) -> None:
    came = urlsplit(simulator.khalti.decide(begun(simulator), act).redirect_url or "").query
    documented, sent = (dict(parse_qsl(query, keep_blank_values=True)) for query in (sample, came))
    assert list(sent) == list(documented)
    assert {name: not text for name, text in sent.items()} == {name: not text for name, text in documented.items()}
    claim = khalti(simulator.url).read_callback(RequestFactory().get(f"/?{sample}"))
    assert (claim.reference, claim.gateway_reference, claim.authenticated) == ("test12", PIDX, False)
    assert claim.status == documented["status"] == sent["status"]


STATUSES = [
    ("PENDING", [], None, Outcome.PENDING),
    ("COMPLETE", [esewa_payment.Act.PAY], "0007G36", Outcome.SUCCEEDED),
    ("AMBIGUOUS", [esewa_payment.Act.AMBIGUOUS], "0KDL6NA", Outcome.PENDING),
    ("NOT_FOUND", [esewa_payment.Act.EXPIRE], None, Outcome.NOT_FOUND),
]


@pytest.mark.parametrize(("status", "acts", "ref_id", "outcome"), STATUSES)
def test_esewas_statuses(
    status: str, acts: list[esewa_payment.Act], ref_id: str | None, outcome: Outcome, simulator: Server
) -> None:
    reference = f"SAMPLE-{status.replace('_', '-')}"
    asked_about = order(10_000, reference, success_url="https://a.test/s/", failure_url="https://a.test/f/")
    fields = esewa(simulator.url).start_checkout(asked_about).fields
    booking = simulator.esewa.book(fields).booking
    for act in acts:
        simulator.esewa.decide(booking, act)
    query = {name: fields[name] for name in ("product_code", "total_amount", "transaction_uuid")}
    answer = requests.get(f"{simulator.url}api/epay/transaction/status/", params=query, timeout=10)
    sample = {
        "product_code": "EPAYTEST", "transaction_uuid": reference, "total_amount": 100.0, "status": status,
        "ref_id": ref_id,
    }  # fmt: skip
    assert (answer.status_code, shape(answer.json())) == (200, shape(sample))
    assert answer.json()["status"] == status
    with canned(200, sample) as server:
        proof = esewa(server.url).look_up(asked_about)
    assert (proof.outcome, proof.amount_minor, proof.gateway_transaction_id) == (outcome, 10_000, ref_id)


def test_esewas_return(simulator: Server) -> None:
    sample = {
        "transaction_code": "000AWEO", "status": "COMPLETE", "total_amount": "1000.0",
        "transaction_uuid": "250610-162413", "product_code": "EPAYTEST",
        "signed_field_names": "transaction_code,status,total_amount,transaction_uuid,product_code,signed_field_names",
        "signature": "62GcfZTmVkzhtUeh+QJ1AqiJrjoWWGof3U+eTPTZ7fA=",
    }  # fmt: skip
    paid = order(100_000, "SAMPLE-RETURN", success_url="https://a.test/s/", failure_url="https://a.test/f/")
    booking = simulator.esewa.book(esewa(simulator.url).start_checkout(paid).fields).booking
    url = simulator.esewa.decide(booking, esewa_payment.Act.PAY).redirect_url or ""
    sent = json.loads(base64.b64decode(url.partition("?data=")[2]))
    assert (list(sent), shape(sent)) == (list(sample), shape(sample))
    assert (sent["total_amount"], sent["signed_field_names"]) == ("1000.0", sample["signed_field_names"])
    packed = base64.b64encode(json.dumps(sample).encode()).decode()
    claim = esewa(simulator.url).read_callback(RequestFactory().get("/", {"data": packed}))
    assert (claim.reference, claim.status, claim.authenticated) == ("250610-162413", "COMPLETE", True)
