"""What goes wrong at the simulator: ordered fault by fault, or drawn from a seed."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from django_tenant_billing.contrib.simulator.__main__ import main
from django_tenant_billing.contrib.simulator.faults import AFTERWARDS, LIES, Fault, Faults, Plan, Way, fitting
from django_tenant_billing.contrib.simulator.server import running_server
from tests.test_simulator import KEY, ORDER, Client, Reply, run
from tests.test_simulator_esewa import FORM, booked

ASKED = {"product_code": "EPAYTEST", "total_amount": "110", "transaction_uuid": "241028"}
LOOKUP = "/api/v2/epayment/lookup/"


@pytest.fixture
def client() -> Iterator[Client]:
    with running_server() as server:
        yield Client(server)


def order(client: Client, mode: str, **more: object) -> None:
    reply = client.control("faults", {"fault": {"mode": mode, "times": 1, **more}})
    assert (reply.status, reply.json) == (200, {"fault": {"mode": mode, "times": 1}})


def status(client: Client) -> Reply:
    return client.send("GET", f"/api/epay/transaction/status/?{urlencode(ASKED)}")


def paid(client: Client) -> str:
    pidx = client.start()
    client.act(pidx, "pay")
    return pidx


def raw(client: Client, path: str, body: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", client.server.server_port, timeout=30)
    connection.request("POST", path, body, {"Authorization": f"Key {KEY}"})
    return connection.getresponse()


# Requests that the wallet has not seen


@pytest.mark.parametrize("code", [500, 502, 503, 504, 429, 401, 403])
def test_a_wallet_may_refuse_a_request_by_any_of_these_codes(client: Client, code: int) -> None:
    order(client, str(code))
    reply = client.api("initiate", ORDER)
    assert (reply.status, set(reply.json) <= {"detail", "status_code"}) == (code, True)
    assert client.ledger() == []
    client.start()


def test_429_says_when_to_come_again(client: Client) -> None:
    order(client, "429", seconds=7)
    assert client.api("initiate", ORDER).headers["Retry-After"] == "7"
    order(client, "429")
    assert client.api("initiate", ORDER).headers["Retry-After"] == "60"


def test_a_connection_may_be_reset(client: Client) -> None:
    order(client, "reset")
    with pytest.raises(ConnectionResetError):
        client.api("initiate", ORDER)
    assert client.ledger() == []
    client.start()


def test_an_answer_may_be_empty_or_lead_elsewhere(client: Client) -> None:
    order(client, "empty")
    assert client.api("initiate", ORDER).text == ""
    order(client, "redirect")
    reply = client.api("initiate", ORDER)
    assert (reply.status, reply.headers["Location"]) == (302, "http://169.254.169.254/latest/meta-data/")


def test_an_answer_may_be_ten_megabytes_or_become_fifty(client: Client) -> None:
    pidx = client.start()
    order(client, "large")
    assert len(client.lookup(pidx).text) == 10_000_002
    order(client, "bomb")
    response = raw(client, LOOKUP, json.dumps({"pidx": pidx}))
    packed = response.read()
    assert (response.headers["Content-Encoding"], len(packed) < 100_000) == ("gzip", True)
    assert len(gzip.decompress(packed)) == 50_000_002


def test_esewa_may_say_that_its_service_is_unavailable(client: Client) -> None:
    booked(client)
    order(client, "service")
    reply = status(client)
    assert (reply.status, reply.json) == (200, {"code": 0, "error_message": "Service is currently unavailable"})
    assert status(client).json["status"] == "PENDING"


# Requests that took effect


@pytest.mark.parametrize("mode", ["lost", "truncated", "twice", "nan"])
def test_what_was_asked_took_effect_though_the_answer_never_came_whole(client: Client, mode: str) -> None:
    order(client, mode)
    try:
        text = client.api("initiate", ORDER).text
    except http.client.RemoteDisconnected:
        text = ""
    assert [line["purchase_order_id"] for line in client.ledger()] == ["T1"]
    broken = {
        "lost": text == "",
        "truncated": text.startswith('{"pidx"') and not text.endswith("}"),
        "twice": text.count('"status"') == 2,
        "nan": "NaN" in text,
    }
    assert broken[mode]


def test_a_refund_whose_answer_is_lost_was_made(client: Client) -> None:
    pidx = paid(client)
    transaction = client.lookup(pidx).json["transaction_id"]
    order(client, "lost")
    with pytest.raises(http.client.RemoteDisconnected):
        client.send("POST", f"/api/merchant-transaction/{transaction}/refund/", "{}", {"Authorization": f"Key {KEY}"})
    assert client.ledger()[0]["refunded"] == 390_000


def test_a_refusal_can_be_lost_like_any_answer(client: Client) -> None:
    order(client, "lost")
    with pytest.raises(http.client.RemoteDisconnected):
        client.api("initiate", {})
    order(client, "lost")
    with pytest.raises(http.client.RemoteDisconnected):
        client.send("POST", LOOKUP, "no JSON", {"Authorization": f"Key {KEY}"})
    assert client.ledger() == []


def test_an_answer_may_come_late(client: Client) -> None:
    order(client, "delay", seconds=0.2)
    began = time.monotonic()
    client.start()
    assert time.monotonic() - began >= 0.2


def test_an_answer_may_come_byte_by_byte(client: Client) -> None:
    pidx = client.start()
    order(client, "drip", seconds=0.001)
    assert client.lookup(pidx).json["status"] == "Initiated"


@pytest.mark.parametrize("mode", ["delay", "drip", "silent"])
def test_who_hangs_up_on_a_slow_wallet_leaves_it_free(client: Client, mode: str) -> None:
    pidx = client.start()
    order(client, mode, seconds=600)
    connection = http.client.HTTPConnection("127.0.0.1", client.server.server_port, timeout=0.2)
    connection.request("POST", LOOKUP, json.dumps({"pidx": pidx}), {"Authorization": f"Key {KEY}"})
    with pytest.raises(TimeoutError):
        connection.getresponse().read()
    connection.close()
    assert client.lookup(pidx).status == 200


# Lies


def test_a_lie_about_amount_reference_or_merchant_is_told_once_and_the_ledger_stays_true(client: Client) -> None:
    pidx = paid(client)
    true = client.lookup(pidx).json
    for mode in ("amount", "reference", "flip"):
        order(client, mode)
        told = client.lookup(pidx).json
        (changed,) = [name for name in true if told[name] != true[name]]
        assert changed == {"amount": "total_amount", "reference": "pidx", "flip": "status"}[mode]
    order(client, "merchant")
    reply = client.lookup(pidx)
    assert (reply.status, reply.json["detail"]) == (404, "Not found.")
    assert client.lookup(pidx).json == true


def test_esewa_lies_in_its_own_words(client: Client) -> None:
    booked(client)
    client.control("esewa", {"transaction_uuid": "241028", "action": "pay"})
    true = status(client).json
    for mode, changed in (
        ("amount", "total_amount"), ("reference", "transaction_uuid"), ("flip", "status"), ("merchant", "product_code")
    ):  # fmt: skip
        order(client, mode)
        told = status(client).json
        assert [name for name in true if told[name] != true[name]] == [changed]
    assert status(client).json == true


def test_a_flip_never_says_that_money_came_and_keeps_the_code_that_belongs_to_its_word(client: Client) -> None:
    pidx, seen = client.start(), set()
    for _time in range(40):
        order(client, "flip")
        reply = client.lookup(pidx)
        seen.add((reply.json["status"], reply.status))
    assert seen == {("Pending", 200), ("Expired", 400), ("User canceled", 400)}


@pytest.mark.parametrize("mode", LIES)
def test_a_lie_that_is_ordered_for_something_else_than_a_question_changes_nothing(client: Client, mode: Fault) -> None:
    order(client, mode)
    client.start()


# Time


def test_a_wallet_may_not_know_yet_what_was_paid(client: Client) -> None:
    assert client.control("khalti", {"knobs": {"not_found": 900}}).json["knobs"]["not_found"] == 900
    pidx = paid(client)
    assert client.lookup(pidx).status == 404
    client.control("khalti", {"knobs": {"not_found": 0, "pending": 900}})
    assert (client.lookup(pidx).json["status"], client.lookup(pidx).json["transaction_id"]) == ("Pending", None)
    client.control("khalti", {"knobs": {"pending": 0}})
    assert client.lookup(pidx).json["status"] == "Completed"


def test_esewa_may_not_find_or_understand_at_first_what_was_paid(client: Client) -> None:
    booked(client)
    client.control("esewa", {"knobs": {"not_found": 900, "ambiguous": 900}})
    client.control("esewa", {"transaction_uuid": "241028", "action": "pay"})
    told = status(client).json
    assert (told["status"], told["ref_id"]) == ("NOT_FOUND", None)
    client.control("esewa", {"knobs": {"not_found": 0}})
    assert status(client).json["status"] == "AMBIGUOUS"
    client.control("esewa", {"knobs": {"ambiguous": 0}})
    assert status(client).json["status"] == "COMPLETE"


def test_links_and_sessions_last_as_long_as_is_set(client: Client) -> None:
    client.control("khalti", {"knobs": {"lifetime": 3600, "fee": 300}})
    reply = client.api("initiate", ORDER)
    assert reply.json["expires_in"] == 3600
    assert client.lookup(reply.json["pidx"]).json["fee"] == 300
    client.control("khalti", {"knobs": {"lifetime": 0}})
    assert client.lookup(client.start()).json["status"] == "Expired"
    client.control("esewa", {"knobs": {"session": 0}})
    booked(client)
    assert status(client).json["status"] == "NOT_FOUND"


@pytest.mark.parametrize("wallet", ["khalti", "esewa"])
@pytest.mark.parametrize(
    "knobs", [{"speed": 1}, {"not_found": -1}, {"not_found": "5"}, {"not_found": True}, {"not_found": float("nan")}]
)
def test_an_impossible_knob_is_refused(client: Client, wallet: str, knobs: dict[str, Any]) -> None:
    reply = client.control(wallet, {"knobs": knobs})
    assert reply.status == 400
    assert reply.json["detail"].startswith("No such knob or value: ")
    assert client.control("khalti", {"knobs": {"refunds": "never"}}).status == 400


# Refunds


def test_khaltis_refunds_may_need_a_mobile_number_or_be_closed(client: Client) -> None:
    transaction = client.lookup(paid(client)).json["transaction_id"]

    def refund(**body: object) -> int:
        path = f"/api/merchant-transaction/{transaction}/refund/"
        return client.send("POST", path, json.dumps(body), {"Authorization": f"Key {KEY}"}).status

    client.control("khalti", {"knobs": {"refunds": "closed"}})
    assert refund(mobile="9800000001") == 400
    client.control("khalti", {"knobs": {"refunds": "mobile"}})
    assert (refund(amount=1000), refund(amount=1000, mobile="9800000001")) == (400, 200)
    client.control("khalti", {"knobs": {"refunds": "open"}})
    assert refund() == 200
    assert client.ledger()[0]["refunded"] == 390_000


def test_a_dashboard_sends_back_a_part_or_all_and_never_more(client: Client) -> None:
    pidx = client.start()
    assert client.control("khalti", {"pidx": pidx, "refund": None}).status == 400
    client.act(pidx, "pay")
    assert client.control("khalti", {"pidx": pidx, "refund": 1000}).json == {
        "status": "Partially Refunded",
        "refunded": 1000,
    }
    assert client.control("khalti", {"pidx": pidx, "refund": 390_000}).status == 400
    assert client.control("khalti", {"pidx": pidx, "refund": None}).json["status"] == "Refunded"
    assert "This payment was refunded" in client.page(pidx).text


def test_esewas_panel_does_the_same_and_its_status_says_so(client: Client) -> None:
    booking = booked(client)
    assert client.control("esewa", {"transaction_uuid": "241028", "refund": None}).status == 400
    client.control("esewa", {"transaction_uuid": "241028", "action": "pay"})
    part = client.control("esewa", {"transaction_uuid": "241028", "refund": 10.5}).json
    assert part == {"status": "PARTIAL_REFUND", "refunded": 10.5}
    for amount in (99.6, -1, "10", float("nan")):
        assert client.control("esewa", {"transaction_uuid": "241028", "refund": amount}).status == 400
    client.control("esewa", {"transaction_uuid": "241028", "refund": None})
    assert status(client).json["status"] == "FULL_REFUND"
    assert "This payment was refunded" in client.send("GET", f"/epay?bookingId={booking}").text


# The plan


def drawn(faults: Faults, names: list[str]) -> dict[str, list[Any]]:
    return {name: [(f := faults.take("khalti", "lookup", name)) and f.mode for _time in range(20)] for name in names}


def test_the_same_seed_gives_the_same_faults_whatever_the_order_and_the_threads() -> None:
    names = [f"T{n}" for n in range(50)]
    plan = Plan(7, faults=0.3)
    once = drawn(Faults(plan), names)
    assert drawn(Faults(plan), names[::-1]) == once
    together = Faults(plan)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda name: drawn(together, [name]), names))
    assert {name: modes for part in parts for name, modes in part.items()} == once
    assert drawn(Faults(Plan(8, faults=0.3)), names) != once
    met = [mode for modes in once.values() for mode in modes]
    assert 0.25 < sum(mode is not None for mode in met) / len(met) < 0.35
    assert set(met) == {None, *fitting(Fault, "khalti", "lookup")}


def test_over_http_the_same_requests_meet_the_same_faults() -> None:
    def answers(seed: int) -> list[Any]:
        modes = tuple(fault for fault in Fault if fault not in (Fault.SILENT, Fault.DELAY, Fault.DRIP, Fault.LARGE))
        with running_server(seed=seed, plan=Plan(seed, faults=0.5, modes=modes)) as server:
            client = Client(server)
            for _time in range(30):
                try:
                    client.api("initiate", ORDER)
                except (http.client.HTTPException, ConnectionError, UnicodeDecodeError):
                    continue
            return [(entry["fault"], entry["status"]) for entry in client.send("GET", "/control/requests/").json]

    assert answers(5) == answers(5) != answers(6)


def test_only_questions_are_answered_by_lies_and_only_esewa_speaks_as_esewa() -> None:
    assert set(LIES) < set(AFTERWARDS)
    assert set(fitting(Fault, "khalti", "initiate")) == set(Fault) - set(LIES) - {Fault.SERVICE}
    assert set(fitting(Fault, "esewa", "status")) == set(Fault)
    only_lies = Faults(Plan(1, faults=1, modes=LIES))
    assert only_lies.take("khalti", "refund", "T1") is None
    assert only_lies.take("khalti", "lookup", "T1") is not None


def test_a_plan_can_be_changed_and_is_told(client: Client) -> None:
    reply = client.control("plan", {"seed": 7, "faults": 1, "modes": ["500"]})
    assert reply.json == {"seed": 7, "plan": "faults:1=500;returns:0"}
    assert client.api("initiate", ORDER).status == 500
    assert client.control("plan", {}).json == {"seed": 0, "plan": "faults:0;returns:0"}
    client.start()


@pytest.mark.parametrize(
    "plan",
    [{"faults": 1.1}, {"faults": "all"}, {"seed": 1.5}, {"modes": "500"}, {"modes": ["slow"]}, {"modes": [1]},
     {"ways": ["home"]}, {"speed": 1}],
)  # fmt: skip
def test_an_impossible_plan_is_refused(client: Client, plan: dict[str, Any]) -> None:
    reply = client.control("plan", plan)
    assert reply.status == 400
    assert reply.json["detail"].startswith("Expected seed, faults, returns, modes, ways: ")
    client.start()


@pytest.mark.parametrize("more", [{"seconds": -1}, {"seconds": "1"}, {"seconds": 10**6}, {"speed": 1}])
def test_an_impossible_time_is_refused(client: Client, more: dict[str, Any]) -> None:
    reply = client.control("faults", {"fault": {"mode": "delay", "times": 1, **more}})
    assert reply.status == 400
    client.start()


def test_the_log_of_requests_says_what_was_asked_about_whom_and_how_it_went(client: Client) -> None:
    pidx = client.start()
    order(client, "500")
    client.lookup(pidx)
    client.page(pidx)
    booked(client)
    status(client)
    client.lookup("unknown")
    log = client.send("GET", "/control/requests/").json
    told = [(one["wallet"], one["call"], one["reference"], one["fault"], one["status"]) for one in log]
    assert told == [
        ("khalti", "initiate", "T1", None, 200),
        ("khalti", "lookup", "T1", "500", 500),
        (None, None, None, None, 200),
        (None, None, None, None, 302),
        ("esewa", "status", "241028", None, 200),
        ("khalti", "lookup", "", None, 404),
    ]
    assert KEY not in str(log)


# The command line


def test_the_command_prints_its_seed_and_plan() -> None:
    with run("--port", "0", "--seed", "7", "--faults", "0.3", "--returns", "1") as process:
        assert process.stdout is not None
        ready, plan = process.stdout.readline(), process.stdout.readline()
        process.terminate()
        process.communicate(timeout=30)
    assert ready.startswith("Simulator ready at http://127.0.0.1:")
    assert plan == "seed=7 plan=faults:0.3;returns:1\n"


@pytest.mark.parametrize("share", ["1.5", "-1", "some"])
def test_the_command_explains_what_a_share_is(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--faults", share])
    assert "--faults" in capsys.readouterr().err


# Ways back


def send_back(client: Client, way: str, wallet: str = "khalti", action: str = "pay") -> Any:
    reply = client.control("faults", {"return": {"mode": way, "times": 1}})
    assert reply.json == {"return": {"mode": way, "times": 1}}
    if wallet == "khalti":
        return client.act(client.start(), action).json
    booked(client)
    return client.control("esewa", {"transaction_uuid": "241028", "action": action}).json


def released(client: Client) -> list[str]:
    urls: list[str] = client.control("returns", {"release": True}).json["returns"]
    return urls


def test_a_payer_may_never_come_back(client: Client) -> None:
    assert send_back(client, "lost") == {"status": "Completed", "redirect_url": None, "returns": "lost"}
    assert released(client) == []
    assert client.act(client.start(), "pay").json["redirect_url"] is not None


def test_a_payer_may_come_back_twice_or_late_and_out_of_order(client: Client) -> None:
    twice = send_back(client, "doubled")["redirect_url"]
    assert send_back(client, "late")["redirect_url"] is None
    late, again = released(client)
    assert (again == twice, late != twice) == (True, True)
    assert released(client) == []
    assert client.control("returns", {"release": False}).status == 400


def test_the_pages_hold_a_browser_back_too(client: Client) -> None:
    client.control("faults", {"return": {"mode": "late", "times": 2}})
    assert "You did not return" in client.click(client.start(), "pay").text
    form = {"bookingId": booked(client), "payer": "9711111114", "password": "Nepal@123", "token": "123456"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert "You did not return" in client.send("POST", "/epay", urlencode({**form, "action": "pay"}), headers).text
    assert len(released(client)) == 2


def test_a_forger_claims_at_khalti_to_have_paid(client: Client) -> None:
    url = send_back(client, "forged", action="cancel")["redirect_url"]
    assert "status=Completed" in url
    assert client.ledger()[0]["status"] == "User canceled"


def test_a_meddler_changes_what_khalti_said(client: Client) -> None:
    url = send_back(client, "tampered")["redirect_url"]
    assert "amount=1000&total_amount=1000" in url
    assert "purchase_order_id=T0" in url


def test_a_naive_gateway_adds_a_second_question_mark(client: Client) -> None:
    client.control("faults", {"return": {"mode": "naive", "times": 1}})
    pidx = client.start(return_url="http://shop.example/?order=1")
    assert client.act(pidx, "pay").json["redirect_url"].startswith("http://shop.example/?order=1?pidx=")


def data_in(url: str) -> Any:
    packed = url.partition("?data=")[2]
    return json.loads(base64.b64decode(packed, validate=True))


def test_a_forger_brings_esewa_the_signature_of_our_own_form(client: Client) -> None:
    url = send_back(client, "forged", "esewa", "cancel")["redirect_url"]
    assert url.startswith(FORM["success_url"])
    told = data_in(url)
    assert (told["status"], told["signature"]) == ("COMPLETE", FORM["signature"])
    assert told["signed_field_names"] == FORM["signed_field_names"]


@pytest.mark.parametrize(("action", "where"), [("pay", "success_url"), ("cancel", "failure_url")])
def test_a_meddler_changes_what_esewa_signed(client: Client, action: str, where: str) -> None:
    url = send_back(client, "tampered", "esewa", action)["redirect_url"]
    assert url.startswith(FORM[where])
    assert data_in(url)["total_amount"] == "1.0"


def test_a_failure_may_come_with_data(client: Client) -> None:
    url = send_back(client, "data", "esewa", "cancel")["redirect_url"]
    assert url.startswith(FORM["failure_url"])
    assert (data_in(url)["status"], data_in(url)["total_amount"]) == ("CANCELED", "110.0")


@pytest.mark.parametrize("way", [None, "late", {"mode": "home", "times": 1}, {"mode": "late", "times": -1}])
def test_an_impossible_way_back_is_refused(client: Client, way: object) -> None:
    reply = client.control("faults", {"return": way})
    assert reply.status == 400
    assert reply.json["detail"].startswith("Expected a return: mode (one of lost, doubled, late, ")


def test_ways_back_follow_the_plan_too(client: Client) -> None:
    client.control("plan", {"returns": 1, "ways": ["lost"]})
    assert client.act(client.start(), "pay").json["returns"] == "lost"
    faults = Faults(Plan(3, returns=1, ways=(Way.DATA,)))
    assert (faults.way("khalti", "T1"), faults.way("esewa", "T1")) == (None, Way.DATA)


# The page for people


def press(client: Client, **form: str) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.send("POST", "/control/", urlencode(form), headers)


def test_a_person_sees_both_ledgers_and_chooses_what_becomes_of_a_payment(client: Client) -> None:
    pidx = client.start(purchase_order_id="<b>T1</b>")
    booked(client)
    page = client.send("GET", "/control/")
    assert (page.status, "&lt;b&gt;T1&lt;/b&gt;" in page.text, "EPAYTEST, 241028" in page.text) == (200, True, True)
    assert page.text.count(">expire</button>") == 2
    assert "<script" not in page.text
    assert press(client, to="khalti", pidx=pidx, action="pay").headers["Location"] == "/control/"
    press(client, to="esewa", transaction_uuid="241028", product_code="EPAYTEST", action="close_tab")
    page = client.send("GET", "/control/")
    assert page.text.count(">refund</button>") == 2
    press(client, to="khalti", pidx=pidx, refund="all")
    press(client, to="esewa", transaction_uuid="241028", product_code="EPAYTEST", refund="all")
    assert client.ledger()[0]["status"] == "Refunded"
    assert status(client).json["status"] == "FULL_REFUND"
    assert ">refund</button>" not in client.send("GET", "/control/").text


def test_a_person_orders_faults_and_lets_browsers_go(client: Client) -> None:
    press(client, to="faults", fault="502", times="1")
    assert client.api("initiate", ORDER).status == 502
    press(client, to="faults", **{"return": "late"})
    client.act(client.start(), "pay")
    assert "Held back" in client.send("GET", "/control/").text
    press(client, to="returns", release="true")
    page = client.send("GET", "/control/").text
    assert ("Held back" in page, "<td>502</td>" in page) == (False, True)


def test_a_button_that_cannot_be_pressed_says_why(client: Client) -> None:
    assert press(client, to="bank").status == 400
    reply = press(client, to="khalti", pidx="<unknown>", action="pay")
    assert (reply.status, "Not found." in reply.text) == (404, True)
    for times in ("many", "²", "1000000"):
        reply = press(client, to="faults", fault="502", times=times)
        assert (reply.status, "Write how often" in reply.text) == (400, True)


def test_a_server_that_stops_ends_what_still_drips() -> None:
    with running_server() as server:
        client = Client(server)
        pidx = client.start()
        order(client, "drip", seconds=600)
        response = raw(client, LOOKUP, json.dumps({"pidx": pidx}))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
