"""The simulator, asked over HTTP as a site, a payer's browser and a test would ask it."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from django_tenant_billing.contrib.simulator import pages
from django_tenant_billing.contrib.simulator.__main__ import main
from django_tenant_billing.contrib.simulator.khalti import NEPAL_TIME, Khalti
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.contrib.simulator.wire import RequestError

KEY = "simulated_secret_key"
ORDER = {
    "return_url": "http://shop.example/billing/callback/khalti/T1/",
    "website_url": "http://shop.example/",
    "amount": 390000,
    "purchase_order_id": "T1",
    "purchase_order_name": "Pro plan",
}
PIDX = re.compile(r"[2-9A-HJ-NP-Za-km-z]{22}")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Client:
    server: Server

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read().decode())
        finally:
            connection.close()

    def api(self, name: str, body: object, authorization: str | None = f"Key {KEY}") -> Reply:
        headers = {"Authorization": authorization} if authorization is not None else {}
        return self.send("POST", f"/api/v2/epayment/{name}/", json.dumps(body), headers)

    def start(self, **changes: object) -> str:
        """Initiate a payment and return its pidx."""
        reply = self.api("initiate", ORDER | changes)
        assert reply.status == 200, reply
        return str(reply.json["pidx"])

    def lookup(self, pidx: str) -> Reply:
        return self.api("lookup", {"pidx": pidx})

    def page(self, pidx: str) -> Reply:
        return self.send("GET", f"/khalti/pay/?pidx={pidx}")

    def click(self, pidx: str, action: str, **fields: str) -> Reply:
        form = {"pidx": pidx, "payer": "9800000000", "mpin": "1111", "otp": "987654", "action": action} | fields
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", "/khalti/pay/", urlencode(form), headers)

    def control(self, name: str, body: object) -> Reply:
        return self.send("POST", f"/control/{name}/", json.dumps(body))

    def act(self, pidx: str, action: str) -> Reply:
        return self.control("khalti", {"pidx": pidx, "action": action})

    def ledger(self) -> Any:
        return self.send("GET", "/control/ledger/").json


@pytest.fixture
def client() -> Iterator[Client]:
    with running_server() as server:
        yield Client(server)


def parameters(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


# Initiate


def test_initiate_answers_a_pidx_and_where_to_send_the_payer(client: Client) -> None:
    before = datetime.now(NEPAL_TIME)
    reply = client.api("initiate", ORDER)
    after = datetime.now(NEPAL_TIME)
    pidx = reply.json["pidx"]
    expires_at = datetime.fromisoformat(reply.json["expires_at"])
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json.keys() == {"pidx", "payment_url", "expires_at", "expires_in"}
    assert PIDX.fullmatch(pidx)
    assert reply.json["payment_url"] == f"{client.server.url}khalti/pay/?pidx={pidx}"
    assert reply.json["expires_at"].endswith("+05:45")
    assert before + timedelta(minutes=30) <= expires_at <= after + timedelta(minutes=30)
    assert reply.json["expires_in"] == 1800


@pytest.mark.parametrize("amount", [1000, "1000"], ids=["number", "digits"])
def test_initiate_takes_the_least_amount_as_a_number_or_as_digits(client: Client, amount: object) -> None:
    pidx = client.start(amount=amount)
    assert client.lookup(pidx).json["total_amount"] == 1000


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("return_url", "", "This field may not be blank."),
        ("return_url", "shop", "Enter a valid URL."),
        ("return_url", "ftp://shop.example/", "Enter a valid URL."),
        ("return_url", "http://shop.example/\r\nSet-Cookie: a=b", "Enter a valid URL."),
        ("return_url", "http://[shop/", "Enter a valid URL."),
        ("return_url", "http://shop.example:99999/", "Enter a valid URL."),
        ("return_url", "http:///path", "Enter a valid URL."),
        ("website_url", "", "This field may not be blank."),
        ("website_url", "shop", "Enter a valid URL."),
        ("amount", 999, "Amount should be greater than Rs. 10, that is 1000 paisa."),
        ("amount", "-5000", "Amount should be greater than Rs. 10, that is 1000 paisa."),
        ("amount", "10.00", "A valid integer is required."),
        ("amount", 1000.0, "A valid integer is required."),
        ("amount", True, "A valid integer is required."),
        ("amount", None, "A valid integer is required."),
        ("amount", [1000], "A valid integer is required."),
        ("purchase_order_id", " ", "This field may not be blank."),
        ("purchase_order_id", None, "This field may not be null."),
        ("purchase_order_id", True, "Not a valid string."),
        ("purchase_order_id", ["T1"], "Not a valid string."),
        ("purchase_order_name", "", "This field may not be blank."),
        ("purchase_order_name", "\ud800", "Surrogate characters are not allowed."),
    ],
)
def test_initiate_refuses_a_faulty_field_in_khaltis_words(
    client: Client, field: str, value: object, message: str
) -> None:
    reply = client.api("initiate", ORDER | {field: value})
    assert reply.status == 400
    assert reply.json == {field: [message], "error_key": "validation_error"}
    assert client.ledger() == []


def test_initiate_names_every_missing_field_at_once(client: Client) -> None:
    reply = client.api("initiate", {})
    required = ["This field is required."]
    assert reply.status == 400
    assert reply.json == {**dict.fromkeys(ORDER, required), "error_key": "validation_error"}


def test_a_breakdown_that_adds_up_is_accepted(client: Client) -> None:
    client.start(amount_breakdown=[{"label": "Price", "amount": 300000}, {"label": "VAT", "amount": "90000"}])
    client.start(amount_breakdown=None)


@pytest.mark.parametrize("parts", [[{"label": "Price", "amount": 300000}], [{"amount": None}], ["Price"], "Price", []])
def test_a_breakdown_that_does_not_add_up_is_refused(client: Client, parts: object) -> None:
    reply = client.api("initiate", ORDER | {"amount_breakdown": parts})
    assert reply.status == 400
    assert reply.json == {"amount": ["Amount Breakdown mismatch."], "error_key": "validation_error"}


def test_a_breakdown_is_not_compared_with_an_amount_that_is_none(client: Client) -> None:
    reply = client.api("initiate", ORDER | {"amount": "", "amount_breakdown": []})
    assert reply.json["amount"] == ["A valid integer is required."]


# Keys


@pytest.mark.parametrize("name", ["initiate", "lookup"])
@pytest.mark.parametrize("authorization", [None, "", KEY, "Key", "Bearer " + KEY])
def test_a_request_without_a_key_is_told_so(client: Client, name: str, authorization: str | None) -> None:
    reply = client.api(name, ORDER, authorization)
    assert reply.status == 401
    assert reply.json == {"detail": "Authentication credentials were not provided.", "status_code": 401}


@pytest.mark.parametrize("name", ["initiate", "lookup"])
@pytest.mark.parametrize("key", ["another", f"{KEY} {KEY}", KEY.upper()])
def test_a_request_with_a_wrong_key_is_told_so(client: Client, name: str, key: str) -> None:
    reply = client.api(name, ORDER, f"Key {key}")
    assert reply.status == 401
    assert reply.json == {"detail": "Invalid token.", "status_code": 401}


def test_the_word_key_may_be_written_small(client: Client) -> None:
    assert client.api("initiate", ORDER, f"key {KEY}").status == 200


def test_the_key_is_checked_before_the_body(client: Client) -> None:
    assert client.send("POST", "/api/v2/epayment/initiate/", "{").status == 401


# Lookup


def test_lookup_of_a_fresh_payment_answers_initiated(client: Client) -> None:
    pidx = client.start()
    reply = client.lookup(pidx)
    assert reply.status == 200
    assert reply.json == {
        "pidx": pidx,
        "total_amount": 390000,
        "status": "Initiated",
        "transaction_id": None,
        "fee": 0,
        "refunded": False,
    }


def test_lookup_answers_http_400_once_the_payer_canceled(client: Client) -> None:
    pidx = client.start()
    client.click(pidx, "cancel")
    reply = client.lookup(pidx)
    assert reply.status == 400
    assert (reply.json["status"], reply.json["transaction_id"]) == ("User canceled", None)


def test_lookup_answers_http_400_once_the_link_expired(client: Client) -> None:
    pidx = client.start()
    assert client.act(pidx, "expire").json == {"status": "Expired", "redirect_url": None}
    reply = client.lookup(pidx)
    assert reply.status == 400
    assert reply.json["status"] == "Expired"


@pytest.mark.parametrize("pidx", ["unknown", 7])
def test_lookup_of_an_unknown_pidx_answers_not_found(client: Client, pidx: object) -> None:
    reply = client.api("lookup", {"pidx": pidx})
    assert reply.status == 404
    assert reply.json == {"detail": "Not found.", "error_key": "validation_error"}


def test_lookup_without_a_pidx_asks_for_it(client: Client) -> None:
    reply = client.api("lookup", {})
    assert reply.status == 400
    assert reply.json == {"pidx": ["This field is required."], "error_key": "validation_error"}


def test_a_merchant_sees_its_own_payments_only() -> None:
    with running_server(keys=("first", "second")) as server:
        client = Client(server)
        pidx = client.api("initiate", ORDER, "Key first").json["pidx"]
        assert client.api("lookup", {"pidx": pidx}, "Key first").status == 200
        reply = client.api("lookup", {"pidx": pidx}, "Key second")
    assert reply.status == 404
    assert reply.json == {"detail": "Not found.", "error_key": "validation_error"}


# Time


def test_a_link_expires_by_itself_after_half_an_hour_unless_money_is_on_its_way() -> None:
    now = [datetime(2025, 1, 1, 12, tzinfo=NEPAL_TIME)]
    khalti = Khalti(keys=[KEY], payment_page="http://127.0.0.1/khalti/pay/", now=lambda: now[0])
    untouched, pending = (str(khalti.initiate(KEY, ORDER)["pidx"]) for _ in range(2))
    khalti.decide(pending, Act.PENDING)
    now[0] += timedelta(minutes=30, microseconds=-1)
    assert khalti.find(untouched).status == "Initiated"
    now[0] += timedelta(microseconds=1)
    assert [payment.status for payment in khalti.ledger()] == ["Expired", "Pending"]
    assert not khalti.decide(untouched, Act.PAY).accepted
    assert khalti.decide(pending, Act.PAY).accepted


def test_the_same_seed_gives_the_same_ids_and_another_seed_gives_others() -> None:
    def ids(seed: int) -> tuple[str, str]:
        with running_server(seed=seed) as server:
            client = Client(server)
            pidx = client.start()
            client.act(pidx, "pay")
            return pidx, client.lookup(pidx).json["transaction_id"]

    assert ids(1) == ids(1)
    assert set(ids(1)).isdisjoint(ids(2))


# The payment page


def test_the_page_shows_what_is_bought_and_is_filled_in_for_one_click(client: Client) -> None:
    reply = client.page(client.start(amount=123456750, purchase_order_name="<b>Pro</b> & more"))
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;Pro&lt;/b&gt; &amp; more" in reply.text
    assert "Rs 12,34,567.50" in reply.text
    assert dict(re.findall(r'name="(payer|mpin|otp)" value="(\d+)"', reply.text)) == {
        "payer": "9800000000",
        "mpin": "1111",
        "otp": "987654",
    }
    assert re.findall(r"<button.*>(.*)</button>", reply.text) == ["Pay", "Cancel", "Leave pending", "Close tab"]


def test_the_page_has_no_script_and_no_inline_style(client: Client) -> None:
    reply = client.page(client.start())
    assert "<style>" in reply.text
    assert "<script" not in reply.text
    assert "style=" not in reply.text
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("paisa", "text"),
    [
        (1000, "Rs 10.00"),
        (99905, "Rs 999.05"),
        (100000, "Rs 1,000.00"),
        (10000000, "Rs 1,00,000.00"),
        (123456750, "Rs 12,34,567.50"),
    ],
)
def test_amounts_are_grouped_as_in_nepal(paisa: int, text: str) -> None:
    assert pages.rupees(paisa) == text


def test_pay_takes_the_money_and_returns_with_the_transaction(client: Client) -> None:
    pidx = client.start(purchase_order_name="Pro plan & more")
    reply = client.click(pidx, "pay", payer="9800000004")
    lookup = client.lookup(pidx).json
    transaction_id = lookup["transaction_id"]
    assert reply.status == 302
    assert reply.headers["Location"].startswith(f"{ORDER['return_url']}?pidx={pidx}&")
    assert "purchase_order_name=Pro%20plan%20%26%20more" in reply.headers["Location"]
    assert parameters(reply.headers["Location"]) == [
        ("pidx", pidx),
        ("txnId", transaction_id),
        ("amount", "390000"),
        ("total_amount", "390000"),
        ("status", "Completed"),
        ("mobile", "98XXXXX004"),
        ("tidx", transaction_id),
        ("purchase_order_id", "T1"),
        ("purchase_order_name", "Pro plan & more"),
        ("transaction_id", transaction_id),
    ]
    assert PIDX.fullmatch(transaction_id)
    assert lookup["status"] == "Completed"


@pytest.mark.parametrize(("action", "status"), [("cancel", "User canceled"), ("pending", "Pending")])
def test_returning_without_having_paid_carries_an_empty_transaction(client: Client, action: str, status: str) -> None:
    pidx = client.start()
    reply = client.click(pidx, action)
    assert reply.status == 302
    assert parameters(reply.headers["Location"]) == [
        ("pidx", pidx),
        ("transaction_id", ""),
        ("tidx", ""),
        ("amount", "390000"),
        ("total_amount", "390000"),
        ("mobile", ""),
        ("status", status),
        ("purchase_order_id", "T1"),
        ("purchase_order_name", "Pro plan"),
    ]
    assert client.lookup(pidx).json["status"] == status


def test_close_tab_takes_the_money_and_returns_nowhere(client: Client) -> None:
    pidx = client.start()
    reply = client.click(pidx, "close_tab")
    assert reply.status == 200
    assert "Location" not in reply.headers
    assert "The tab is closed now" in reply.text
    assert client.lookup(pidx).json["status"] == "Completed"


def test_a_pending_payment_can_still_be_completed(client: Client) -> None:
    pidx = client.start()
    client.click(pidx, "pending")
    assert client.lookup(pidx).status == 200
    assert ">Pay</button>" in client.page(pidx).text
    client.click(pidx, "pay")
    assert client.lookup(pidx).json["status"] == "Completed"


def test_a_return_url_keeps_its_own_query_and_fragment(client: Client) -> None:
    pidx = client.start(return_url="http://shop.example/back/?order=7#top")
    url = client.click(pidx, "cancel").headers["Location"]
    assert url.startswith(f"http://shop.example/back/?order=7&pidx={pidx}&")
    assert url.endswith("#top")


@pytest.mark.parametrize("action", ["pay", "close_tab"])
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("payer", '98"><script>', "Use a test Khalti ID from 9800000000 to 9800000005."),
        ("mpin", "2222", "Wrong MPIN. The test MPIN is 1111."),
        ("otp", "", "Wrong OTP. The test OTP is 987654."),
    ],
)
def test_a_payer_who_is_not_let_in_is_told_why_and_pays_nothing(
    client: Client, action: str, field: str, value: str, error: str
) -> None:
    pidx = client.start()
    reply = client.click(pidx, action, **{field: value})
    assert reply.status == 200
    assert f'role="alert">{error}<' in reply.text
    assert "<script" not in reply.text
    assert client.lookup(pidx).json["status"] == "Initiated"
    assert client.click(pidx, action).status in {200, 302}
    assert client.lookup(pidx).json["status"] == "Completed"


def test_canceling_needs_no_login(client: Client) -> None:
    assert client.click(client.start(), "cancel", payer="", mpin="", otp="").status == 302


@pytest.mark.parametrize("action", ["", "expire", "refund"])
def test_a_button_that_is_not_on_the_page_does_nothing(client: Client, action: str) -> None:
    pidx = client.start()
    reply = client.click(pidx, action)
    assert reply.status == 200
    assert ">Pay</button>" in reply.text
    assert client.lookup(pidx).json["status"] == "Initiated"


@pytest.mark.parametrize(
    ("end", "title"),
    [
        ("pay", "This payment is completed"),
        ("cancel", "This payment was canceled"),
        ("expire", "This payment link has expired"),
    ],
)
@pytest.mark.parametrize("action", ["pay", "cancel", "pending", "close_tab"])
def test_a_payment_that_is_over_says_so_and_stays_as_it_is(client: Client, end: str, title: str, action: str) -> None:
    pidx = client.start()
    client.act(pidx, end)
    before = client.ledger()
    opened, clicked = client.page(pidx), client.click(pidx, action, mpin="wrong")
    assert (opened.status, clicked.status) == (200, 200)
    assert title in opened.text
    assert title in clicked.text
    assert "<button" not in opened.text + clicked.text
    assert client.ledger() == before


def test_an_unknown_pidx_has_no_page(client: Client) -> None:
    replies = [client.page("unknown"), client.send("GET", "/khalti/pay/"), client.click("unknown", "pay")]
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert all("No such payment" in reply.text for reply in replies)


# Control


def test_control_acts_as_the_payer_would(client: Client) -> None:
    pidx = client.start()
    pending, paid = client.act(pidx, "pending"), client.act(pidx, "pay")
    assert (pending.status, paid.status) == (200, 200)
    assert pending.json["status"] == "Pending"
    assert ("status", "Pending") in parameters(pending.json["redirect_url"])
    assert paid.json["status"] == "Completed"
    assert ("mobile", "98XXXXX000") in parameters(paid.json["redirect_url"])


def test_control_closes_the_tab_without_a_redirect(client: Client) -> None:
    assert client.act(client.start(), "close_tab").json == {"status": "Completed", "redirect_url": None}


def test_control_answers_conflict_when_the_payment_is_over(client: Client) -> None:
    pidx = client.start()
    client.act(pidx, "cancel")
    reply = client.act(pidx, "pay")
    assert reply.status == 409
    assert reply.json == {"status": "User canceled", "redirect_url": None}


def test_of_many_who_pay_at_once_one_pays(client: Client) -> None:
    pidx = client.start()
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: client.act(pidx, "pay").status, range(32)))
    assert sorted(statuses) == [200] + [409] * 31


def test_tampering_changes_what_lookup_says_and_not_what_happened(client: Client) -> None:
    pidx = client.start()
    reply = client.control("khalti", {"pidx": pidx, "set": {"total_amount": 500, "status": "Completed"}})
    client.control("khalti", {"pidx": pidx, "set": {"transaction_id": "forged"}})
    told = client.lookup(pidx).json
    assert reply.status == 200
    assert reply.json == told | {"transaction_id": None}
    assert (told["total_amount"], told["status"], told["transaction_id"]) == (500, "Completed", "forged")
    assert client.ledger() == [
        {
            "pidx": pidx,
            "purchase_order_id": "T1",
            "amount": 390000,
            "status": "Initiated",
            "transaction_id": None,
            "captured": False,
            "refunded": 0,
        }
    ]


@pytest.mark.parametrize(("status", "code"), [("Expired", 400), ("Refunded", 200), (["odd"], 200)])
def test_the_http_status_of_lookup_follows_a_tampered_status(client: Client, status: object, code: int) -> None:
    pidx = client.start()
    client.control("khalti", {"pidx": pidx, "set": {"status": status}})
    reply = client.lookup(pidx)
    assert (reply.status, reply.json["status"]) == (code, status)


def test_tampering_with_what_lookup_does_not_answer_is_refused(client: Client) -> None:
    reply = client.control("khalti", {"pidx": client.start(), "set": {"state": "Completed", "amount": 1}})
    assert reply.status == 400
    assert reply.json == {"detail": "Lookup does not answer with amount, state."}


def test_the_ledger_tells_captured_payments_from_others_oldest_first(client: Client) -> None:
    paid, closed, canceled = (client.start(purchase_order_id=name) for name in ("A", "B", "C"))
    client.act(canceled, "cancel")
    client.act(closed, "close_tab")
    client.act(paid, "pay")
    lines = client.ledger()
    assert [(line["purchase_order_id"], line["captured"]) for line in lines] == [("A", True), ("B", True), ("C", False)]
    assert [bool(line["transaction_id"]) for line in lines] == [True, True, False]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"pidx": "x"},
        {"pidx": 1, "action": "pay"},
        {"pidx": "x", "action": "refund"},
        {"pidx": "x", "set": "Completed"},
        {"pidx": "x", "action": "pay", "set": {}},
        {"pidx": "x", "set": {}, "more": 1},
    ],
)
def test_control_explains_what_it_expects(client: Client, body: object) -> None:
    reply = client.control("khalti", body)
    assert reply.status == 400
    assert reply.json["detail"].startswith("Expected a pidx and either an action (pay, cancel, ")


@pytest.mark.parametrize("change", [{"action": "pay"}, {"set": {"status": "Completed"}}])
def test_control_of_an_unknown_pidx_answers_not_found(client: Client, change: dict[str, object]) -> None:
    assert client.control("khalti", {"pidx": "unknown", **change}).status == 404


# Faults


def order_fault(client: Client, mode: str, times: int) -> None:
    reply = client.control("faults", {"fault": {"mode": mode, "times": times}})
    assert (reply.status, reply.json) == (200, {"fault": {"mode": mode, "times": times}})


def test_a_gateway_that_is_down_closes_the_connection_as_often_as_ordered(client: Client) -> None:
    order_fault(client, "down", 2)
    for name in ("initiate", "lookup"):
        with pytest.raises(http.client.RemoteDisconnected):
            client.api(name, ORDER)
    assert client.ledger() == []
    client.start()


def test_a_gateway_may_answer_a_page_instead_of_json(client: Client) -> None:
    order_fault(client, "html", 1)
    reply = client.api("initiate", ORDER)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.text.startswith("<!doctype html>")
    client.start()


def test_a_gateway_may_answer_a_server_error(client: Client) -> None:
    pidx = client.start()
    order_fault(client, "500", 1)
    reply = client.lookup(pidx)
    assert (reply.status, reply.json) == (500, {"detail": "Internal server error."})
    assert client.lookup(pidx).status == 200


def test_a_silent_gateway_keeps_the_client_waiting(client: Client) -> None:
    order_fault(client, "silent", 1)
    connection = http.client.HTTPConnection("127.0.0.1", client.server.server_port, timeout=0.2)
    connection.request("POST", "/api/v2/epayment/lookup/", "{}")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    client.start()


def test_shutting_down_does_not_wait_for_clients_that_are_kept_waiting_or_say_nothing() -> None:
    with running_server() as server:
        order_fault(Client(server), "silent", 1)
        waiting = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        waiting.request("POST", "/api/v2/epayment/lookup/", "{}")
        mute = socket.create_connection(("127.0.0.1", server.server_port), timeout=30)
        # Connections are taken in order: once a later one is answered, both of these are the server's.
        front_page = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        front_page.request("GET", "/")
        assert front_page.getresponse().status == 200
        front_page.close()
    with pytest.raises(ConnectionError):
        waiting.getresponse()
    waiting.close()
    mute.close()


def test_a_new_order_replaces_the_last_and_zero_times_means_none(client: Client) -> None:
    order_fault(client, "down", 5)
    order_fault(client, "500", 0)
    client.start()


def test_faults_spare_the_payer_and_the_control(client: Client) -> None:
    pidx = client.start()
    order_fault(client, "down", 1)
    assert client.page(pidx).status == 200
    assert client.act(pidx, "pay").status == 200
    with pytest.raises(http.client.RemoteDisconnected):
        client.lookup(pidx)


@pytest.mark.parametrize(
    "fault",
    [None, "down", {}, {"mode": "down"}, {"mode": "slow", "times": 1}, {"mode": "down", "times": -1}, {"times": 1}],
)
def test_an_impossible_fault_is_refused(client: Client, fault: object) -> None:
    reply = client.control("faults", {"fault": fault})
    assert reply.status == 400
    assert reply.json["detail"].startswith("Expected a fault: mode (one of down, silent, html, 500, ")
    assert reply.json["detail"].endswith(") and times (0 or more).")
    client.start()


# HTTP


def test_the_front_page_says_what_runs_here(client: Client) -> None:
    client.start()
    reply = client.send("GET", "/")
    assert reply.status == 200
    assert "The simulator is running" in reply.text
    assert "Payments so far: 1." in reply.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8001", "LOCALHOST", "127.0.0.2:80"])
def test_a_loopback_host_is_answered(client: Client, host: str) -> None:
    assert client.send("GET", "/control/ledger/", headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["", "attacker.example", "127.0.0.1.attacker.example:8001", "192.168.1.2", "[::1]:80"])
@pytest.mark.parametrize("path", ["/", "/control/ledger/", "/khalti/pay/", "/elsewhere/"])
def test_another_host_is_refused_everywhere(client: Client, host: str, path: str) -> None:
    reply = client.send("GET", path, headers={"Host": host})
    assert reply.status == 403
    assert reply.json == {"detail": "Ask for 127.0.0.1 or localhost."}


def test_an_unknown_address_answers_not_found(client: Client) -> None:
    assert client.send("GET", "/elsewhere/").status == 404
    assert client.send("POST", "/api/v2/epayment/lookup", "{}").status == 404


def test_a_wrong_method_is_named(client: Client) -> None:
    reply = client.send("GET", "/api/v2/epayment/lookup/")
    assert reply.status == 405
    assert reply.json == {"detail": 'Method "GET" not allowed.'}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 60_000, b'{"a": ' + b"1" * 5000 + b"}"],
    ids=["empty", "unfinished", "not UTF-8", "too deep", "too long a number"],
)
@pytest.mark.parametrize("path", ["/api/v2/epayment/initiate/", "/control/khalti/", "/control/faults/"])
def test_a_body_that_is_not_json_is_refused(client: Client, path: str, body: bytes) -> None:
    reply = client.send("POST", path, body, {"Authorization": f"Key {KEY}"})
    assert reply.status == 400
    assert reply.json["detail"].startswith("JSON parse error - ")


def test_a_body_that_is_json_but_no_object_is_refused(client: Client) -> None:
    reply = client.control("khalti", ["pay"])
    assert reply.status == 400
    assert reply.json == {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}


def test_a_body_of_64_kb_is_read_and_a_larger_one_is_refused(client: Client) -> None:
    body = json.dumps(ORDER).ljust(64 * 1024)
    path, headers = "/api/v2/epayment/initiate/", {"Authorization": f"Key {KEY}"}
    assert client.send("POST", path, body, headers).status == 200
    reply = client.send("POST", path, body + " ", headers)
    assert reply.status == 413
    assert reply.json == {"detail": "The body is larger than 64 KB."}


@pytest.mark.parametrize("length", ["many", "-1", "1" * 20])
def test_a_malformed_length_is_refused(client: Client, length: str) -> None:
    reply = client.send("POST", "/control/faults/", headers={"Content-Length": length})
    assert reply.status == 400
    assert reply.json == {"detail": "Malformed Content-Length."}


def test_a_form_that_is_not_utf_8_is_read_as_far_as_it_goes(client: Client) -> None:
    assert client.send("POST", "/khalti/pay/", b"pidx=\xff&action=pay").status == 404


def test_a_client_that_hangs_up_halfway_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with running_server() as server:
        connection = socket.create_connection(("127.0.0.1", server.server_port))
        connection.sendall(b"POST /control/faults/ HTTP/1.0\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        Client(server).start()
    output = capfd.readouterr()
    assert output.out + output.err == ""


# The command line


def run(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "django_tenant_billing.contrib.simulator", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": ""}
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_one_line_serves_and_stops_cleanly_when_asked(stop: signal.Signals) -> None:
    with run("--port", "0", "--khalti-key", "first", "--khalti-key", "second", "--seed", "7") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"Simulator ready at http://127\.0\.0\.1:(\d+)/\n", line)
        assert match is not None, line
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=30)
        for key, status in (("first", 200), ("second", 200), (KEY, 401)):
            headers = {"Authorization": f"Key {key}"}
            connection.request("POST", "/api/v2/epayment/initiate/", json.dumps(ORDER), headers)
            response = connection.getresponse()
            response.read()
            assert response.status == status
        connection.close()
        process.send_signal(stop)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "shop.example"])
def test_the_command_refuses_to_listen_to_other_machines(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--host", host, "--port", "0"])
    assert stopped.value.code == 2
    assert f"this machine only: use 127.0.0.1, not {host}." in capsys.readouterr().err


def test_the_command_explains_a_port_it_cannot_have(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    for port in (client.server.server_port, 70000):
        with pytest.raises(SystemExit) as stopped:
            main(["--port", str(port)])
        assert stopped.value.code == 2
        assert f"cannot listen on 127.0.0.1, port {port}: " in capsys.readouterr().err


def test_what_the_protocol_refuses_carries_its_status_and_body() -> None:
    khalti = Khalti(keys=[KEY], payment_page="http://127.0.0.1/khalti/pay/")
    with pytest.raises(RequestError) as refused:
        khalti.find("unknown")
    assert (refused.value.status, refused.value.body["detail"]) == (404, "Not found.")
