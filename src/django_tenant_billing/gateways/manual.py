"""Money that a person sees: a bank transfer, or cash at the counter. Nobody can be asked; staff records it."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from django.core.checks import CheckMessage, Error
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..exceptions import GatewayUnavailable
from ..marking import gettext_noop
from ..tokens import result_path
from .base import Checkout, Claim, Gateway, Order, single_parameters

LONGEST_LABEL = 100
BANK_TRANSFER = gettext_noop("Bank transfer")


class ManualGateway(Gateway):
    """Bank transfer or cash. ``label`` is what payers call it, ``instructions`` what they are to do, as plain text."""

    by_hand: ClassVar[bool] = True

    def __init__(self, *, label: str = BANK_TRANSFER, instructions: str = "") -> None:
        self._label = label
        self.instructions = instructions

    @property
    def label(self) -> str:  # type: ignore[override]
        """As it was given; the one that nobody gave is in the reader's language."""
        return _(self._label) if self._label == BANK_TRANSFER else self._label

    def __repr__(self) -> str:
        return f"<ManualGateway {self.label!r}>"

    def start_checkout(self, order: Order) -> Checkout:
        """To our own page of the payment, which shows the instructions and the reference to quote."""
        return Checkout(method="GET", url=order.website_url.removesuffix("/") + result_path(order.reference))

    def read_callback(self, request: HttpRequest) -> Claim:
        """Nobody is sent back by a bank: a claim of nothing."""
        single_parameters(request.GET)
        return Claim(reference=None, gateway_reference=None, status="")

    def look_up(self, order: Order) -> NoReturn:
        """Always GatewayUnavailable."""
        raise GatewayUnavailable(f"{self.label} has no server to ask. Record the money in the admin when it came.")

    def check(self) -> list[CheckMessage]:
        """What is wrong with the options."""
        problem = ""
        if not _is_line(self.label):
            problem = f"label is {self.label!r}"
        elif not isinstance(self.instructions, str):
            problem = f"instructions are {self.instructions!r}"
        if not problem:
            return []
        return [
            Error(
                f"A manual gateway's {problem}.",
                f'Give it a "label" of 1 to {LONGEST_LABEL} characters in one line, and "instructions" as plain text.',
                id="tenant_billing.E024",
            )
        ]


def _is_line(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text.strip()) <= LONGEST_LABEL and "\n" not in text
