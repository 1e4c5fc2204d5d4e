"""docs/gateways.md, followed to the letter: its gateway pays, and keeps the contract by the tests that it shows."""

from __future__ import annotations

import importlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import payments
from django_tenant_billing.exceptions import GatewayRejected
from django_tenant_billing.models import PaymentTransaction
from django_tenant_billing.testing import GatewayContract
from django_tenant_billing.views.shared import result_url
from tests.members import member
from tests.test_payments import plan_of
from tests.testapp.models import Organization

PAGE = (Path(__file__).parents[1] / "docs" / "gateways.md").read_text("utf-8")
BASE = "http://testserver"
CHECKS = sorted(name for name in dir(GatewayContract) if name.startswith("test_"))


class HimalPay(BaseHTTPRequestHandler):
    """A stand-in for the wallet's server, as the page describes it."""

    orders: dict[str, dict[str, Any]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/orders":
            order = json.loads(body)
            self.orders[order["number"]] = {**order, "state": "OPEN", "money": None}
            refused = order["paisa"] < 1000
            page = f"http://{self.headers['Host']}/pay/{order['number']}"
            self.answer(422 if refused else 201, {"why": "too little"} if refused else {"page": page})
        elif self.path == "/orders/find":
            order = self.orders[json.loads(body)["number"]]
            self.answer(200, {name: order[name] for name in ("number", "paisa", "state", "money")})
        else:
            order = self.orders[self.path.rpartition("/")[2]]
            paid = parse_qs(body.decode())["act"] == ["pay"]
            order |= {"state": "PAID", "money": f"M-{order['number']}"} if paid else {"state": "GIVEN UP"}
            self.answer(200, {"back": f"{order['back']}?number={order['number']}&state={order['state']}"})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep no access log."""


@pytest.fixture
def stand_in() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), HimalPay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files of the page, written where Python finds them."""
    monkeypatch.syspath_prepend(tmp_path)
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        if named := re.match(r"# (\w+\.py)\n", code):
            (tmp_path / named[1]).write_text(code, "utf-8")
    yield
    for name in ("himalpay", "test_himalpay"):
        sys.modules.pop(name, None)


@pytest.fixture
def site(followed: None, stand_in: str, settings: Any) -> None:
    code = re.findall(r"^```python\n(TENANT_BILLING_GATEWAYS.*?)^```", PAGE, re.M | re.S)[0]
    names: dict[str, Any] = {"env": lambda name: "a-key-for-tests"}
    exec(compile(code, "<setting>", "exec"), names)
    settings.TENANT_BILLING_PUBLIC_BASE_URL = BASE
    settings.TENANT_BILLING_GATEWAYS = names["TENANT_BILLING_GATEWAYS"]
    settings.TENANT_BILLING_GATEWAYS["himalpay"]["OPTIONS"]["api"] = stand_in


def at_the_wallet(url: str, act: str) -> str:
    back: str = requests.post(url, data={"act": act}, timeout=10).json()["back"]
    return back.removeprefix(BASE)


def test_the_gateway_of_the_page_pays_by_start_and_settle(site: None, organization: Organization) -> None:
    payment, checkout = payments.start(organization, "PRO", "himalpay", base_url=BASE)
    assert payments.settle(payment).status == "initiated"
    at_the_wallet(checkout.url, "pay")
    assert payments.settle(payment).status == "paid"
    assert plan_of(organization) == "PRO"


def test_the_gateway_of_the_page_pays_by_its_urls(site: None, organization: Organization, user: User) -> None:
    client = member(organization, user)
    for act, status in (("give up", "canceled"), ("pay", "paid")):
        begun = client.post("/billing/himalpay/init/", {"plan": "PRO"}, content_type="application/json").json()
        back = at_the_wallet(begun["payment_url"], act)
        assert Client().get(back).status_code == 303
        payment = PaymentTransaction.objects.get(reference=begun["reference"])
        assert payment.status == status
    assert "Payment received" in Client().get(result_url(payment)).content.decode()
    assert plan_of(organization) == "PRO"


@pytest.mark.parametrize("check", CHECKS)
def test_the_tests_of_the_page_pass(followed: None, stand_in: str, check: str) -> None:
    contract = importlib.import_module("test_himalpay").TestHimalPay()
    contract.url = stand_in
    getattr(contract, check)()


def test_what_the_wallet_refuses_is_told(followed: None, stand_in: str) -> None:
    contract = importlib.import_module("test_himalpay").TestHimalPay()
    with pytest.raises(GatewayRejected, match="Himal Pay refused this order"):
        contract.gateway(stand_in).start_checkout(contract.order(1))
