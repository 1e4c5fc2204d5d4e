"""Our own gateways keep the contract that we ask of everybody's, and each of its tests is seen to refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

import pytest
import requests
from django.core.checks import Error
from django.http import HttpRequest

from django_tenant_billing.contrib.simulator import esewa_payment, khalti_payment
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import GatewayRejected, GatewayUnavailable
from django_tenant_billing.gateways.base import Checkout, Claim, Gateway, Order, Outcome, Proof
from django_tenant_billing.gateways.esewa import SANDBOX_SECRET, EsewaGateway
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.gateways.manual import ManualGateway
from django_tenant_billing.testing import BrokenContract, GatewayContract

KEY = "simulated_secret_key"


class TestKhalti(GatewayContract):
    secrets = (KEY,)
    backend: type[KhaltiGateway] = KhaltiGateway
    server: Server

    @pytest.fixture(autouse=True)
    def _simulator(self, simulator: Server) -> None:
        self.server, self.url = simulator, simulator.url

    def gateway(self, url: str) -> Gateway:
        return self.backend(secret_key=KEY, base_url=f"{url}api/v2/")

    def pay(self, order: Order, checkout: Checkout) -> str:
        return self.decide(checkout, khalti_payment.Act.PAY)

    def cancel(self, order: Order, checkout: Checkout) -> str:
        return self.decide(checkout, khalti_payment.Act.CANCEL)

    def decide(self, checkout: Checkout, act: khalti_payment.Act) -> str:
        return self.server.khalti.decide(checkout.gateway_reference or "", act).redirect_url or ""


class TestEsewa(GatewayContract):
    secrets = (SANDBOX_SECRET,)
    backend: type[EsewaGateway] = EsewaGateway
    server: Server

    @pytest.fixture(autouse=True)
    def _simulator(self, simulator: Server) -> None:
        self.server, self.url = simulator, simulator.url

    def gateway(self, url: str) -> Gateway:
        return self.backend(
            merchant_code="EPAYTEST",
            merchant_secret=SANDBOX_SECRET,
            form_url=f"{url}api/epay/main/v2/form",
            status_url=f"{url}api/epay/transaction/status/",
        )

    def pay(self, order: Order, checkout: Checkout) -> str:
        return self.decide(checkout, order, esewa_payment.Act.PAY)

    def cancel(self, order: Order, checkout: Checkout) -> str:
        return self.decide(checkout, order, esewa_payment.Act.CANCEL)

    def decide(self, checkout: Checkout, order: Order, act: esewa_payment.Act) -> str:
        requests.post(checkout.url, data=dict(checkout.fields), allow_redirects=False, timeout=10).raise_for_status()
        booking = self.server.esewa.find_named(order.reference).booking
        return self.server.esewa.decide(booking, act).redirect_url or ""


class TestManual(GatewayContract):
    backend: type[ManualGateway] = ManualGateway

    def gateway(self, url: str) -> Gateway:
        return self.backend()


# What the contract must refuse: a gateway of ours with one mistake.


class Khalti(KhaltiGateway):
    """Khalti with what a mistake changes of its answers."""

    checkout: ClassVar[Callable[[Order, Checkout], Any]] = staticmethod(lambda order, checkout: checkout)
    proof: ClassVar[Callable[[Order, Proof], Any]] = staticmethod(lambda order, proof: proof)

    def start_checkout(self, order: Order) -> Checkout:
        found: Checkout = type(self).checkout(order, super().start_checkout(order))
        return found

    def look_up(self, order: Order) -> Proof:
        found: Proof = type(self).proof(order, super().look_up(order))
        return found


def khalti(**changes: Any) -> type[KhaltiGateway]:
    return type("Mistaken", (Khalti,), changes)


def checkout(**changes: Any) -> type[KhaltiGateway]:
    return khalti(checkout=staticmethod(lambda order, checkout: replace(checkout, **changes)))


def proof(change: Callable[[Order, Proof], Any]) -> type[KhaltiGateway]:
    return khalti(proof=staticmethod(change))


def paid_if(*outcomes: Outcome) -> type[KhaltiGateway]:
    """Takes these for a success."""
    return proof(lambda order, proof: replace(proof, outcome=Outcome.SUCCEEDED) if proof.outcome in outcomes else proof)


def fails_when_unavailable(self: KhaltiGateway, order: Order) -> Proof:
    try:
        return KhaltiGateway.look_up(self, order)
    except GatewayUnavailable:
        return Proof(outcome=Outcome.FAILED, status="?", amount_minor=None, gateway_reference=order.gateway_reference)


def rejects_when_unavailable(self: KhaltiGateway, order: Order) -> Checkout:
    try:
        return KhaltiGateway.start_checkout(self, order)
    except GatewayUnavailable as error:
        raise GatewayRejected("Try another wallet.", {}) from error


def starts_when_unavailable(self: KhaltiGateway, order: Order) -> Checkout:
    try:
        return KhaltiGateway.start_checkout(self, order)
    except GatewayUnavailable:
        return Checkout(method="GET", url="https://pay.khalti.com/", gateway_reference="unknown")


def reads_the_first(self: KhaltiGateway, request: HttpRequest) -> Claim:
    return Claim(reference=None, gateway_reference=request.GET.get("pidx"), status=request.GET.get("status", ""))


def believes(self: Any, request: HttpRequest) -> Claim:
    claim: Claim = super(type(self), self).read_callback(request)
    return replace(claim, authenticated=True)


def believes_what_is_changed(self: EsewaGateway, request: HttpRequest) -> Claim:
    data = request.GET.get("data", "")
    return Claim(reference=data, gateway_reference=None, status="COMPLETE", authenticated=bool(data))


@dataclass
class Loose:
    """A value that anybody may change on the way."""

    data: dict[str, str]
    authenticated: bool = False


def sends_nothing(self: Any, order: Order, amount_minor: int | None) -> None:
    """A refund that is none."""


def asks_the_key(self: KhaltiGateway, order: Order) -> Proof:
    raise GatewayUnavailable(f"Khalti refused {self._secret.reveal()}.")


MISTAKES: list[tuple[str, type[Gateway], str]] = [
    ("the_checkout_is_well_formed", checkout(url="/pay/"), "no absolute https URL"),
    ("the_checkout_is_well_formed", checkout(url="http://pay.example.com/"), "'http://pay.example.com/'"),
    ("the_checkout_is_well_formed", checkout(method="PUT"), "sent by 'PUT'"),
    ("the_checkout_is_well_formed", checkout(fields={"a": "b"}), "put them into its url"),
    ("the_checkout_is_well_formed", checkout(method="POST", fields={"amount": 1}), "not all str"),
    ("the_checkout_is_well_formed", checkout(gateway_reference="x" * 101), "cannot be kept"),
    ("the_checkout_is_well_formed", checkout(expires_at=datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
    ("the_checkout_is_well_formed", khalti(checkout=staticmethod(lambda order, checkout: checkout.url)), "no Checkout"),
    ("an_order_that_nobody_paid_is_not_paid", paid_if(Outcome.INITIATED), "Before anybody paid"),
    ("an_order_that_nobody_paid_is_not_paid", paid_if(Outcome.CANCELED), "After the payer gave up"),
    (
        "an_order_that_was_paid_is_proved_to_the_paisa",
        proof(lambda order, proof: replace(proof, outcome=Outcome.PENDING)),
        "After the payer paid",
    ),
    (
        "an_order_that_was_paid_is_proved_to_the_paisa",
        proof(lambda order, proof: replace(proof, amount_minor=(proof.amount_minor or 0) // 100 * 100)),
        "123456 paisa were paid",
    ),
    (
        "an_order_that_was_paid_is_proved_to_the_paisa",
        proof(lambda order, proof: replace(proof, amount_minor=str(proof.amount_minor))),  # type: ignore[arg-type]
        "look_up proves '390000'",
    ),
    (
        "an_order_that_was_paid_is_proved_to_the_paisa",
        proof(lambda order, proof: replace(proof, gateway_transaction_id=None)),
        "The transaction id None cannot be kept",
    ),
    ("a_proof_is_bound_to_its_order", checkout(gateway_reference="same"), "both called 'same'"),
    (
        "a_proof_is_bound_to_its_order",
        proof(lambda order, proof: replace(proof, gateway_reference=order.reference)),
        "the proof speaks of",
    ),
    ("a_proof_is_bound_to_its_order", paid_if(Outcome.INITIATED), "decides another one"),
    (
        "an_answer_for_another_order_never_proves_this_one",
        proof(lambda order, proof: replace(proof, gateway_reference=order.gateway_reference)),
        "taken for this one",
    ),
    (
        "no_usable_answer_is_unavailable_and_never_a_failure",
        khalti(look_up=fails_when_unavailable),
        "raise GatewayUnavailable",
    ),
    ("a_start_that_meets_no_usable_answer_is_unavailable", khalti(start_checkout=rejects_when_unavailable), "hangs up"),
    (
        "a_start_that_meets_no_usable_answer_is_unavailable",
        khalti(start_checkout=starts_when_unavailable),
        "returns a Checkout",
    ),
    ("a_return_that_no_gateway_sends_is_rejected", khalti(read_callback=reads_the_first), "came twice"),
    ("what_no_gateway_signed_is_not_authenticated", khalti(read_callback=believes), "nobody signed"),
    (
        "what_no_gateway_signed_is_not_authenticated",
        type("Mistaken", (EsewaGateway,), {"read_callback": believes_what_is_changed}),
        "was changed on the way",
    ),
    ("what_it_says_it_can_do_it_can", khalti(label=" "), "nothing that a payer could read"),
    ("what_it_says_it_can_do_it_can", khalti(currencies=frozenset()), "takes no currency"),
    ("what_it_says_it_can_do_it_can", khalti(minimum_minor=0), "less than one paisa"),
    ("what_it_says_it_can_do_it_can", khalti(by_hand=True), "exclude each other"),
    (
        "what_it_says_it_can_do_it_can",
        khalti(supports_refunds=False, refund=sends_nothing),
        "does not raise GatewayRejected",
    ),
    ("what_it_says_it_can_do_it_can", khalti(refund=sends_nothing), "After a refund, look_up says succeeded"),
    ("what_it_says_it_can_do_it_can", khalti(refund=Gateway.refund), "refund raises GatewayRejected"),
    ("it_shows_no_secret", khalti(__repr__=lambda self: self._secret.reveal()), "shown by repr()"),
    ("it_shows_no_secret", khalti(look_up=asks_the_key), "shown by an error"),
    ("its_check_tells_what_to_type", khalti(check=lambda self: ["The key is missing."]), "a list of CheckMessage"),
    ("its_check_tells_what_to_type", khalti(check=lambda self: [Error("No key.")]), "no id or no hint"),
    (
        "what_it_returns_are_our_frozen_values",
        khalti(read_callback=lambda self, request: Loose({})),
        "return a Claim",
    ),
    (
        "what_it_returns_are_our_frozen_values",
        proof(lambda order, proof: replace(proof, data={"answer": object()})),
        "return a Proof",
    ),
    (
        "an_order_that_nobody_paid_is_not_paid",
        type("Mistaken", (ManualGateway,), {"look_up": lambda self, order: "paid"}),
        "nobody can be asked",
    ),
]


def contract_of(backend: type[Gateway], server: Server) -> GatewayContract:
    made: Any = TestKhalti if issubclass(backend, KhaltiGateway) else TestEsewa
    contract: Any = TestManual() if issubclass(backend, ManualGateway) else made()
    contract.backend, contract.server, contract.url = backend, server, server.url
    return contract  # type: ignore[no-any-return]


@pytest.mark.parametrize(("check", "backend", "problem"), MISTAKES, ids=[problem for _c, _b, problem in MISTAKES])
def test_a_mistake_is_refused_by_name(check: str, backend: type[Gateway], problem: str, simulator: Server) -> None:
    with pytest.raises(BrokenContract, match=r".") as caught:
        getattr(contract_of(backend, simulator), f"test_{check}")()
    assert problem in str(caught.value)


def test_every_test_of_the_contract_is_seen_to_refuse() -> None:
    tests = {name for name in dir(GatewayContract) if name.startswith("test_")}
    assert {f"test_{check}" for check, _backend, _problem in MISTAKES} == tests


def test_a_gateway_that_does_not_ask_where_it_is_told_is_refused(simulator: Server) -> None:
    contract: Any = contract_of(KhaltiGateway, simulator)
    real = contract.gateway(simulator.url)
    contract.gateway = lambda url: real
    with pytest.raises(BrokenContract, match="does not ask the url"):
        contract.test_an_answer_for_another_order_never_proves_this_one()


def test_an_answer_for_another_order_may_also_be_unavailable(simulator: Server) -> None:
    def wants_its_own(order: Order, proof: Proof) -> Proof:
        if proof.gateway_reference != order.gateway_reference:
            raise GatewayUnavailable("Khalti answered for another payment.")
        return proof

    contract = contract_of(proof(wants_its_own), simulator)
    contract.test_an_answer_for_another_order_never_proves_this_one()


@pytest.mark.parametrize("hook", ["gateway", "pay", "cancel"])
def test_a_hook_that_is_missing_says_what_to_write(hook: str) -> None:
    contract: Any = GatewayContract()
    arguments: Any = [""] if hook == "gateway" else [contract.order(), None]
    with pytest.raises(NotImplementedError, match="eturn"):
        getattr(contract, hook)(*arguments)
