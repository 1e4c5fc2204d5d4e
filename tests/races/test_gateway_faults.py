"""Wallets that misbehave, and what becomes of payments: rows G1, G3 and G6 to G14 of the catalogue of faults."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.esewa_payment import Act as EsewaAct
from django_tenant_billing.contrib.simulator.faults import Way
from django_tenant_billing.contrib.simulator.khalti import NEPAL_TIME
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.exceptions import GatewayTimeout, GatewayUnavailable, NotRefundable
from django_tenant_billing.models import Activation, Breaker, PaymentTransaction, Subscription
from tests.clocks import only_looks_take_time
from tests.conftest import use_simulator
from tests.folding import assert_log_folds_to_state
from tests.servers import CERTIFICATE, over_tls, replies, serving
from tests.servers import message as http_message
from tests.testapp.models import Organization

BASE = "http://testserver"
BOTH = ("khalti", "esewa")


@pytest.fixture(autouse=True)
def _log_rebuilds_every_payment(catalogue: None) -> Iterator[None]:
    yield
    assert_log_folds_to_state()


def started(server: Server, gateway: str, plan: str = "PRO", name: str = "Payer") -> PaymentTransaction:
    organization = Organization.objects.create(name=name)
    payment, checkout = payments.start(organization, plan, gateway, base_url=BASE)
    if gateway == "esewa":
        server.esewa.book(checkout.fields)
    return payment


def pay(server: Server, payment: PaymentTransaction) -> str:
    """Pay at the wallet; where the browser goes then."""
    if payment.gateway_reference is not None:
        url = server.khalti.decide(payment.gateway_reference, Act.PAY).redirect_url
    else:
        url = server.esewa.decide(server.esewa.find_named(payment.reference).booking, EsewaAct.PAY).redirect_url
    assert url is not None
    return url


def paid(server: Server, gateway: str) -> PaymentTransaction:
    payment = started(server, gateway)
    pay(server, payment)
    return payment


def tell(server: Server, payment: PaymentTransaction, **changes: Any) -> None:
    """Let the wallet say something else of this payment."""
    if payment.gateway_reference is not None:
        server.khalti.tamper(payment.gateway_reference, changes)
    else:
        server.esewa.tamper(server.esewa.find_named(payment.reference).booking, changes)


def fault(server: Server, mode: str, times: int = 1) -> None:
    server.faults.order({"fault": {"mode": mode, "times": times}})


def active(payment: PaymentTransaction) -> bool:
    return Activation.objects.filter(payment=payment).exists()


def assert_unknown(payment: PaymentTransaction) -> None:
    """Not failed, not paid, and asked about again."""
    assert payment.status == "initiated"
    assert payment.next_check_at is not None
    assert payment.events.filter(kind="no_answer").exists()
    assert not active(payment)


@contextmanager
def by_our_clock(settings: Any) -> Iterator[Server]:
    """Both wallets, whose time is the site's."""
    with running_server(now=lambda: clock.now().astimezone(NEPAL_TIME)) as server:
        use_simulator(settings, server.url)
        yield server


# --- G1, G3: no usable answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["refused", "no such name", "a certificate of nobody's", "no TLS"])
def test_g1_a_wallet_that_cannot_be_reached_is_unknown_and_asked_again(
    problem: str, simulator: Server, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [paid(simulator, "khalti") for _time in range(5)]
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    plain = replies(http_message(b'{"status": "Completed"}'))
    with serving(over_tls(certificate, plain) if problem == "a certificate of nobody's" else plain) as server:
        port = 1 if problem == "refused" else server.port
        options = settings.TENANT_BILLING_GATEWAYS["khalti"]["OPTIONS"]
        monkeypatch.setitem(options, "base_url", f"https://127.0.0.1:{port}/api/v2/")
        with monkeypatch.context() as names:
            if problem == "no such name":
                names.setattr(socket, "getaddrinfo", no_such_name)
            for payment in asked:
                assert_unknown(payments.settle(payment))
                Breaker.objects.resume("khalti")
        assert b"Authorization" not in server.received
    use_simulator(settings, simulator.url)
    assert [payments.settle(payment).status for payment in asked] == ["paid"] * 5


def no_such_name(*args: Any, **kwargs: Any) -> Any:
    raise socket.gaierror("Name or service not known")


@pytest.mark.parametrize("gateway", BOTH)
@pytest.mark.parametrize("code", ["500", "502", "503", "504", "429"])
def test_g3_a_server_error_is_unknown(code: str, gateway: str, simulator: Server) -> None:
    for _time in range(5):
        payment = paid(simulator, gateway)
        fault(simulator, code)
        assert_unknown(payments.settle(payment))
        assert payments.settle(payment).status == "paid"


@pytest.mark.parametrize("code", ["401", "403"])
def test_g3_a_refused_key_pauses_the_wallet_and_fails_no_payment(code: str, simulator: Server) -> None:
    for _time in range(5):
        payment, other = paid(simulator, "khalti"), paid(simulator, "khalti")
        fault(simulator, code)
        assert_unknown(payments.settle(payment))
        assert code in Breaker.objects.get(gateway="khalti").halted
        assert payments.settle(other).status == "initiated"
        assert payments.settle(paid(simulator, "esewa")).status == "paid"
        assert Breaker.objects.resume("khalti")
        assert [payments.settle(one).status for one in (payment, other)] == ["paid", "paid"]


# --- G6, G7: answers that do not fit ---------------------------------------------------------------------------------

OTHER_PAISA: list[Any] = [
    389_999, 390_001, 39_000_000, 3_900, 0, -390_000, 390_000.0, 390_000.5, "390000", "3,900.0", "3,90,000", 1e17,
    10**17, 2**63, True, None, [390_000], {"paisa": 390_000}, "NPR 3900", 1, 389_000, 391_170, 195_000, 780_000,
    100_000, 390_010, 389_990, "390_000", " 390000", "३९००००",
]  # fmt: skip
OTHER_RUPEES: list[Any] = [
    3899.99, 3900.01, 390_000, 39.0, 0, -3900, "3899.99", "3,900.01", "39,00.0", "3,90,0", "3900.001", 1e17, 10**17,
    "1e3", True, None, [3900], {"rupees": 3900}, "NPR 3900", 1, 3890, 3911.7, 1950, 7800, 1000, 3900.1, 3899.9,
    "3_900", " 3900", "३९००",
]  # fmt: skip


@pytest.mark.parametrize(("gateway", "others"), [("khalti", OTHER_PAISA), ("esewa", OTHER_RUPEES)])
def test_g6_another_amount_waits_for_a_person_and_only_the_exact_one_pays(
    gateway: str, others: list[Any], simulator: Server
) -> None:
    assert len(OTHER_PAISA) + len(OTHER_RUPEES) == 60
    for amount in others:
        payment = paid(simulator, gateway)
        tell(simulator, payment, total_amount=amount)
        settled = payments.settle(payment)
        assert (settled.status, settled.detail, active(payment)) == ("review", "amount", False), amount
        assert settled.events.filter(kind="proof").exists()
    for exact in (390_000,) if gateway == "khalti" else (3900, 3900.0, "3900", "3,900.0", "3900.00"):
        payment = paid(simulator, gateway)
        tell(simulator, payment, total_amount=exact)
        assert payments.settle(payment).status == "paid"


@pytest.mark.parametrize("gateway", BOTH)
def test_g7_an_answer_about_another_payment_or_merchant_pays_nothing(gateway: str, simulator: Server) -> None:
    name = {"khalti": "pidx", "esewa": "transaction_uuid"}[gateway]
    for _time in range(10):
        cheap, dear = started(simulator, gateway, "BASIC"), paid(simulator, gateway)
        pay(simulator, cheap)
        tell(simulator, dear, **{name: cheap.gateway_reference or cheap.reference})
        settled = payments.settle(dear)
        assert (settled.status, settled.detail, active(dear)) == ("review", "reference", False)
        assert payments.settle(cheap).status == "paid"


def test_g7_an_answer_for_another_merchant_is_no_answer(simulator: Server) -> None:
    for code in ("NP-ES-OTHER", "epaytest", "", None):
        payment = paid(simulator, "esewa")
        tell(simulator, payment, product_code=code)
        assert_unknown(payments.settle(payment))
        tell(simulator, payment, product_code="EPAYTEST")
        assert payments.settle(payment).status == "paid"
        Breaker.objects.resume("esewa")


# --- G8 to G11, G13: what took effect though nobody heard -------------------------------------------------------------


@pytest.mark.parametrize("gateway", BOTH)
def test_g8_what_was_paid_while_our_question_got_no_answer_is_found_by_the_sweep(
    gateway: str, simulator: Server
) -> None:
    for number in range(50):
        payment = paid(simulator, gateway)
        fault(simulator, ("down", "lost", "reset", "truncated", "504")[number % 5])
        assert_unknown(payments.settle(payment))
        Breaker.objects.resume(gateway)
    with clock.moved(timedelta(minutes=2)):
        swept = payments.reconcile(limit=500, per_second=10**6)
    assert (swept.asked, swept.paid) == (50, 50)
    assert Activation.objects.count() == 50


def test_g8_a_question_that_times_out_is_no_failure(simulator: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tenant_billing.gateways.http.post_json.__kwdefaults__", {"seconds": 0.1})
    payment = paid(simulator, "khalti")
    fault(simulator, "silent")
    assert_unknown(payments.settle(payment))
    assert payment.events.filter(detail=GatewayTimeout.__name__).exists()
    assert payments.settle(payment).status == "paid"


def test_g9_an_initiate_whose_answer_is_lost_is_closed_and_never_sent_again(
    simulator_server: Server, simulator: Server
) -> None:
    for _time in range(20):
        organization = Organization.objects.create(name="Payer")
        fault(simulator, "lost")
        with pytest.raises(GatewayUnavailable):
            payments.start(organization, "PRO", "khalti", base_url=BASE)
        first = PaymentTransaction.objects.get(organization=organization)
        assert (first.status, first.detail) == ("failed", "initiate_unknown")
        again, _checkout = payments.start(organization, "PRO", "khalti", base_url=BASE)
        assert again.reference != first.reference
        sent = Counter(entry["reference"] for entry in simulator.journal.entries() if entry["call"] == "initiate")
        assert (sent[first.reference], sent[again.reference]) == (1, 1)
        assert first.reference in {one.purchase_order_id for one in simulator.khalti.ledger()}


def test_g10_returns_that_come_doubled_late_and_out_of_order_activate_each_payment_once(settings: Any) -> None:
    draw, visits = random.Random(10), []
    with by_our_clock(settings) as server:
        for number in range(300):
            payment = started(server, BOTH[number % 2], draw.choice(("BASIC", "PRO")))
            url = urlsplit(pay(server, payment))
            visits += [(draw.uniform(1, 48 * 3600), f"{url.path}?{url.query}") for _time in range(draw.randint(1, 3))]
        for seconds, address in sorted(visits):
            with clock.moved(timedelta(seconds=seconds)):
                assert Client().get(address).status_code == 303
    assert Counter(PaymentTransaction.objects.values_list("status", flat=True)) == {"paid": 300}
    assert Activation.objects.count() == 300
    for subscription in Subscription.objects.all():
        assert subscription.period_end is not None
        assert subscription.period_end - subscription.period_start <= timedelta(days=31)


@pytest.mark.parametrize("gateway", BOTH)
@pytest.mark.parametrize("delay", [timedelta(seconds=1), timedelta(minutes=5), timedelta(hours=1)])
def test_g11_a_payment_that_is_not_found_at_first_is_not_failed_and_is_paid_later(
    gateway: str, delay: timedelta, settings: Any
) -> None:
    with by_our_clock(settings) as server:
        server.khalti.turn({"not_found": delay.total_seconds()})
        server.esewa.turn({"not_found": delay.total_seconds()})
        payment = paid(server, gateway)
        for minute in range(30):
            with clock.moved(timedelta(minutes=minute, seconds=0.5)):
                status = payments.settle(payment).status
            assert status == ("paid" if timedelta(minutes=minute) >= delay else "initiated")
        for after in (timedelta(hours=2), timedelta(hours=26)):
            with clock.moved(after):
                payments.reconcile(per_second=10**6)
        payment.refresh_from_db()
        assert (payment.status, active(payment)) == ("paid", True)


def test_g13_a_refund_whose_answer_is_lost_is_never_sent_again_and_found_by_a_question(simulator: Server) -> None:
    refunded = []
    for _time in range(20):
        payment = payments.settle(paid(simulator, "khalti"))
        fault(simulator, "lost")
        payment = payments.refund(payment, actor="anna", reason="agreed")
        assert payment.status == "refund_pending"
        with pytest.raises(NotRefundable):
            payments.refund(payment, actor="anna", reason="agreed")
        refunded.append(payment)
    payments.reconcile(limit=500, per_second=10**6)
    sent = Counter(entry["reference"] for entry in simulator.journal.entries() if entry["call"] == "refund")
    ledger = {one.purchase_order_id: one.refunded for one in simulator.khalti.ledger()}
    for payment in refunded:
        payment.refresh_from_db()
        assert (payment.status, payment.refunded_minor) == ("refunded", 390_000)
        assert (sent[payment.reference], ledger[payment.reference]) == (1, 390_000)


# --- browsers, and the merchant's panel ------------------------------------------------------------------------------


@pytest.mark.parametrize("gateway", BOTH)
@pytest.mark.parametrize("way", list(Way))
def test_however_a_browser_comes_back_who_paid_is_paid_and_who_did_not_is_not(
    way: Way, gateway: str, simulator: Server
) -> None:
    for act, status in (("pay", "paid"), ("cancel", "canceled")):
        payment = started(simulator, gateway)
        if payment.gateway_reference is not None:
            way_back = simulator.khalti.decide(payment.gateway_reference, Act(act)).way_back
        else:
            booking = simulator.esewa.find_named(payment.reference).booking
            way_back = simulator.esewa.decide(booking, EsewaAct(act)).way_back
        url = urlsplit(way_back(way))
        assert Client().get(f"{url.path}?{url.query}").status_code in (303, 400)
        assert payments.settle(payment).status == status
        assert active(payment) == (act == "pay")


def test_a_refund_in_esewas_panel_is_found_by_the_weekly_look(simulator: Server) -> None:
    payment = payments.settle(paid(simulator, "esewa"))
    with pytest.raises(NotRefundable):
        payments.refund(payment, actor="anna", reason="agreed")
    simulator.esewa.send_back(simulator.esewa.find_named(payment.reference).booking)
    with clock.moved(timedelta(days=8)):
        assert payments.reconcile(per_second=10**6).refunded == 1
    payment.refresh_from_db()
    assert (payment.status, payment.refunded_minor) == ("refunded", 390_000)


# --- G14: an outage --------------------------------------------------------------------------------------------------


def test_g14_after_six_hours_without_an_answer_all_is_asked_at_the_wallets_pace(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        monkeypatch.setattr(clock, "_offset", clock._offset + timedelta(seconds=seconds))

    def asked_at() -> list[datetime]:
        entries = [entry for entry in server.journal.entries() if entry["call"] == "status"]
        return [datetime.fromisoformat(str(entry["at"])) for entry in entries]

    monkeypatch.setattr(time, "sleep", sleep)
    only_looks_take_time(monkeypatch)
    with by_our_clock(settings) as server:
        for number in range(500):
            paid(server, "esewa") if number % 2 else started(server, "esewa")
        fault(server, "down", 10**6)
        sleep(61)
        for _minute in range(6):
            payments.reconcile()
            sleep(60)
        outage = asked_at()
        assert Breaker.objects.get(gateway="esewa").opened_at is not None
        assert 5 + 2 < len(outage) <= 5 + 6
        probes = outage[5:]
        assert all(later - earlier >= timedelta(seconds=60) for earlier, later in pairwise(probes))
        assert not PaymentTransaction.objects.exclude(status="initiated").exists()
        sleep(6 * 3600)
        fault(server, "down", 0)
        began = clock.now()
        while PaymentTransaction.objects.filter(status="initiated", next_check_at__lte=clock.now()).exists():
            payments.reconcile()
            sleep(60)
        assert clock.now() - began <= timedelta(minutes=30)
        drained = asked_at()[len(outage) :]
    assert len(drained) >= 500
    # Never a sixth within one second, but for the looks at the clock between leave and arrival, and for the probe that
    # found the wallet well again: it waits for its minute, and not for the pace.
    paced = drained[1:]
    assert min(sixth - first for first, sixth in zip(paced, paced[5:], strict=False)) >= timedelta(seconds=0.999)
    assert Activation.objects.count() == 250
