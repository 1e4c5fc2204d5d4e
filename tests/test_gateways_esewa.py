"""eSewa on the documented vectors and answers, and on everything that is not documented."""

from __future__ import annotations

import ast
import base64
import copy
import hmac
import inspect
import json
import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import combinations, permutations, product
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
import responses
from django.core.checks import Error
from django.http import HttpRequest

from django_tenant_billing.exceptions import (
    CallbackRejected,
    GatewayNotConfigured,
    GatewayTimeout,
    GatewayUnavailable,
)
from django_tenant_billing.gateways import esewa
from django_tenant_billing.gateways.base import Checkout, Claim, Order, Outcome, Proof
from django_tenant_billing.gateways.esewa import (
    FORM_SIGNED,
    FORM_URLS,
    LONGEST_DATA,
    OUTCOMES,
    SANDBOX_CODE,
    SANDBOX_SECRET,
    STATUS_URLS,
    EsewaGateway,
    paisa,
    rupees,
)
from tests.servers import CANARY, log, message, places_of, replies, serving, shown
from tests.words import other_words

__all__ = ["log"]  # a fixture

FORM = "https://rc-epay.esewa.com.np/api/epay/main/v2/form"
STATUS = "https://rc.esewa.com.np/api/epay/transaction/status/"
NAMES = "transaction_code,status,total_amount,transaction_uuid,product_code,signed_field_names"

ORDER = Order(
    reference="241028",
    amount_minor=11000,
    currency="NPR",
    description="PRO plan",
    return_url="https://app.example.com/billing/esewa/callback/241028/",
    success_url="https://app.example.com/billing/esewa/success/241028/",
    failure_url="https://app.example.com/billing/esewa/failure/241028/",
    website_url="https://app.example.com/",
)
COMPLETE = {
    "product_code": "EPAYTEST",
    "transaction_uuid": "241028",
    "total_amount": 110.0,
    "status": "COMPLETE",
    "ref_id": "0007G36",
}


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """eSewa's side of the wire. What is not told to answer refuses the connection."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def gateway(**options: str) -> EsewaGateway:
    return EsewaGateway(**({"merchant_code": SANDBOX_CODE, "merchant_secret": SANDBOX_SECRET} | options))


def look_up(order: Order = ORDER) -> Proof:
    return gateway().look_up(order)


def unavailable_look_up() -> GatewayUnavailable:
    with pytest.raises(GatewayUnavailable) as caught:
        look_up()
    return caught.value


def hmac_of(text: str, secret: str = SANDBOX_SECRET) -> str:
    """HMAC-SHA256 by its definition, not by the library that the gateway uses."""
    key = secret.encode().ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + text.encode()).digest()
    return base64.b64encode(sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()).decode()


def signed(secret: str = SANDBOX_SECRET, names: str = NAMES, **changes: str) -> dict[str, str]:
    """What eSewa's server says of a paid order, signed by it."""
    data = {
        "transaction_code": "000AWEO",
        "status": "COMPLETE",
        "total_amount": "110.0",
        "transaction_uuid": "241028",
        "product_code": "EPAYTEST",
        "signed_field_names": names,
    } | changes
    text = ",".join(f"{name}={data[name]}" for name in names.split(","))
    return {**data, "signature": hmac_of(text, secret)}


def packed(data: Mapping[str, object] | str) -> str:
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def callback(data: Mapping[str, object] | str, **options: str) -> Claim:
    """What the browser brings, read."""
    return gateway(**options).read_callback(returning(f"data={quote(packed(data), safe='')}"))


def returning(query: str) -> HttpRequest:
    request = HttpRequest()
    request.META["QUERY_STRING"] = query
    return request


# The form.


def test_the_payer_is_sent_by_the_documented_form_with_the_documented_signature() -> None:
    checkout = gateway().start_checkout(ORDER)
    assert checkout == Checkout(
        method="POST",
        url=FORM,
        fields={
            "amount": "110",
            "tax_amount": "0",
            "product_service_charge": "0",
            "product_delivery_charge": "0",
            "total_amount": "110",
            "transaction_uuid": "241028",
            "product_code": "EPAYTEST",
            "success_url": "https://app.example.com/billing/esewa/success/241028/",
            "failure_url": "https://app.example.com/billing/esewa/failure/241028/",
            "signed_field_names": "total_amount,transaction_uuid,product_code",
            "signature": "i94zsd3oXF6ZsSr/kGqT4sSzYQzjj1W/waxjWyRwaME=",
        },
    )
    assert (checkout.gateway_reference, checkout.expires_at) == (None, None)


FORM_VECTORS = [
    # amount in paisa, uuid, what eSewa's pages print, the right signature
    (11000, "241028", "i94zsd3oXF6ZsSr/kGqT4sSzYQzjj1W/waxjWyRwaME=", True),
    (10000, "11-201-13", "5DZywcrTKD0gia/rsSMcrRHmJl+4Tbol6S+lWgdJ94E=", True),
    (11000, "ab14a8f2b02c3", "0Gh9pc1fiZDZH7OKOBdn42QMx8drH7tOeMPdRQhI83g=", True),
    (10000, "11-201-13", "4Ov7pCI1zIOdwtV2BRMUNjz1upIlT/COTxfLhWvVurE=", False),
    (11000, "ab14a8f2b02c3", "YVweM7CgAtZW5tRKica/BIeYFvpSj09AaInsulqNKHk=", False),
]


@pytest.mark.parametrize(("amount", "reference", "signature", "right"), FORM_VECTORS)
def test_c2_every_vector_that_checks_out_is_what_we_sign_and_no_misprint_is(
    amount: int, reference: str, signature: str, right: bool
) -> None:
    fields = gateway().start_checkout(replace(ORDER, amount_minor=amount, reference=reference)).fields
    assert (fields["signature"] == signature) is right


@pytest.mark.parametrize(
    ("minor", "text"),
    [(100, "1"), (11000, "110"), (390000, "3900"), (123450, "1234.5"), (123456, "1234.56"), (5, "0.05"), (50, "0.5"),
     (1000000000, "10000000")],
)  # fmt: skip
def test_an_amount_has_one_text_in_form_signature_and_status(
    minor: int, text: str, wire: responses.RequestsMock
) -> None:
    order = replace(ORDER, amount_minor=minor)
    fields = gateway().start_checkout(order).fields
    assert fields["amount"] == fields["total_amount"] == rupees(minor) == text
    assert fields["signature"] == hmac_of(f"total_amount={text},transaction_uuid=241028,product_code=EPAYTEST")
    wire.get(STATUS, json=COMPLETE)
    look_up(order)
    assert parse_qs(urlsplit(str(wire.calls[0].request.url)).query)["total_amount"] == [text]
    assert paisa(text) == minor


def test_a_form_needs_no_network(wire: responses.RequestsMock) -> None:
    gateway().start_checkout(ORDER)
    assert len(wire.calls) == 0


def test_live_mode_uses_the_live_hosts(wire: responses.RequestsMock, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = "live"
    asked = gateway(merchant_code="NP-ES-HIMAL", merchant_secret=CANARY)
    assert asked.start_checkout(ORDER).url == "https://epay.esewa.com.np/api/epay/main/v2/form"
    wire.get(STATUS_URLS["live"], json=COMPLETE | {"product_code": "NP-ES-HIMAL"})
    assert asked.look_up(ORDER).outcome is Outcome.SUCCEEDED


def test_form_and_status_have_hosts_of_their_own_that_options_replace(wire: responses.RequestsMock) -> None:
    asked = gateway(form_url="https://form.example.com/f", status_url="https://status.example.com/s")
    assert asked.start_checkout(ORDER).url == "https://form.example.com/f"
    wire.get("https://status.example.com/s", json=COMPLETE)
    assert asked.look_up(ORDER).outcome is Outcome.SUCCEEDED


# The returning browser.

GENUINE: dict[str, dict[str, object]] = {
    "2025, as its base64 has it": {
        "transaction_code": "000AWEO", "status": "COMPLETE", "total_amount": "1000.0",
        "transaction_uuid": "250610-162413", "product_code": "EPAYTEST", "signed_field_names": NAMES,
        "signature": "62GcfZTmVkzhtUeh+QJ1AqiJrjoWWGof3U+eTPTZ7fA=",
    },
    "a payload that was received": {
        "transaction_code": "0006TY3", "status": "COMPLETE", "total_amount": "133.0",
        "transaction_uuid": "1234567890", "product_code": "EPAYTEST", "signed_field_names": NAMES,
        "signature": "MFEcMZ/30WVezanVZHH4H1nIV8pGwyzZxggtkye2VXw=",
    },
}  # fmt: skip


RETURNED = GENUINE["2025, as its base64 has it"]
RECEIVED = GENUINE["a payload that was received"]
VECTORS: list[tuple[Mapping[str, object], str]] = [
    # What eSewa's pages print and what was received of it, and what is wrong with it.
    (RETURNED, ""),
    (RECEIVED, ""),
    (RETURNED | {"total_amount": "1000"}, "signature"),
    (RETURNED | {"total_amount": "1000", "signature": "L/qUIEhgWonoiBE5fPGBfSndglUjaapYTsNVWVS7PDA="}, ""),
    (RETURNED | {"signature": RECEIVED["signature"]}, "signature"),
    (RECEIVED | {"signature": RETURNED["signature"]}, "signature"),
    (RECEIVED | {"product_code": "NP-ES-ABHISHEK-EPAY", "transaction_code": "000AE01", "total_amount": "1,000.0",
                 "signature": "Mpwy0TFlHqpJjFUDGic+22mdoenITT+Ccz1LC61qMAc="}, "signature"),
    *(({"transaction_code": "X", "status": "COMPLETE", "total_amount": str(amount // 100), "transaction_uuid": uuid,
        "product_code": "EPAYTEST", "signed_field_names": ",".join(FORM_SIGNED), "signature": signature},
       "not signed as a whole") for amount, uuid, signature, _right in FORM_VECTORS),
    *(({**RETURNED, "total_amount": str(amount // 100), "transaction_uuid": uuid, "signature": signature}, "signature")
      for amount, uuid, signature, _right in FORM_VECTORS),
]  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), VECTORS)
def test_c2_every_vector_that_checks_out_verifies_and_every_other_is_refused(
    data: Mapping[str, object], problem: str
) -> None:
    if problem:
        with pytest.raises(CallbackRejected, match=problem):
            callback(data)
    else:
        assert callback(data).authenticated


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_payload_is_an_authenticated_claim(name: str) -> None:
    data = GENUINE[name]
    assert callback(data) == Claim(
        reference=str(data["transaction_uuid"]),
        gateway_reference=None,
        status="COMPLETE",
        authenticated=True,
        data={
            "transaction_code": str(data["transaction_code"]),
            "total_amount": str(data["total_amount"]),
            "product_code": "EPAYTEST",
        },
    )


def test_the_amount_is_signed_by_its_literal_text_whether_it_is_a_number_or_not() -> None:
    printed = json.dumps(GENUINE["2025, as its base64 has it"]).replace('"1000.0"', "1000.0")
    assert '"total_amount": 1000.0' in printed
    assert callback(printed).data["total_amount"] == "1000.0"
    for other in ("1000", '"1000"', '"1000.00"', '"1,000.0"', "1000.00", "1e3"):
        with pytest.raises(CallbackRejected, match="signature"):
            callback(printed.replace("1000.0", other))
    integer = signed(total_amount="1000")
    assert callback({**integer, "total_amount": 1000}).authenticated
    assert callback(signed(total_amount="1,000.0")).data["total_amount"] == "1,000.0"


def test_the_2024_sample_of_another_merchant_is_refused() -> None:
    sample = {
        "transaction_code": "000AE01", "status": "COMPLETE", "total_amount": "1,000.0",
        "transaction_uuid": "230901-2132", "product_code": "NP-ES-ABHISHEK-EPAY", "signed_field_names": NAMES,
        "signature": "Mpwy0TFlHqpJjFUDGic+22mdoenITT+Ccz1LC61qMAc=",
    }  # fmt: skip
    with pytest.raises(CallbackRejected, match="signature"):
        callback(sample)
    # Nor is it ours where it is signed by our key.
    with pytest.raises(CallbackRejected, match="another merchant"):
        callback(signed(product_code="NP-ES-ABHISHEK-EPAY"))


@pytest.mark.parametrize("secret", ["8gBm/:&EnhH.1/q(", "8gBm/:&amp;EnhH.1/q", "8gBm/:EnhH.1/q", "another"])
def test_c2_data_of_another_key_is_refused(secret: str) -> None:
    with pytest.raises(CallbackRejected, match="signature"):
        callback(signed(secret))
    with pytest.raises(CallbackRejected, match="signature"):
        callback(signed(), merchant_secret=secret)
    assert callback(signed(secret), merchant_secret=secret).authenticated


def reflected(**changes: str) -> dict[str, str]:
    """What a payer can make of the form: its values and its signature, and whatever else comes to mind."""
    fields = gateway().start_checkout(ORDER).fields
    return {
        "transaction_code": "X", "status": "COMPLETE", "total_amount": "110", "transaction_uuid": "241028",
        "product_code": "EPAYTEST", "signed_field_names": fields["signed_field_names"],
        "signature": fields["signature"],
    } | changes  # fmt: skip


def believes_the_list(data: Mapping[str, str]) -> bool:
    """The naive verifier: signed is what the data says is signed."""
    names = data["signed_field_names"].split(",")
    return hmac_of(",".join(f"{name}={data.get(name, '')}" for name in names)) == data["signature"]


def test_c1_the_signature_of_our_own_form_is_no_signature_of_esewa() -> None:
    data = reflected()
    assert data["signature"] == "i94zsd3oXF6ZsSr/kGqT4sSzYQzjj1W/waxjWyRwaME="
    assert believes_the_list(data)
    with pytest.raises(CallbackRejected, match="not signed as a whole"):
        callback(data)
    assert callback(signed()).authenticated


def compared_by_equality(source: str) -> list[str]:
    """Every ``==`` and ``!=`` with a signature on one side of it: their time tells how much of it was right."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and "sign" in ast.unparse(node)
    ]


def test_signatures_are_compared_in_a_time_that_tells_nothing() -> None:
    source = inspect.getsource(esewa)
    assert source.count("hmac.compare_digest(self._sign(") == 1
    assert compared_by_equality(source) == []
    naive = 'self._sign(names, data) != data.get("signature")'
    assert compared_by_equality(f"found = {naive}") == [naive.replace('"', "'")]


def lists_of_fields() -> Iterator[str]:
    """Every order of every choice of the five values, each written in three ways; then lists that no choice gives."""
    values = ("transaction_code", "status", "total_amount", "transaction_uuid", "product_code")
    for length in range(6):
        for names in permutations(values, length):
            yield from (",".join(names), ",".join((*names, "signed_field_names")), ", ".join(names))
    form = ",".join(FORM_SIGNED)
    for name in (*values, "signed_field_names", "signature", "", "x", "STATUS"):
        yield from (f"{form},{form},{name}", f"{name},{name},{form}", f"{form};{name}")


def test_c1_no_list_of_fields_makes_the_forms_signature_fit() -> None:
    lists, naive = list(lists_of_fields()), 0
    for listed in lists:
        data = reflected(signed_field_names=listed)
        naive += believes_the_list(data)
        with pytest.raises(CallbackRejected):
            callback(data)
    assert (len(lists), len(set(lists))) == (1008, 1002)
    assert naive == 1
    # Values that carry the text of the form inside them.
    text = "110,transaction_uuid=241028,product_code=EPAYTEST"
    for listed in (NAMES, "total_amount,transaction_code,status,transaction_uuid,product_code"):
        with pytest.raises(CallbackRejected):
            callback(reflected(total_amount=text, signed_field_names=listed))


@pytest.mark.parametrize(
    "names",
    [
        "",
        "status",
        NAMES.replace("status,", ""),
        NAMES.replace("transaction_code,", ""),
        NAMES.replace("total_amount,", ""),
        f"{NAMES},status",
        f"{NAMES},{NAMES}",
        f"{NAMES},",
        f"{NAMES},missing",
        NAMES.upper(),
        NAMES.replace(",", ", "),
        NAMES.replace(",", ";"),
    ],
)
def test_c2_a_list_that_leaves_out_repeats_or_invents_a_field_is_refused(names: str) -> None:
    listed = dict.fromkeys(names.split(","), "x") | signed(signed_field_names=names)
    listed["signature"] = hmac_of(",".join(f"{name}={listed.get(name, '')}" for name in names.split(",")))
    for name in ("missing", ""):
        listed.pop(name, None)
    with pytest.raises(CallbackRejected, match="not signed as a whole"):
        callback(listed)


@pytest.mark.parametrize("names", [",".join(reversed(NAMES.split(","))), NAMES.removesuffix(",signed_field_names")])
def test_c2_the_order_of_the_list_is_esewas_to_choose(names: str) -> None:
    assert callback(signed(names=names)).authenticated


@pytest.mark.parametrize("signature", ["", "x", "62GcfZTm", None, 5, ["x"], "भ", " " * 44])
def test_c2_a_signature_that_is_none_is_refused(signature: object) -> None:
    with pytest.raises(CallbackRejected, match="The signature of eSewa's data is wrong"):
        callback(signed() | {"signature": signature})
    without = signed()
    del without["signature"]
    with pytest.raises(CallbackRejected, match="The signature of eSewa's data is wrong"):
        callback(without)


OTHER_DIGESTS: dict[str, Callable[[str], str]] = {
    name: lambda text, name=name: base64.b64encode(hmac.digest(SANDBOX_SECRET.encode(), text.encode(), name)).decode()
    for name in ("md5", "sha1", "sha224", "sha384", "sha512", "sha3_256")
} | {
    "no key": lambda text: base64.b64encode(sha256(text.encode()).digest()).decode(),
    "the key in front": lambda text: base64.b64encode(sha256((SANDBOX_SECRET + text).encode()).digest()).decode(),
    "hex": lambda text: base64.b64decode(hmac_of(text)).hex(),
    "hex in base64": lambda text: base64.b64encode(base64.b64decode(hmac_of(text)).hex().encode()).decode(),
    "URL-safe base64": lambda text: hmac_of(text).translate(str.maketrans("+/", "-_")).rstrip("="),
    "no padding": lambda text: hmac_of(text).rstrip("="),
    "more padding": lambda text: hmac_of(text) + "=",
    "a line break": lambda text: hmac_of(text) + "\n",
    "a space": lambda text: " " + hmac_of(text),
    "upper case": lambda text: hmac_of(text).upper(),
    "half of it": lambda text: hmac_of(text)[:22],
    "all but a letter": lambda text: hmac_of(text)[1:],
    "sixteen bytes of it": lambda text: base64.b64encode(base64.b64decode(hmac_of(text))[:16]).decode(),
    "full-width letters": lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in hmac_of(text)),
    "a Cyrillic letter": lambda text: hmac_of(text)[:-2] + "\u0410=",
    "a joiner": lambda text: hmac_of(text)[:9] + "\u200d" + hmac_of(text)[9:],
}


@pytest.mark.parametrize("name", OTHER_DIGESTS)
def test_c2_a_signature_that_only_resembles_the_right_one_is_refused(name: str) -> None:
    genuine = signed()
    text = ",".join(f"{name}={genuine[name]}" for name in NAMES.split(","))
    forged = genuine | {"signature": OTHER_DIGESTS[name](text)}
    assert forged["signature"] != genuine["signature"] == hmac_of(text)
    with pytest.raises(CallbackRejected):
        callback(forged)
    assert callback(genuine).authenticated


@pytest.mark.parametrize(("name", "value"), [
    ("status", "C\u041eMPLETE"), ("status", "\uff23OMPLETE"), ("status", "COMPLETE\u200d"),
    ("status", "COMPLETE\u0301"),
    ("transaction_uuid", "24\u09678"), ("total_amount", "110.0\u00a0"), ("product_code", "EPA\u03a5TEST"),
    ("signed_field_names", NAMES.replace("status", "st\u0430tus")),
    ("signed_field_names", NAMES.replace(",", "\uff0c")),
], ids=ascii)  # fmt: skip
def test_c2_a_value_that_only_looks_the_same_is_refused(name: str, value: str) -> None:
    with pytest.raises(CallbackRejected):
        callback(signed() | {name: value})
    assert callback(signed()).authenticated


def test_c3_no_field_and_no_two_fields_of_a_valid_payload_can_be_changed() -> None:
    genuine = signed()
    assert callback(genuine).authenticated
    changed = {
        "transaction_code": "000AWEP", "status": "CANCELED", "total_amount": "110.1", "transaction_uuid": "241029",
        "product_code": "EPAYTESU", "signed_field_names": NAMES.replace("status,", ""),
        "signature": hmac_of("something else"),
    }  # fmt: skip
    assert set(changed) == set(genuine)
    removed: dict[str, str | None] = dict.fromkeys(genuine)
    tried = 0
    for count in (1, 2):
        for names in combinations(genuine, count):
            for values in product(*((changed[name], removed[name], "", genuine[name] + "0") for name in names)):
                new = {**genuine, **dict(zip(names, values, strict=True))}
                tried += 1
                with pytest.raises(CallbackRejected):
                    callback({name: value for name, value in new.items() if value is not None})
    assert tried == 7 * 4 + 21 * 16


def test_c2_of_ten_thousand_forgeries_none_is_authenticated_and_every_genuine_payload_is() -> None:
    """Of 1,000 genuine payloads each, ten changes to a value, a name, the list, the signature or the text."""
    draw = random.Random(241028)
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789-.,= "
    asked, refused = gateway(), 0
    for number in range(1000):
        genuine = signed(
            transaction_code=f"{draw.randrange(36**6):07X}"[-7:],
            total_amount=draw.choice(["{:.1f}", "{:,.1f}", "{}"]).format(draw.randrange(1, 10**7)),
            transaction_uuid="TB-" + "".join(draw.choices(letters[:32], k=17)),
            status=draw.choice(list(OUTCOMES)),
        )
        assert asked.read_callback(returning(f"data={packed(genuine)}")).authenticated, number
        for _time in range(10):
            forged = dict(genuine)
            name = draw.choice(list(genuine))
            value = genuine[name]
            at = draw.randrange(len(value))
            match draw.randrange(6):
                case 0:
                    forged[name] = value[:at] + draw.choice(letters) + value[at + 1 :]
                case 1:
                    forged[name] = value[:at] + draw.choice(letters) + value[at:]
                case 2:
                    forged[name] = value[:at] + value[at + 1 :]
                case 3:
                    other = draw.choice(list(genuine))
                    forged[name], forged[other] = genuine[other], value
                case 4:
                    del forged[name]
                case _:
                    forged["signature"] = hmac_of(value, draw.choice(letters))
            if forged == genuine:
                forged["status"] += "D"
            with pytest.raises(CallbackRejected):
                asked.read_callback(returning(f"data={packed(forged)}"))
            refused += 1
    assert refused == 10_000


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "5",
        '"text"',
        "{}",
        '{"status": null}',
        '{"status": NaN}',
        '{"total_amount": Infinity}',
        '{"status": "COMPLETE", "status": "COMPLETE"}',
        "[" * 1200,
        '{"status": "COM\\u0000PLETE"}',
        '{"status": "\\ud800"}',
        '{"status": "COMPLETE\\n"}',
        "\ufeff{}",
    ],
    ids=ascii,
)
def test_what_is_no_object_of_texts_and_numbers_is_refused(text: str) -> None:
    with pytest.raises(CallbackRejected, match="no JSON object of texts and numbers"):
        callback(text)


def test_a_genuine_payload_with_a_doubled_name_or_not_a_number_is_refused() -> None:
    text = json.dumps(signed())
    assert callback(text).authenticated
    for added in (', "status": "COMPLETE"}', ', "more": NaN}', ', "more": -Infinity}'):
        with pytest.raises(CallbackRejected):
            callback(text.removesuffix("}") + added)


@pytest.mark.parametrize("value", [None, True, ["COMPLETE"], {"COMPLETE": 1}])
def test_a_value_that_is_neither_text_nor_number_is_not_there(value: object) -> None:
    with pytest.raises(CallbackRejected, match="not signed as a whole"):
        callback(signed() | {"status": value})


@pytest.mark.parametrize("data", ["%", "a", "!!!!", "e30\u00e9", "_-_-", "=e30="])
def test_what_is_no_base64_is_refused(data: str) -> None:
    with pytest.raises(CallbackRejected, match="no base64"):
        gateway().read_callback(returning(f"data={quote(data, safe='')}"))


@pytest.mark.parametrize("query", ["data={0}&data={0}", "data={0}&x=1&x=2", "data={1}", "data={0}%00", "{2}=1"])
def test_a_query_that_esewa_never_sends_is_refused(query: str) -> None:
    with pytest.raises(CallbackRejected, match="The parameter"):
        gateway().read_callback(returning(query.format(packed(signed()), "A" * (LONGEST_DATA + 1), "x" * 51)))


@pytest.mark.parametrize(
    "query", ["data={0}", "order=7?data={0}", "?data={0}", "a=1&b=2?data={0}", "data={1}", "data={2}", "data={3}"]
)
def test_the_data_is_found_whatever_it_was_appended_to_and_however_it_was_escaped(query: str) -> None:
    # With a ">" in it the encoding has a plus sign.
    text = packed(signed(transaction_code=">>>>>>?"))
    assert "+" in text or "/" in text
    escaped, spaced, bare = quote(text, safe=""), text.replace("+", " "), text.rstrip("=")
    assert gateway().read_callback(returning(query.format(text, escaped, spaced, bare))).reference == "241028"


@pytest.mark.parametrize("query", ["", "data=", "q=fu&pid=5", "?data="])
def test_a_return_without_data_is_a_claim_of_nothing(query: str) -> None:
    assert gateway().read_callback(returning(query)) == Claim(reference=None, gateway_reference=None, status="")


def test_no_refusal_shows_the_secret(log: pytest.LogCaptureFixture) -> None:
    asked = gateway(merchant_secret=CANARY)
    for data in (signed("other"), signed(CANARY, product_code="X"), signed(CANARY, names="status"), {}):
        with pytest.raises(CallbackRejected) as caught:
            asked.read_callback(returning(f"data={packed(data)}"))
        assert places_of(CANARY, shown(caught.value, log)) == []


# The status.


def test_the_status_is_asked_by_code_amount_and_reference(wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE)
    assert look_up() == Proof(
        outcome=Outcome.SUCCEEDED,
        status="COMPLETE",
        amount_minor=11000,
        gateway_reference="241028",
        gateway_transaction_id="0007G36",
        data=COMPLETE | {"total_amount": "110.0"},
    )
    (call,) = wire.calls
    assert call.request.url == f"{STATUS}?total_amount=110&transaction_uuid=241028&product_code=EPAYTEST"
    assert "Authorization" not in call.request.headers
    assert SANDBOX_SECRET not in str(call.request.headers)


STATUSES = [
    ("PENDING", None, Outcome.PENDING),
    ("COMPLETE", "0007G36", Outcome.SUCCEEDED),
    ("FULL_REFUND", "0007G36", Outcome.REFUNDED),
    ("PARTIAL_REFUND", "0007G36", Outcome.PARTIALLY_REFUNDED),
    ("AMBIGUOUS", "0KDL6NA", Outcome.PENDING),
    ("NOT_FOUND", None, Outcome.NOT_FOUND),
    ("CANCELED", "0KDL6NA", Outcome.CANCELED),
]


@pytest.mark.parametrize(("status", "ref_id", "outcome"), STATUSES)
def test_every_documented_status_has_its_outcome(
    status: str, ref_id: str | None, outcome: Outcome, wire: responses.RequestsMock
) -> None:
    wire.get(STATUS, json=COMPLETE | {"status": status, "ref_id": ref_id})
    proof = look_up()
    assert (proof.outcome, proof.status, proof.gateway_transaction_id) == (outcome, status, ref_id)
    assert (proof.amount_minor, proof.gateway_reference) == (11000, "241028")


def test_the_table_of_statuses_is_tested_whole() -> None:
    assert {(status, outcome) for status, _, outcome in STATUSES} == set(OUTCOMES.items())


@pytest.mark.parametrize(
    "status",
    ["complete", "Complete", "COMPLETE ", " COMPLETE", "COMPLETED", "INCOMPLETE", "NOT COMPLETE", "COMPLETE\u0000",
     "C\u041eMPLETE", "SUCCESS", "AMBIGIOUS", "CANCELLED", "NOT FOUND", "unsuccessful", "not verified", "", None, True,
     1, ["COMPLETE"], {"COMPLETE": "COMPLETE"}],
    ids=ascii,
)  # fmt: skip
def test_g5_any_other_status_is_no_answer(status: object, wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE | {"status": status})
    assert str(unavailable_look_up()) == "eSewa answered with HTTP 200 and no known status."
    assert len(wire.calls) == 1


def test_g5_a_status_in_any_other_words_is_no_answer(wire: responses.RequestsMock) -> None:
    texts = other_words(OUTCOMES)
    assert len(texts) == 200
    for status in texts:
        wire.upsert(responses.GET, STATUS, json=COMPLETE | {"status": status})
        assert str(unavailable_look_up()) == "eSewa answered with HTTP 200 and no known status."
    for status in OUTCOMES:
        wire.upsert(responses.GET, STATUS, json=COMPLETE | {"status": status})
        assert look_up().status == status


@pytest.mark.parametrize("http_status", [201, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_a_status_is_believed_at_200_only(http_status: int, wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE, status=http_status)
    assert str(unavailable_look_up()) == f"eSewa answered with HTTP {http_status} and no known status."
    assert len(wire.calls) == 1


@pytest.mark.parametrize("code", [None, "", "epaytest", "EPAYTEST ", "NP-ES-OTHER", ["EPAYTEST"], 5])
def test_an_answer_for_another_merchant_is_no_answer(code: object, wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE | {"product_code": code})
    assert str(unavailable_look_up()) == "eSewa answered for another merchant."


def test_the_reference_of_the_answer_is_told_even_where_it_is_another(wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE | {"transaction_uuid": "another"})
    assert look_up().gateway_reference == "another"


@pytest.mark.parametrize("value", [None, "", 5, True, ["x"], "x" * 101, "x\u0000y", "भुक्तानी"], ids=ascii)
def test_an_id_that_cannot_be_kept_is_unknown(value: object, wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json=COMPLETE | {"transaction_uuid": value, "ref_id": value})
    proof = look_up()
    assert (proof.gateway_reference, proof.gateway_transaction_id) == (None, None)


def test_what_the_answer_leaves_out_is_unknown(wire: responses.RequestsMock) -> None:
    wire.get(STATUS, json={"status": "COMPLETE", "product_code": "EPAYTEST", "user": "9806800001"})
    assert look_up() == Proof(
        outcome=Outcome.SUCCEEDED,
        status="COMPLETE",
        amount_minor=None,
        gateway_reference=None,
        data={"status": "COMPLETE", "product_code": "EPAYTEST"},
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("110", 11000),
        ("110.0", 11000),
        ("110.00", 11000),
        ("110.50", 11050),
        ("110.5", 11050),
        ("110.05", 11005),
        ("110.050", 11005),
        ('"110.0"', 11000),
        ('"1,110.0"', 111000),
        ('"12,345,678.90"', 1234567890),
        ("0", 0),
        ("110.001", None),
        ("110.005", None),
        ("1.1e2", None),
        ("1e17", None),
        ("12345678901234", None),
        ("-110.0", None),
        ('"-110"', None),
        ('"+110"', None),
        ('"1,00,0"', None),
        ('"10,00.0"', None),
        ('"1,00,000.0"', None),
        ('"110."', None),
        ('".5"', None),
        ('" 110"', None),
        ('"110\\n"', None),
        ('"Rs 110"', None),
        ('"१००"', None),
        ("true", None),
        ("null", None),
        ("[110]", None),
        ('{"rupees": 110}', None),
    ],
)
def test_only_rupees_to_the_letter_are_an_amount(text: str, amount: int | None, wire: responses.RequestsMock) -> None:
    wire.get(STATUS, body=json.dumps(COMPLETE).replace("110.0", text))
    assert look_up().amount_minor == amount


NO_ANSWERS: dict[str, dict[str, Any]] = {
    "the documented service error": {"json": {"code": 0, "error_message": "Service is currently unavailable"}},
    "HTML": {"body": "<html>502 Bad Gateway</html>", "status": 502, "content_type": "text/html"},
    "HTML at 200": {"body": "<html>Sign in</html>", "content_type": "text/html"},
    "nothing": {"body": ""},
    "an array": {"json": [COMPLETE]},
    "null": {"body": "null"},
    "a doubled name": {"body": json.dumps(COMPLETE).removesuffix("}") + ', "status": "COMPLETE"}'},
    "not a number": {"body": json.dumps(COMPLETE).replace("110.0", "NaN")},
    "500": {"json": {"detail": "Server error."}, "status": 500},
    "a redirect": {"json": COMPLETE, "status": 307, "headers": {"Location": "https://evil.test/"}},
    "no connection": {"body": requests.ConnectionError("refused")},
    "a broken certificate": {"body": requests.exceptions.SSLError("expired")},
    "a connection that takes too long": {"body": requests.ConnectTimeout("slow")},
    "a reply that takes too long": {"body": requests.ReadTimeout("slow")},
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_is_unavailable_and_never_asked_again(
    name: str, wire: responses.RequestsMock, log: pytest.LogCaptureFixture
) -> None:
    wire.get(STATUS, **NO_ANSWERS[name])
    with pytest.raises(GatewayUnavailable) as caught:
        gateway(merchant_secret=CANARY).look_up(ORDER)
    assert isinstance(caught.value, GatewayTimeout) == ("too long" in name)
    assert places_of(CANARY, shown(caught.value, log)) == []
    assert len(wire.calls) == 1


def test_a_gateway_does_not_show_its_secret() -> None:
    asked = gateway(merchant_secret=CANARY)
    assert repr(asked) == f"<EsewaGateway EPAYTEST {FORM}>"
    assert CANARY not in str(vars(asked))
    for duplicate in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="A secret is not pickled"):
            duplicate(asked)


# This machine, and what check() says.


def test_c14_this_machine_is_used_only_where_the_simulator_is_allowed_and_never_in_live_mode(settings: Any) -> None:
    with serving(replies(message(json.dumps(COMPLETE).encode()))) as server:
        for options in ({"status_url": server.url}, {"form_url": server.url}):
            asked = gateway(**options)
            with pytest.raises(GatewayUnavailable, match="which is this machine"):
                asked.start_checkout(ORDER)
            with pytest.raises(GatewayUnavailable, match="which is this machine"):
                asked.look_up(ORDER)
        assert server.connections == 0
        settings.TENANT_BILLING_ALLOW_SIMULATOR = True
        asked = gateway(form_url=server.url, status_url=server.url)
        assert asked.start_checkout(ORDER).url == server.url
        assert asked.look_up(ORDER).outcome is Outcome.SUCCEEDED
        assert server.connections == 1
        settings.TENANT_BILLING_MODE = "live"
        ours = gateway(merchant_code="NP-ES-HIMAL", merchant_secret="x", form_url=server.url, status_url=server.url)
        for use in (ours.start_checkout, ours.look_up):
            with pytest.raises(GatewayUnavailable, match="TENANT_BILLING_MODE is 'live'"):
                use(ORDER)
        assert server.connections == 1


def ids(asked: EsewaGateway) -> list[str | None]:
    found = asked.check()
    assert all(isinstance(problem, Error) and problem.hint for problem in found)
    return [problem.id for problem in found]


@pytest.mark.parametrize("mode", ["sandbox", "live", None])
def test_code_and_secret_alone_are_enough(mode: str | None, settings: Any) -> None:
    settings.TENANT_BILLING_MODE = mode
    ours = {"merchant_code": "NP-ES-HIMAL", "merchant_secret": "x"}
    assert ids(gateway(**ours)) == []
    assert ids(gateway(**ours, form_url=FORM_URLS[mode or "sandbox"])) == []
    assert ids(gateway(**ours, status_url="https://proxy.example.com/esewa/")) == []


@pytest.mark.parametrize("missing", ["merchant_code", "merchant_secret"])
def test_without_a_code_or_a_secret_there_is_e015_and_nothing_is_signed(missing: str) -> None:
    half = gateway(**{missing: ""})
    assert ids(half) == ["tenant_billing.E015"]
    assert f"ESEWA_{missing.upper()}" in str(half.check()[0].hint)
    with pytest.raises(GatewayUnavailable, match=f"eSewa has no {missing}"):
        half.start_checkout(ORDER)


def test_data_that_is_signed_by_an_empty_key_is_not_believed_by_a_gateway_without_one() -> None:
    with pytest.raises(GatewayNotConfigured, match="eSewa has no merchant_secret"):
        callback(signed(""), merchant_secret="")


@pytest.mark.parametrize("name", ["form_url", "status_url"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:8001/", "http://localhost/x", "https://[::1]:8001/"])
def test_this_machine_is_e016_unless_the_simulator_is_allowed(name: str, url: str, settings: Any) -> None:
    assert ids(gateway(**{name: url})) == ["tenant_billing.E016"]
    assert name in str(gateway(**{name: url}).check()[0].hint)
    settings.TENANT_BILLING_ALLOW_SIMULATOR = True
    assert ids(gateway(**{name: url})) == []


@pytest.mark.parametrize("name", ["form_url", "status_url"])
@pytest.mark.parametrize(
    ("mode", "url"),
    [
        ("live", "https://rc-epay.esewa.com.np/api/epay/main/v2/form"),
        ("live", "https://rc.esewa.com.np/api/epay/transaction/status/"),
        ("live", "https://uat.esewa.com.np/"),
        ("live", "https://RC-EPAY.esewa.com.np:443/"),
        ("sandbox", "https://epay.esewa.com.np/api/epay/main/v2/form"),
        ("sandbox", "https://esewa.com.np/api/epay/transaction/status/"),
        ("sandbox", "http://rc-epay.esewa.com.np/api/epay/main/v2/form"),
        ("live", "http://epay.esewa.com.np/"),
        ("live", "ftp://epay.esewa.com.np/"),
        ("live", "epay.esewa.com.np/"),
        ("live", "javascript:alert(1)"),
        ("live", "https:///api"),
        ("live", "https://["),
    ],
)
def test_c13_a_url_of_the_other_mode_or_without_tls_is_e017_and_not_used(
    name: str, mode: str, url: str, settings: Any
) -> None:
    settings.TENANT_BILLING_MODE = mode
    wrong = gateway(**{"merchant_code": "NP-ES-HIMAL", "merchant_secret": "x", name: url})
    assert ids(wrong) == ["tenant_billing.E017"]
    (problem,) = wrong.check()
    assert f"TENANT_BILLING_MODE is {mode!r}" in problem.msg
    assert {"form_url": FORM_URLS, "status_url": STATUS_URLS}[name][mode] in str(problem.hint)
    with pytest.raises(GatewayUnavailable, match="TENANT_BILLING_MODE"):
        wrong.start_checkout(ORDER)


def test_the_status_host_of_older_pages_may_be_named(settings: Any) -> None:
    settings.TENANT_BILLING_MODE = "live"
    ours = {"merchant_code": "NP-ES-HIMAL", "merchant_secret": "x"}
    assert ids(gateway(**ours, status_url="https://esewa.com.np/api/epay/transaction/status/")) == []


def test_an_unknown_mode_has_no_hosts(settings: Any) -> None:
    settings.TENANT_BILLING_MODE = "production"
    assert ids(gateway()) == ["tenant_billing.E017", "tenant_billing.E017"]
    assert str(gateway().check()[0].hint) == "Leave form_url out, and the right address is used."
    with pytest.raises(GatewayUnavailable):
        gateway().start_checkout(ORDER)


@pytest.mark.parametrize(
    "options",
    [{}, {"merchant_secret": "our own"}, {"merchant_code": "NP-ES-HIMAL"}],
    ids=["both", "the code", "the secret"],
)
def test_c13_the_sandboxs_merchant_is_e018_in_live_mode_and_nothing_of_it_is_believed(
    options: dict[str, str], settings: Any, wire: responses.RequestsMock
) -> None:
    assert ids(gateway(**options)) == []
    genuine = signed(**{"secret": options.get("merchant_secret", SANDBOX_SECRET)}, product_code="EPAYTEST")
    settings.TENANT_BILLING_MODE = "live"
    public = gateway(**options)
    assert ids(public) == ["tenant_billing.E018"]
    with pytest.raises(GatewayUnavailable, match="whose secret is public"):
        public.start_checkout(ORDER)
    with pytest.raises(GatewayUnavailable, match="whose secret is public"):
        public.look_up(ORDER)
    with pytest.raises(GatewayNotConfigured, match="whose secret is public"):
        callback(genuine, **options)
    assert len(wire.calls) == 0


def test_every_mode_has_its_hosts() -> None:
    assert FORM_URLS == {"live": "https://epay.esewa.com.np/api/epay/main/v2/form", "sandbox": FORM}
    assert STATUS_URLS == {"live": "https://epay.esewa.com.np/api/epay/transaction/status/", "sandbox": STATUS}
    assert (SANDBOX_CODE, SANDBOX_SECRET) == ("EPAYTEST", "8gBm/:&EnhH.1/q")
