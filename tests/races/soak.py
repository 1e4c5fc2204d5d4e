"""Weeks of payments at two wallets that fail, by payers and browsers that do as they like: what came of the money."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator import esewa_payment
from django_tenant_billing.contrib.simulator.faults import Fault, Plan
from django_tenant_billing.contrib.simulator.khalti import NEPAL_TIME
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server, running_server
from django_tenant_billing.contrib.simulator.wire import RequestError
from django_tenant_billing.exceptions import BillingError, GatewayError
from django_tenant_billing.models import Activation, Breaker, PaymentTransaction
from django_tenant_billing.states import OPEN, SOFT_FAILED, PaymentState
from tests.testapp.models import Organization

S = PaymentState

SLOW = {Fault.SILENT, Fault.DELAY, Fault.DRIP, Fault.LARGE, Fault.BOMB}
"""These take real time or much of the machine; tests of single questions meet them."""

SHARE = 0.3
PAUSE = 3
"""Seconds between two starts."""

ACTS = ("pay",) * 9 + ("close_tab",) * 4 + ("cancel",) * 3 + ("pending",) * 2 + ("expire", "ambiguous", "nothing")

MINUTES = (*range(1, 41), *range(60, 721, 20))
"""When the sweep runs at first. Later it runs twice each time, for what a breaker held back."""

HOURS = (*range(13, 8 * 24, 12), *range(8 * 24, 40 * 24, 48), *range(40 * 24, 80 * 24, 168))
REFUNDS_UNTIL = 10 * 24


@contextmanager
def wallets(seed: int) -> Iterator[Server]:
    """Both wallets by the site's clock, failing by this seed."""
    modes = tuple(fault for fault in Fault if fault not in SLOW)
    plan = Plan(seed, SHARE, SHARE, modes=modes)
    with running_server(seed=seed, plan=plan, now=now_there) as server:
        yield server


def now_there() -> datetime:
    return clock.now().astimezone(NEPAL_TIME)


@dataclass
class Soak:
    """One run: who starts what, what payers and staff do, when the sweep comes."""

    server: Server
    seed: int
    size: int
    later: list[tuple[float, PaymentTransaction, str]] = field(default_factory=list)
    """What payers do at which minute."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def run(self) -> None:
        """Start all payments and let eleven weeks pass."""
        organizations = [Organization.objects.create(name=f"Soak {n}") for n in range(self.size // 2)]
        minute, started = 0.0, 0
        while started < self.size:
            minute += PAUSE / 60
            with clock.moved(timedelta(minutes=minute)):
                started += self.start(self.random.choice(organizations), minute)
                self.payers(minute)
        for at in MINUTES:
            with clock.moved(timedelta(minutes=minute + at)):
                self.payers(minute + at)
                self.sweep()
        for hour in HOURS:
            with clock.moved(timedelta(minutes=minute + hour * 60)):
                self.payers(minute + hour * 60)
                self.sweep()
            with clock.moved(timedelta(minutes=minute + hour * 60 + 3)):
                self.sweep()
                self.staff(may_refund=hour < REFUNDS_UNTIL)

    def start(self, organization: Organization, minute: float) -> bool:
        """Begin an attempt, and choose what its payer will do; False where nobody was sent anywhere."""
        gateway, plan = self.random.choice(("khalti", "esewa")), self.random.choice(("BASIC", "PRO"))
        act, after = self.random.choice(ACTS), self.random.choice((0.1, 1, 4, 12, 25))
        with suppress(BillingError):
            payment, checkout = payments.start(organization, plan, gateway, base_url="http://testserver")
            if gateway == "esewa":
                self.server.esewa.book(checkout.fields)
            self.later.append((minute + after, payment, act))
            return True
        return False

    def payers(self, minute: float) -> None:
        """Do what payers do by now, and let some of the browsers that were held back arrive."""
        due = [one for one in self.later if one[0] <= minute]
        self.later = [one for one in self.later if one[0] > minute]
        for _at, payment, act in due:
            self.visit(self.decide(payment, act))
            if act in ("pending", "ambiguous") and self.random.random() < 0.6:
                self.later.append((minute + self.random.choice((5, 300, 3000)), payment, "pay"))
        if self.random.random() < 0.2:
            self.visit(self.server.returns.let_go())

    def decide(self, payment: PaymentTransaction, act: str) -> list[str]:
        """Act at the wallet's page; where the browser goes then."""
        if payment.gateway_reference is not None and act in list(Act):
            decision = self.server.khalti.decide(payment.gateway_reference, Act(act))
            returns, way_back = decision.returns, decision.way_back
        elif payment.gateway_reference is None and act in list(esewa_payment.Act):
            booking = self.server.esewa.find_named(payment.reference).booking
            decided = self.server.esewa.decide(booking, esewa_payment.Act(act))
            returns, way_back = decided.returns, decided.way_back
        else:
            return []
        return self.server.returns.send(payment.gateway, payment.reference, way_back)[1] if returns else []

    def visit(self, urls: list[str]) -> None:
        """Return to the site, with no cookie."""
        for url in urls:
            parts = urlsplit(url)
            assert Client().get(f"{parts.path}?{parts.query}").status_code < 500

    def sweep(self) -> None:
        """What cron does; where a wallet refused our key, somebody has looked and says go on."""
        payments.reconcile(per_second=1_000_000)
        for breaker in Breaker.objects.exclude(halted=""):
            Breaker.objects.resume(breaker.gateway)

    def staff(self, *, may_refund: bool) -> None:
        """Look at the inbox, and send some money back: here, or in the wallet's dashboard."""
        for payment in PaymentTransaction.objects.filter(status=S.REVIEW).exclude(detail="stale").order_by("pk"):
            if self.random.random() < 0.01:
                with suppress(BillingError):
                    payments.apply_review(payment, actor="anna", reason="seen")
        for payment in PaymentTransaction.objects.filter(status=S.PAID).order_by("pk") if may_refund else ():
            chance = self.random.random()
            if chance < 0.004:
                part = None if chance < 0.002 else payment.amount_minor // 4
                with suppress(GatewayError, BillingError):
                    payments.refund(payment, part, actor="anna", reason="agreed")
            elif chance < 0.007:
                with suppress(RequestError):  # sent back yesterday, and not found out yet
                    self.send_back(payment)

    def send_back(self, payment: PaymentTransaction) -> None:
        if payment.gateway_reference is not None:
            self.server.khalti.send_back(payment.gateway_reference)
        else:
            self.server.esewa.send_back(self.server.esewa.find_named(payment.reference).booking)

    def violations(self) -> list[str]:
        """What does not agree with the wallets' ledgers; they never lie."""
        money = {one.purchase_order_id: (one.amount, one.captured, one.refunded) for one in self.server.khalti.ledger()}
        for line in self.server.esewa.ledger():
            money[line.transaction_uuid] = (
                int(line.total_amount * 100), line.captured, int(line.refunded * 100)
            )  # fmt: skip
        found, captured, ours = [], 0, 0
        activated = set(Activation.objects.values_list("payment_id", flat=True))
        for payment in PaymentTransaction.objects.all():
            amount, taken, back = money.get(payment.reference, (0, False, 0))
            if problem := judged(payment, taken=taken, back=back, activated=payment.pk in activated):
                found.append(f"{payment.reference} {payment.gateway} {payment.status} {payment.detail}: {problem}")
            captured += amount * taken
            ours += payment.amount_minor if payment.paid_at or (payment.status == S.REVIEW and taken) else 0
        if captured != ours:
            found.append(f"the wallets took {captured} paisa, and {ours} are accounted for")
        return found


def judged(payment: PaymentTransaction, *, taken: bool, back: int, activated: bool) -> str:
    """Why this payment is not as its wallet's ledger says; empty where it is."""
    status = S(payment.status)
    if status in OPEN | {S.CREATED, S.REFUND_PENDING}:
        return "still open after its horizon"
    if not taken and (activated or (status not in SOFT_FAILED and payment.detail != "stale")):
        return "nobody paid"
    if taken and status in SOFT_FAILED:
        return "its money is lost"
    if taken and (status == S.REVIEW) == activated:
        return "it is in review and active" if activated else "it is neither in review nor active"
    if payment.refunded_minor != back and status != S.REVIEW:
        return f"{back} paisa went back, and it says {payment.refunded_minor}"
    return ""


def repeatable(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """References are drawn from the seed too: the wallets' faults depend on them."""
    monkeypatch.setattr("secrets.choice", random.Random(seed).choice)
