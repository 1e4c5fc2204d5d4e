"""What a gateway is asked and answers: three questions, frozen values, no models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from django.core.checks import CheckMessage
from django.http import HttpRequest, QueryDict

from ..exceptions import CallbackRejected, GatewayRejected
from ..masking import mask_cards


class Outcome(StrEnum):
    """What a gateway's server says of a payment, in our words."""

    SUCCEEDED = "succeeded"
    INITIATED = "initiated"
    PENDING = "pending"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    NOT_FOUND = "not_found"
    """Nothing there by that name: perhaps not yet. Time and a second answer make it final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt to pay, as a gateway needs it."""

    reference: str
    """Ours; unique per attempt; at most 20 characters of A-Z, 0-9 and -."""
    amount_minor: int
    """Paisa."""
    currency: str
    description: str
    return_url: str
    """Absolute, no query, our reference in its path."""
    website_url: str
    success_url: str = ""
    """As return_url, for a gateway that sends whoever paid and whoever did not to different places."""
    failure_url: str = ""
    gateway_reference: str | None = None
    """What the gateway called this attempt when it was started; None before, and where it calls it by our reference."""
    gateway_transaction_id: str | None = None
    """What the gateway calls the money that it took; None before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Where to send the payer, and how."""

    method: Literal["GET", "POST"]
    url: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """Form fields of a POST."""
    gateway_reference: str | None = None
    """Stored before the payer leaves: later proof is bound to it. None where the gateway uses our reference."""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a browser says happened. Never believed: it only makes us ask."""

    reference: str | None
    gateway_reference: str | None
    status: str
    """The claimed status in the gateway's own words."""
    authenticated: bool = False
    """Did the gateway sign it? Then whoever brings it comes from there; it settles nothing all the same."""
    data: Mapping[str, str] = field(default_factory=dict)
    """For the log, with payer data masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the gateway's server answered when we asked. The only thing that settles."""

    outcome: Outcome
    status: str
    """The gateway's own word."""
    amount_minor: int | None
    gateway_reference: str | None
    """What it calls the attempt that it speaks of: its own reference, or ours where it has none."""
    gateway_transaction_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    """The answer, for the log."""


class Gateway(ABC):
    """One payment gateway. Its OPTIONS are the keyword arguments of ``__init__``.

    Raises GatewayUnavailable where no usable answer came: that is never a failure of the payment.
    """

    label: str
    """What payers call it."""
    supports_refunds: ClassVar[bool] = False
    """Can money be sent back through the gateway's API?"""
    by_hand: ClassVar[bool] = False
    """Is its money seen by a person, and nobody can be asked? Then staff records it, and its refunds."""
    instructions: str = ""
    """Where it is by hand: what the payer is to do, as plain text."""
    currencies: ClassVar[frozenset[str]] = frozenset({"NPR"})
    """What it can be paid in."""
    minimum_minor: ClassVar[int] = 1
    """The least amount it takes, in paisa."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the payer's browser is sent by a form of ours, by a redirect after one, or through on its way.

        Such as ``https://pay.example.com``: a Content-Security-Policy must allow them in ``form-action``.
        """
        return ()

    @abstractmethod
    def start_checkout(self, order: Order) -> Checkout:
        """Where to send the payer. Raises GatewayRejected, GatewayUnavailable."""

    @abstractmethod
    def read_callback(self, request: HttpRequest) -> Claim:
        """Read what came with the returning browser. Raises CallbackRejected."""

    @abstractmethod
    def look_up(self, order: Order) -> Proof:
        """Ask the gateway's server what happened. Raises GatewayUnavailable."""

    def refund(self, order: Order, amount_minor: int | None) -> None:
        """Ask for the money, or a part of it in paisa, to be sent back. Sent once; a look-up proves what came of it.

        Raises GatewayRejected where nothing is sent back, GatewayUnavailable where nobody knows.
        """
        raise GatewayRejected(f"{self.label} has no way to refund but its own dashboard.", {})

    def check(self) -> list[CheckMessage]:
        """System check messages of this gateway's options."""
        return []


def text_option(name: str, value: Any) -> str:
    """An option that must be a text; None, as of an unset variable of the environment, is the empty one."""
    if not isinstance(value, str | None):
        raise TypeError(f"{name} must be a text, and it is of type {type(value).__name__}")
    return value or ""


MAX_PARAMETER = 500
INVISIBLE = dict.fromkeys(map(ord, "\u00a0\u200c\u200d"))
"""No-break space and the joiners that Nepali words are written with: not printable to Python, yet innocent."""


def single_parameters(query: QueryDict, *, longest: int = MAX_PARAMETER) -> dict[str, str]:
    """The query as plain text. Raises CallbackRejected for repeated, oversized or control-character parameters."""
    parameters = {}
    for name, values in query.lists():
        if len(values) != 1:
            raise CallbackRejected(f"The parameter {mask_cards(name)[:50]!r} came {len(values)} times.")
        value = values[0]
        if len(name) > 50 or len(value) > longest:
            raise CallbackRejected(f"The parameter {mask_cards(name)[:50]!r} is longer than anything a gateway sends.")
        if not (name + value).translate(INVISIBLE).isprintable():
            raise CallbackRejected(f"The parameter {mask_cards(name)[:50]!r} has characters that no gateway sends.")
        parameters[name] = value
    return parameters


def is_id(value: Any) -> bool:
    """Can this be kept as the id that a gateway gave?"""
    return isinstance(value, str) and 0 < len(value) <= 100 and value.isascii() and value.isprintable()


def masked(value: str, *, shown: int = 3) -> str:
    """A payer's number for the log: its last digits only."""
    return "*" * max(len(value) - shown, 0) + value[-shown:] if value else ""
