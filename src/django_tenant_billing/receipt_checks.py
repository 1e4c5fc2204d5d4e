"""What ``check`` says of the settings of receipts: they are read leniently where money is applied, so it says all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.checks import CheckMessage, Error

from .conf import conf
from .parties import LONGEST, party_of, seller
from .vat import Vat, in_force


def check_receipts(**_kwargs: Any) -> list[CheckMessage]:
    """The seller, and the tax."""
    messages: list[CheckMessage] = []
    if conf.vat not in list(Vat):
        messages.append(
            Error(
                f"TENANT_BILLING_VAT is {conf.vat!r}: prices are sold without VAT.",
                f"Set it to {', '.join(repr(word.value) for word in Vat)}.",
                id="tenant_billing.E027",
            )
        )
    if problem := _problem_of_seller(conf.seller):
        messages.append(
            Error(
                f"TENANT_BILLING_SELLER {problem}.",
                'Write it as {"name": "Himal Software Pvt. Ltd.", "address": "Kathmandu", "pan": "301234567"}.',
                id="tenant_billing.E026",
            )
        )
    elif in_force() is not Vat.EXEMPT and not (seller().pan and seller().name):
        messages.append(
            Error(
                f"TENANT_BILLING_VAT is {conf.vat!r}, but TENANT_BILLING_SELLER names no seller with a PAN.",
                'Add "name" and "pan" to it, or set TENANT_BILLING_VAT = "exempt".',
                id="tenant_billing.E028",
            )
        )
    return messages


def _problem_of_seller(given: object) -> str:
    """What is wrong with it; nothing where nothing is."""
    if not isinstance(given, Mapping):
        return f"is {given!r}"
    if party_of(given) is None:
        return f"must have texts of {', '.join(LONGEST)}, and nothing else"
    for name, longest in LONGEST.items():
        if len(str(given.get(name) or "")) > longest:
            return f"has a {name} of more than {longest} characters"
    if given.get("pan") and not re.fullmatch(r"[0-9]{9}", str(given["pan"])):
        return f"has the pan {given['pan']!r}, which is not 9 digits"
    return ""
