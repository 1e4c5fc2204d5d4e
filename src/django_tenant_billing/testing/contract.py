"""What every gateway must hold, as tests that a third party inherits. docs/gateways.md shows it in use."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from itertools import count
from traceback import TracebackException
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.core.checks import CheckMessage
from django.test import RequestFactory

from ..exceptions import CallbackRejected, GatewayRejected, GatewayUnavailable
from ..gateways.addresses import is_loopback
from ..gateways.base import Checkout, Claim, Gateway, Order, Outcome, Proof, is_id
from .between import Between, Reply

BASE = "https://app.example.com"
UNDECIDED = frozenset({Outcome.INITIATED, Outcome.PENDING, Outcome.NOT_FOUND})
AMOUNTS = (390_000, 123_456, 100_010)
"""Whole rupees, paisa, and paisa that end in a zero."""

PAGE = b"<!doctype html><title>Maintenance</title><p>Back soon. Status: Completed, COMPLETE, SUCCESS, paid."
NONSENSE = {
    "hangs up": Reply(0),
    "answers a page": Reply(200, PAGE, "text/html"),
    "answers nothing": Reply(200),
    "answers an array": Reply(200, b"[]"),
    "answers half an object": Reply(200, b'{"status": "Compl'),
    "answers an empty object": Reply(200, b"{}"),
    "answers HTTP 500": Reply(500, b'{"detail": "Internal server error."}'),
    "answers HTTP 502 and a page": Reply(502, PAGE, "text/html"),
    "answers HTTP 503": Reply(503, b'{"error_message": "Service is currently unavailable", "code": 0}'),
}

_numbers = count(1)


class BrokenContract(AssertionError):
    """What a gateway does that none may do."""


class GatewayContract:
    """Inherit this beside nothing (pytest, name it ``Test...``) or beside ``SimpleTestCase``, and give it the hooks.

    ``url`` is where the stand-in for the gateway's server listens, ``secrets`` are texts nobody may be shown. A gateway
    by hand needs ``gateway`` alone.
    """

    url: str = ""
    secrets: tuple[str, ...] = ()

    # What a third party writes.

    def gateway(self, url: str) -> Gateway:
        """The gateway under test, configured to ask the server at this address, which ends in a slash."""
        raise NotImplementedError("Return your gateway, configured to ask the server at this url.")

    def pay(self, order: Order, checkout: Checkout) -> str:
        """Act as the payer who pays at the stand-in; the address that the browser is sent back to, or nothing."""
        raise NotImplementedError("Pay this order at your stand-in, and return where the browser is sent.")

    def cancel(self, order: Order, checkout: Checkout) -> str:
        """As pay, of a payer who gives up."""
        raise NotImplementedError("Give this order up at your stand-in, and return where the browser is sent.")

    def order(self, amount_minor: int = AMOUNTS[0]) -> Order:
        """A new order, as payments.start makes it. Override it for another currency."""
        reference = f"TB-CONTRACT{next(_numbers):09}"
        return Order(
            reference=reference,
            amount_minor=amount_minor,
            currency="NPR",
            description="PRO plan",
            return_url=f"{BASE}/billing/wallet/callback/{reference}/",
            success_url=f"{BASE}/billing/wallet/success/{reference}/",
            failure_url=f"{BASE}/billing/wallet/failure/{reference}/",
            website_url=f"{BASE}/",
        )

    # The tests.

    def test_the_checkout_is_well_formed(self) -> None:
        order = self.order()
        checkout = self.gateway(self.url).start_checkout(order)
        if type(checkout) is not Checkout:
            _broken(f"start_checkout returned {checkout!r}, which is no Checkout.")
        parts = urlsplit(checkout.url)
        if not (parts.scheme == "https" and parts.hostname) and not is_loopback(parts.hostname):
            _broken(f"The payer would be sent to {checkout.url!r}, which is no absolute https URL.")
        if checkout.method not in ("GET", "POST"):
            _broken(f"The payer would be sent by {checkout.method!r}.")
        if checkout.method == "GET" and checkout.fields:
            _broken("A Checkout by GET has fields: put them into its url.")
        if not all(type(text) is str for pair in checkout.fields.items() for text in pair):
            _broken("The fields of the Checkout are not all str.")
        if checkout.gateway_reference is not None and not is_id(checkout.gateway_reference):
            _broken(f"The gateway's reference {checkout.gateway_reference!r} cannot be kept: 1 to 100 characters.")
        if checkout.expires_at is not None and _is_naive(checkout.expires_at):
            _broken("expires_at has no time zone.")

    def test_an_order_that_nobody_paid_is_not_paid(self) -> None:
        if self._nobody_is_asked():
            return
        order, checkout = self._started()
        outcome = self._look_up(order).outcome
        if outcome not in UNDECIDED:
            _broken(f"Before anybody paid, look_up says {outcome}.")
        self.cancel(order, checkout)
        outcome = self._look_up(order).outcome
        if outcome in (Outcome.SUCCEEDED, Outcome.REFUNDED, Outcome.PARTIALLY_REFUNDED):
            _broken(f"After the payer gave up, look_up says {outcome}.")

    def test_an_order_that_was_paid_is_proved_to_the_paisa(self) -> None:
        if self._nobody_is_asked():
            return
        for amount in AMOUNTS:
            order, checkout = self._started(amount)
            self.pay(order, checkout)
            proof = self._look_up(order)
            if proof.outcome is not Outcome.SUCCEEDED:
                _broken(f"After the payer paid, look_up says {proof.outcome}.")
            if type(proof.amount_minor) is not int or proof.amount_minor != amount:
                _broken(f"{amount} paisa were paid, and look_up proves {proof.amount_minor!r}.")
            if not is_id(proof.gateway_transaction_id):
                _broken(f"The transaction id {proof.gateway_transaction_id!r} cannot be kept.")

    def test_a_proof_is_bound_to_its_order(self) -> None:
        if self._nobody_is_asked():
            return
        (first, paid), (second, _waiting) = self._started(), self._started()
        if _bound(first) == _bound(second):
            _broken(f"Two orders are both called {_bound(first)!r} at the gateway.")
        self.pay(first, paid)
        if (named := self._look_up(first).gateway_reference) != _bound(first):
            _broken(f"The order is called {_bound(first)!r} at the gateway, and the proof speaks of {named!r}.")
        if self._look_up(second).outcome not in UNDECIDED:
            _broken("Paying one order decides another one.")

    def test_an_answer_for_another_order_never_proves_this_one(self) -> None:
        if self._nobody_is_asked():
            return
        (paid, checkout), (waiting, _waiting) = self._started(), self._started()
        self.pay(paid, checkout)
        with Between(self.url) as between:
            gateway = self.gateway(between.url)
            gateway.look_up(paid)
            if not between.asked:
                _broken("look_up does not ask the url that gateway() was given.")
            between.say_again()
            try:
                proof = gateway.look_up(waiting)
            except GatewayUnavailable:
                return
        if proof.gateway_reference == _bound(waiting):
            _broken("The answer for another order is taken for this one: tell the reference that the answer names.")

    def test_no_usable_answer_is_unavailable_and_never_a_failure(self) -> None:
        if self._nobody_is_asked():
            return
        order, checkout = self._started()
        self.pay(order, checkout)
        with Between(self.url) as between:
            gateway = self.gateway(between.url)
            gateway.look_up(order)
            genuine = f"{self.url.rstrip('/')}/"
            for how, reply in NONSENSE.items():
                between.say(reply)
                self._demand_unavailable(gateway, order, how)
            for status in (500, 503):
                between.say_again(status=status)
                self._demand_unavailable(gateway, order, f"answers HTTP {status} and a body of success")
            between.say_again(status=302, body=b"", location=genuine)
            self._demand_unavailable(gateway, order, "redirects")
        self._demand_unavailable(gateway, order, "is not there")

    def test_a_start_that_meets_no_usable_answer_is_unavailable(self) -> None:
        with Between() as between:
            gateway = self.gateway(between.url)
            for how, reply in NONSENSE.items():
                between.say(reply)
                try:
                    gateway.start_checkout(self.order())
                except GatewayUnavailable:
                    continue
                except GatewayRejected as error:
                    _broken(f"The server {how}, and start_checkout raises GatewayRejected: {error}")
                if between.asked:
                    _broken(f"The server {how}, and start_checkout returns a Checkout.")

    def test_a_return_that_no_gateway_sends_is_rejected(self) -> None:
        gateway = self.gateway(self.url)
        for name, value in self._return_of_a_payer() or [("status", "paid")]:
            bad = {
                "came twice": [(name, value), (name, value)],
                "is oversized": [(name, value + "x" * 5000)],
                "has a control character": [(name, value + "\x00")],
            }
            for what, query in bad.items():
                try:
                    gateway.read_callback(_request(query))
                except CallbackRejected:
                    continue
                _broken(f"The parameter {name!r} {what}, and read_callback does not reject it.")

    def test_what_no_gateway_signed_is_not_authenticated(self) -> None:
        gateway = self.gateway(self.url)
        order = self.order()
        known = {**gateway.start_checkout(order).fields, "reference": order.reference, "status": "COMPLETE"}
        forged = [list(known.items()), [("pidx", "x"), ("status", "Completed")], []]
        for query in forged:
            if self._claim(gateway, query).authenticated:
                _broken("A claim that nobody signed is authenticated.")
        genuine = self._return_of_a_payer()
        said = _said(self._claim(gateway, genuine))
        for index, (name, value) in enumerate(genuine):
            changed = [
                *genuine[:index],
                (name, value[:-1] + ("A" if value[-1:] != "A" else "B")),
                *genuine[index + 1 :],
            ]
            claim = self._claim(gateway, changed)
            if claim.authenticated and _said(claim) != said:
                _broken(f"The parameter {name!r} was changed on the way, and the claim is still authenticated.")

    def test_what_it_says_it_can_do_it_can(self) -> None:
        gateway = self.gateway(self.url)
        if not isinstance(gateway.label, str) or not gateway.label.strip():
            _broken(f"The label {gateway.label!r} is nothing that a payer could read.")
        if not gateway.currencies or gateway.minimum_minor < 1:
            _broken("It takes no currency, or less than one paisa.")
        if gateway.by_hand and gateway.supports_refunds:
            _broken("by_hand and supports_refunds exclude each other: nobody can be asked.")
        if not gateway.supports_refunds:
            try:
                gateway.refund(self.order(), None)
            except GatewayRejected:
                return
            _broken("supports_refunds is False, and refund does not raise GatewayRejected.")
        order, checkout = self._started()
        self.pay(order, checkout)
        order = replace(order, gateway_transaction_id=self._look_up(order).gateway_transaction_id)
        try:
            gateway.refund(order, None)
        except (GatewayRejected, GatewayUnavailable) as error:
            _broken(f"supports_refunds is True, and refund raises {type(error).__name__}: {error}")
        if (outcome := self._look_up(order).outcome) is not Outcome.REFUNDED:
            _broken(f"After a refund, look_up says {outcome}.")

    def test_it_shows_no_secret(self) -> None:
        gateway = self.gateway(self.url)
        shown = {"repr()": repr(gateway), "str()": str(gateway), "vars()": repr(vars(gateway))}
        with Between() as between:
            between.say(Reply(401, b'{"detail": "Invalid token."}'))
            shown["an error"] = _error_of(self.gateway(between.url), replace(self.order(), gateway_reference="x"))
        for where, text in shown.items():
            if any(secret in text for secret in self.secrets):
                _broken(f"A secret is shown by {where}: keep it in django_tenant_billing.gateways.http.Secret.")

    def test_its_check_tells_what_to_type(self) -> None:
        messages: Any = self.gateway(self.url).check()
        if not isinstance(messages, list) or not all(isinstance(message, CheckMessage) for message in messages):
            _broken(f"check() returned {messages!r}: return a list of CheckMessage.")
        if not all(message.id and message.hint for message in messages):
            _broken("A message of check() has no id or no hint.")

    def test_what_it_returns_are_our_frozen_values(self) -> None:
        claim = self._claim(self.gateway(self.url), self._return_of_a_payer())
        if type(claim) is not Claim or not _is_loggable(claim.data):
            _broken(f"read_callback returned {claim!r}: return a Claim whose data JSON can hold.")
        if self._nobody_is_asked():
            return
        order, _checkout = self._started()
        proof = self._look_up(order)
        if type(proof) is not Proof or not _is_loggable(proof.data):
            _broken(f"look_up returned {proof!r}: return a Proof whose data JSON can hold.")

    # What they share.

    def _started(self, amount_minor: int = AMOUNTS[0]) -> tuple[Order, Checkout]:
        order = self.order(amount_minor)
        checkout = self.gateway(self.url).start_checkout(order)
        return replace(order, gateway_reference=checkout.gateway_reference), checkout

    def _look_up(self, order: Order) -> Proof:
        return self.gateway(self.url).look_up(order)

    def _nobody_is_asked(self) -> bool:
        """Is it by hand? Then look_up may only ever be unavailable."""
        gateway = self.gateway(self.url)
        if not gateway.by_hand:
            return False
        try:
            proof = gateway.look_up(self.order())
        except GatewayUnavailable:
            return True
        return _broken(f"by_hand says that nobody can be asked, and look_up answers {proof!r}.")

    def _demand_unavailable(self, gateway: Gateway, order: Order, how: str) -> None:
        try:
            proof = gateway.look_up(order)
        except GatewayUnavailable:
            return
        _broken(f"The server {how}, and look_up answers {proof.outcome}: raise GatewayUnavailable.")

    def _return_of_a_payer(self) -> list[tuple[str, str]]:
        """What comes with the browser of somebody who paid."""
        if self.gateway(self.url).by_hand:
            return []
        return parse_qsl(urlsplit(self.pay(*self._started())).query, keep_blank_values=True)

    def _claim(self, gateway: Gateway, query: list[tuple[str, str]]) -> Claim:
        try:
            return gateway.read_callback(_request(query))
        except CallbackRejected:
            return Claim(reference=None, gateway_reference=None, status="rejected")


def _broken(problem: str) -> NoReturn:
    raise BrokenContract(problem)


def _request(query: list[tuple[str, str]]) -> Any:
    return RequestFactory().get(f"/billing/wallet/callback/T1/?{urlencode(query)}")


def _bound(order: Order) -> str:
    return order.gateway_reference or order.reference


def _said(claim: Claim) -> tuple[str | None, str | None, str]:
    return claim.reference, claim.gateway_reference, claim.status


def _is_naive(moment: datetime) -> bool:
    return moment.tzinfo is None


def _is_loggable(data: Any) -> bool:
    try:
        json.dumps(dict(data))
    except (TypeError, ValueError):
        return False
    return True


def _error_of(gateway: Gateway, order: Order) -> str:
    """All that a log or a reporter with eyes for local variables could show of a look-up that fails."""
    try:
        gateway.look_up(order)
    except GatewayUnavailable as error:
        return "".join(TracebackException.from_exception(error, capture_locals=True).format())
    return ""
