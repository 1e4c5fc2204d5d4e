"""The simulator's eSewa, asked over HTTP as a payer's browser, a site and a test would ask it."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from django_tenant_billing.contrib.simulator.__main__ import main
from django_tenant_billing.contrib.simulator.esewa import NEPAL_TIME, Esewa
from django_tenant_billing.contrib.simulator.esewa_payment import Act
from django_tenant_billing.contrib.simulator.server import running_server
from tests.test_simulator import Client, Reply, run

NAMES = "total_amount,transaction_uuid,product_code"
FORM = {
    "amount": "100",
    "tax_amount": "10",
    "product_service_charge": "0",
    "product_delivery_charge": "0",
    "total_amount": "110",
    "transaction_uuid": "241028",
    "product_code": "EPAYTEST",
    "success_url": "http://shop.example/paid/241028/",
    "failure_url": "http://shop.example/failed/241028/",
    "signed_field_names": NAMES,
    "signature": "i94zsd3oXF6ZsSr/kGqT4sSzYQzjj1W/waxjWyRwaME=",
}
"""The form of eSewa's page with its own signature."""

BAD_SIGNATURE = {"code": "ES104", "message": "Invalid payload signature."}


@pytest.fixture
def client() -> Iterator[Client]:
    with running_server(merchants={"EPAYTEST": "8gBm/:&EnhH.1/q", "NP-ES-OTHER": "other:secret"}) as server:
        yield Client(server)


def post_form(client: Client, path: str, form: dict[str, str]) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.send("POST", path, urlencode(form), headers)


def book(client: Client, **changes: str) -> Reply:
    return post_form(client, "/api/epay/main/v2/form", FORM | changes)


def booked(client: Client, **changes: str) -> str:
    """Post the form and return the booking that the payer is sent to."""
    reply = book(client, **changes)
    assert reply.status == 302, reply
    match = re.fullmatch(r"/epay\?bookingId=([0-9A-Z]{20})", reply.headers["Location"])
    assert match is not None
    return match[1]


def page(client: Client, booking: str) -> Reply:
    return client.send("GET", f"/epay?bookingId={booking}")


def click(client: Client, booking: str, action: str, **fields: str) -> Reply:
    form = {"bookingId": booking, "payer": "9806800001", "password": "Nepal@123", "token": "123456", "action": action}
    return post_form(client, "/epay", form | fields)


def status(client: Client, **query: str) -> Any:
    asked = {"product_code": "EPAYTEST", "total_amount": "110", "transaction_uuid": "241028"} | query
    reply = client.send("GET", f"/api/epay/transaction/status/?{urlencode(asked)}")
    assert reply.status == 200
    return reply.json


def act(client: Client, action: str, **more: str) -> Reply:
    return client.control("esewa", {"transaction_uuid": "241028", "action": action, **more})


def ledger(client: Client) -> Any:
    return client.send("GET", "/control/esewa/ledger/").json


def data_of(url: str) -> str:
    return base64.b64decode(url.partition("?data=")[2], validate=True).decode()


# The form


def test_the_form_of_esewas_page_is_taken_and_leads_to_a_payment_page(client: Client) -> None:
    booking = booked(client)
    reply = page(client, booking)
    assert reply.status == 200
    assert "Rs 110.00" in reply.text
    assert "EPAYTEST, 241028" in reply.text
    assert status(client)["status"] == "PENDING"


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "YVweM7CgAtZW5tRKica/BIeYFvpSj09AaInsulqNKHk="},
        {"signature": ""},
        {"signature": "भ"},
        {"total_amount": "111", "amount": "101"},
        {"total_amount": "110.0"},
        {"transaction_uuid": "241029"},
        {"transaction_uuid": "24_1028"},
        {"product_code": "NP-ES-OTHER"},
        {"amount": "101"},
        {"amount": "-100"},
        {"amount": "1e2"},
        {"tax_amount": ""},
        {"product_delivery_charge": " "},
        {"success_url": "shop"},
        {"failure_url": "javascript:alert(1)"},
        {"signed_field_names": "transaction_uuid,total_amount,product_code"},
        {"signed_field_names": "product_code"},
    ],
    ids=str,
)
def test_a_form_that_is_not_whole_or_not_signed_is_refused_as_esewa_refuses_it(
    client: Client, changes: dict[str, str]
) -> None:
    reply = book(client, **changes)
    assert (reply.status, reply.json) == (400, BAD_SIGNATURE)
    assert ledger(client) == []


@pytest.mark.parametrize("name", FORM)
def test_a_form_without_one_of_its_fields_is_refused(client: Client, name: str) -> None:
    reply = post_form(client, "/api/epay/main/v2/form", {key: value for key, value in FORM.items() if key != name})
    assert reply.status == 400
    assert ledger(client) == []


def test_an_unknown_merchant_is_refused_in_other_words(client: Client) -> None:
    reply = book(client, product_code="NP-ES-NOBODY")
    assert (reply.status, reply.json) == (
        400, {"error_message": "Unable to fetch merchant key. Please try again later.", "code": 0},
    )  # fmt: skip


@pytest.mark.parametrize("before", [None, "cancel", "pay", "expire"])
def test_a_reference_is_taken_once_whatever_became_of_it(client: Client, before: str | None) -> None:
    booked(client)
    if before is not None:
        act(client, before)
    reply = book(client)
    assert (reply.status, reply.json) == (400, {"error_message": "Duplicate transaction UUID.", "code": 0})
    assert len(ledger(client)) == 1


def test_another_merchant_may_use_the_same_reference(client: Client) -> None:
    booked(client)
    other = FORM | {"product_code": "NP-ES-OTHER"}
    booked(client, product_code="NP-ES-OTHER", signature=signature("other:secret", other))
    assert act(client, "pay", product_code="NP-ES-OTHER").status == 200
    assert status(client)["status"] == "PENDING"
    assert status(client, product_code="NP-ES-OTHER")["status"] == "COMPLETE"
    assert [line["captured"] for line in ledger(client)] == [False, True]


def test_of_many_who_post_a_form_at_once_one_is_booked(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: book(client).status, range(16)))
    assert sorted(statuses) == [302] + [400] * 15


def test_a_browser_that_does_not_post_is_told_that_the_service_is_unavailable(client: Client) -> None:
    reply = client.send("GET", "/api/epay/main/v2/form")
    assert (reply.status, reply.json) == (
        503, {"error_message": "Service is currently unavailable. Please try again later.", "code": 0},
    )  # fmt: skip


# The payment page


def test_the_page_is_filled_in_for_one_click_and_has_no_script(client: Client) -> None:
    text = page(client, booked(client)).text
    assert dict(re.findall(r'name="(payer|password|token)" value="([^"]+)"', text)) == {
        "payer": "9806800001", "password": "Nepal@123", "token": "123456",
    }  # fmt: skip
    assert re.findall(r"<button.*>(.*)</button>", text) == ["Pay", "Cancel", "Leave pending", "Get stuck", "Close tab"]
    assert "<script" not in text


def test_paying_takes_the_money_and_returns_with_data_that_esewa_signed(client: Client) -> None:
    reply = click(client, booked(client), "pay", payer="9806800005")
    assert reply.status == 302
    assert reply.headers["Location"].startswith("http://shop.example/paid/241028/?data=")
    data = json.loads(data_of(reply.headers["Location"]))
    assert list(data) == [
        "transaction_code", "status", "total_amount", "transaction_uuid", "product_code", "signed_field_names",
        "signature",
    ]  # fmt: skip
    assert re.fullmatch("[0-9A-Z]{7}", data["transaction_code"])
    assert (data["status"], data["total_amount"], data["transaction_uuid"]) == ("COMPLETE", "110.0", "241028")
    told = status(client)
    assert (told["status"], told["ref_id"]) == ("COMPLETE", data["transaction_code"])


@pytest.mark.parametrize(
    ("action", "said"), [("cancel", "CANCELED"), ("pending", "PENDING"), ("ambiguous", "AMBIGUOUS")]
)
def test_who_did_not_pay_returns_to_the_failure_url_with_nothing(client: Client, action: str, said: str) -> None:
    reply = click(client, booked(client), action)
    assert (reply.status, reply.headers["Location"]) == (302, "http://shop.example/failed/241028/")
    assert status(client)["status"] == said
    assert ledger(client)[0]["captured"] is False


def test_close_tab_takes_the_money_and_returns_nowhere(client: Client) -> None:
    reply = click(client, booked(client), "close_tab")
    assert reply.status == 200
    assert "The tab is closed now" in reply.text
    assert "Location" not in reply.headers
    assert status(client)["status"] == "COMPLETE"


@pytest.mark.parametrize("before", ["pending", "ambiguous"])
def test_what_waits_or_is_stuck_can_still_be_completed(client: Client, before: str) -> None:
    booking = booked(client)
    click(client, booking, before)
    ref_id = status(client)["ref_id"]
    assert ">Pay</button>" in page(client, booking).text
    assert click(client, booking, "pay").status == 302
    told = status(client)
    assert told["status"] == "COMPLETE"
    assert ref_id in (None, told["ref_id"])


@pytest.mark.parametrize("action", ["pay", "ambiguous", "close_tab"])
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("payer", '98"><script>', "Use a test eSewa ID from 9806800001 to 9806800005."),
        ("password", "wrong", "Wrong password. The test password is Nepal@123."),
        ("token", "", "Wrong token. The test token is 123456."),
    ],
)
def test_a_payer_who_is_not_let_in_is_told_why_and_pays_nothing(
    client: Client, action: str, field: str, value: str, error: str
) -> None:
    booking = booked(client)
    reply = click(client, booking, action, **{field: value})
    assert reply.status == 200
    assert f'role="alert">{error}<' in reply.text
    assert "<script" not in reply.text
    assert status(client)["status"] == "PENDING"


def test_canceling_needs_no_login(client: Client) -> None:
    assert click(client, booked(client), "cancel", payer="", password="", token="").status == 302


@pytest.mark.parametrize("action", ["", "expire", "refund"])
def test_a_button_that_is_not_on_the_page_does_nothing(client: Client, action: str) -> None:
    booking = booked(client)
    assert ">Pay</button>" in click(client, booking, action).text
    assert status(client)["status"] == "PENDING"


@pytest.mark.parametrize(
    ("end", "title"),
    [
        ("pay", "This payment is complete"),
        ("cancel", "This payment was canceled"),
        ("expire", "This payment session is over"),
    ],
)
@pytest.mark.parametrize("action", ["pay", "cancel", "pending", "close_tab"])
def test_a_payment_that_is_over_says_so_and_stays_as_it_is(client: Client, end: str, title: str, action: str) -> None:
    booking = booked(client)
    act(client, end)
    before = ledger(client)
    opened, clicked = page(client, booking), click(client, booking, action, password="wrong")
    assert (opened.status, clicked.status) == (200, 200)
    assert title in opened.text
    assert title in clicked.text
    assert "<button" not in opened.text + clicked.text
    assert ledger(client) == before


def test_an_unknown_booking_has_no_page(client: Client) -> None:
    replies = [page(client, "unknown"), client.send("GET", "/epay"), click(client, "unknown", "pay")]
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert all("No such payment" in reply.text for reply in replies)


def test_a_session_ends_by_itself_after_five_minutes_unless_money_is_on_its_way() -> None:
    now = [datetime(2025, 1, 1, 12, tzinfo=NEPAL_TIME)]
    esewa = Esewa(merchants={"EPAYTEST": "8gBm/:&EnhH.1/q"}, now=lambda: now[0])
    untouched = esewa.book(FORM).booking
    now[0] += timedelta(minutes=5, microseconds=-1)
    assert esewa.find(untouched).status == "PENDING"
    now[0] += timedelta(microseconds=1)
    assert [payment.status for payment in esewa.ledger()] == ["NOT_FOUND"]
    assert not esewa.decide(untouched, Act.PAY).accepted
    for action in (Act.PENDING, Act.AMBIGUOUS):
        waiting = Esewa(merchants={"EPAYTEST": "8gBm/:&EnhH.1/q"}, now=lambda: now[0])
        booking = waiting.book(FORM).booking
        waiting.decide(booking, action)
        now[0] += timedelta(days=1)
        assert waiting.decide(booking, Act.PAY).accepted


# The status


def test_the_status_has_the_documented_shape_with_the_amount_as_a_number(client: Client) -> None:
    booked(client)
    assert status(client) == {
        "product_code": "EPAYTEST",
        "transaction_uuid": "241028",
        "total_amount": 110.0,
        "status": "PENDING",
        "ref_id": None,
    }
    assert status(client, total_amount="110.00")["status"] == "PENDING"


@pytest.mark.parametrize(
    "query",
    [
        {"total_amount": "111"},
        {"total_amount": "1,10"},
        {"total_amount": ""},
        {"transaction_uuid": "241029"},
        {"transaction_uuid": ""},
        {"product_code": "NP-ES-OTHER"},
        {"product_code": ""},
    ],
    ids=str,
)
def test_another_amount_merchant_or_reference_finds_nothing(client: Client, query: dict[str, str]) -> None:
    booked(client)
    act(client, "pay")
    told = status(client, **query)
    assert (told["status"], told["ref_id"]) == ("NOT_FOUND", None)
    assert status(client)["status"] == "COMPLETE"


def test_the_status_can_fail_as_ordered_and_the_payer_is_spared(client: Client) -> None:
    client.control("faults", {"fault": {"mode": "500", "times": 1}})
    booked(client)
    path = f"/api/epay/transaction/status/?{urlencode(FORM)}"
    assert client.send("GET", path).status == 500
    assert client.send("GET", path).status == 200


# The way back


@pytest.mark.parametrize(
    ("total", "style", "written"),
    [
        ("110", "text", '"110.0"'),
        ("110", "number", "110.0"),
        ("110", "commas", '"110.0"'),
        ("1234.5", "text", '"1234.5"'),
        ("1234.50", "number", "1234.5"),
        ("3900", "commas", '"3,900.0"'),
        ("1234567.05", "commas", '"1,234,567.05"'),
        ("12345678", "text", '"12345678.0"'),
    ],
)
def test_the_amount_comes_back_as_a_double_in_the_chosen_style(
    client: Client, total: str, style: str, written: str
) -> None:
    assert client.control("esewa", {"amounts": style}).json == {"amounts": style}
    esewa = client.server.esewa
    form = FORM | {"amount": total, "tax_amount": "0", "total_amount": total}
    form["signature"] = signature("8gBm/:&EnhH.1/q", form)
    decision = esewa.decide(esewa.book(form).booking, Act.PAY)
    text = data_of(decision.redirect_url or "")
    assert f'"total_amount":{written},' in text


def signature(secret: str, form: dict[str, str]) -> str:
    """As a merchant's own program would sign."""
    message = ",".join(f"{name}={form[name]}" for name in NAMES.split(","))
    return base64.b64encode(hmac.digest(secret.encode(), message.encode(), "sha256")).decode()


def test_data_is_appended_with_a_question_mark_whatever_the_url_has(client: Client) -> None:
    url = click(client, booked(client, success_url="http://shop.example/paid/?order=7"), "pay").headers["Location"]
    assert url.startswith("http://shop.example/paid/?order=7?data=")
    assert json.loads(data_of(url))["status"] == "COMPLETE"


# Control


def test_control_acts_as_the_payer_would(client: Client) -> None:
    booked(client)
    pending, stuck, paid = act(client, "pending"), act(client, "ambiguous"), act(client, "pay")
    assert [reply.json["status"] for reply in (pending, stuck, paid)] == ["PENDING", "AMBIGUOUS", "COMPLETE"]
    assert pending.json["redirect_url"] == FORM["failure_url"]
    assert paid.json["redirect_url"].startswith(f"{FORM['success_url']}?data=")


@pytest.mark.parametrize(("action", "said"), [("close_tab", "COMPLETE"), ("expire", "NOT_FOUND")])
def test_control_ends_a_payment_without_a_redirect(client: Client, action: str, said: str) -> None:
    booked(client)
    assert act(client, action).json == {"status": said, "redirect_url": None}
    reply = act(client, "pay")
    assert (reply.status, reply.json) == (409, {"status": said, "redirect_url": None})


def test_of_many_who_pay_at_once_one_pays(client: Client) -> None:
    booked(client)
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: act(client, "pay").status, range(32)))
    assert sorted(statuses) == [200] + [409] * 31


def test_tampering_changes_what_the_status_says_and_not_what_happened(client: Client) -> None:
    booked(client)
    body = {"transaction_uuid": "241028", "set": {"total_amount": 5, "status": "COMPLETE"}}
    told = client.control("esewa", body).json
    client.control("esewa", {"transaction_uuid": "241028", "set": {"ref_id": "forged"}})
    assert status(client) == told | {"ref_id": "forged"}
    assert (told["total_amount"], told["status"]) == (5, "COMPLETE")
    assert ledger(client) == [
        {
            "product_code": "EPAYTEST",
            "transaction_uuid": "241028",
            "total_amount": 110.0,
            "status": "PENDING",
            "ref_id": None,
            "captured": False,
            "refunded": 0.0,
        }
    ]
    reply = client.control("esewa", {"transaction_uuid": "241028", "set": {"state": 1, "amount": 1}})
    assert (reply.status, reply.json) == (400, {"detail": "The status does not answer with amount, state."})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"transaction_uuid": "x"},
        {"transaction_uuid": 1, "action": "pay"},
        {"transaction_uuid": "x", "action": "refund"},
        {"transaction_uuid": "x", "action": "pay", "more": 1},
        {"transaction_uuid": "x", "action": "pay", "product_code": 1},
        {"transaction_uuid": "x", "set": "COMPLETE"},
        {"transaction_uuid": "x", "set": {}, "more": 1},
        {"amounts": "roman"},
        {"amounts": "text", "more": 1},
    ],
    ids=str,
)
def test_control_explains_what_it_expects(client: Client, body: object) -> None:
    reply = client.control("esewa", body)
    assert reply.status == 400
    assert reply.json["detail"].startswith("Expected a transaction_uuid and either an action (pay, cancel, ")


def test_control_of_an_unknown_payment_answers_not_found(client: Client) -> None:
    booked(client)
    assert client.control("esewa", {"transaction_uuid": "unknown", "action": "pay"}).status == 404
    assert act(client, "pay", product_code="NP-ES-OTHER").status == 404


def test_the_front_page_counts_the_payments_of_both_wallets(client: Client) -> None:
    booked(client)
    client.start()
    assert "Payments so far: 2." in client.send("GET", "/").text


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> tuple[str, str]:
        with running_server(seed=seed) as server:
            client = Client(server)
            booking = booked(client)
            act(client, "pay")
            return booking, status(client)["ref_id"]

    assert ids(1) == ids(1)
    assert set(ids(1)).isdisjoint(ids(2))


# The command line


def test_the_command_serves_the_merchants_it_is_given() -> None:
    with run("--port", "0", "--esewa-merchant", "NP-ES-A:first", "--esewa-merchant", "NP-ES-B:se:cond") as process:
        assert process.stdout is not None
        match = re.search(r":(\d+)/", process.stdout.readline())
        assert match is not None
        for code, secret, wanted in (("NP-ES-A", "first", 302), ("NP-ES-B", "se:cond", 302), ("EPAYTEST", "x", 400)):
            form = FORM | {"product_code": code}
            connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=30)
            body = urlencode(form | {"signature": signature(secret, form)})
            connection.request("POST", "/api/epay/main/v2/form", body)
            assert connection.getresponse().status == wanted
            connection.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("merchant", ["NP-ES-A", ":secret", "NP-ES-A:"])
def test_the_command_explains_how_a_merchant_is_written(merchant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--esewa-merchant", merchant])
    assert "write it as CODE:SECRET" in capsys.readouterr().err
