"""eSewa ePay v2: developer.esewa.com.np/pages/Epay.

Amounts are rupees as text. A payment is bound by our reference, which is eSewa's ``transaction_uuid``. The payer's
browser posts a form that we signed and comes back with data that eSewa signed by the same key, both in plain sight.
There is no webhook and no refund API: only the status answer proves anything.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.core.checks import CheckMessage, Error
from django.http import HttpRequest, QueryDict
from django.views.decorators.debug import sensitive_variables

from ..conf import conf
from ..exceptions import CallbackRejected, GatewayError, GatewayNotConfigured, GatewayUnavailable, SignatureRejected
from .addresses import is_loopback, origin, simulator_problem, split
from .base import Checkout, Claim, Gateway, Order, Outcome, Proof, is_id, single_parameters, text_option
from .http import Secret, get_json, read_object

FORM_URLS = {
    "live": "https://epay.esewa.com.np/api/epay/main/v2/form",
    "sandbox": "https://rc-epay.esewa.com.np/api/epay/main/v2/form",
}
"""Where the payer's browser posts the form, by TENANT_BILLING_MODE. Source: "Integration"."""

STATUS_URLS = {
    "live": "https://epay.esewa.com.np/api/epay/transaction/status/",
    "sandbox": "https://rc.esewa.com.np/api/epay/transaction/status/",
}
"""Where we ask. Another host than the form's in the sandbox, so an option of its own. Source: "Status Check"."""

HOSTS = {
    "live": {"epay.esewa.com.np", "esewa.com.np"},
    "sandbox": {"rc-epay.esewa.com.np", "rc.esewa.com.np", "uat.esewa.com.np"},
}
"""Every host that eSewa's pages have named: those of one mode are refused in the other."""

SANDBOX_CODE = "EPAYTEST"
SANDBOX_SECRET = "8gBm/:&EnhH.1/q"  # noqa: S105 - printed on eSewa's page; the "(" behind it belongs to the sentence
"""The merchant that everybody may be in the sandbox. Source: "Credentials"."""

FORM_SIGNED = ("total_amount", "transaction_uuid", "product_code")
"""What the form's signature covers, in this order. Source: "Signature"."""

CALLBACK_SIGNED = frozenset({"transaction_code", "status", *FORM_SIGNED})
"""What the signature of a returning browser must cover. The form's covers less, and the payer has it: the list that
comes with the data is never believed where it leaves one of these out."""

LONGEST_DATA = 2000
"""Of ``data``; the documented sample has 408 characters."""

OUTCOMES = {
    "COMPLETE": Outcome.SUCCEEDED,
    "PENDING": Outcome.PENDING,
    "AMBIGUOUS": Outcome.PENDING,
    "FULL_REFUND": Outcome.REFUNDED,
    "PARTIAL_REFUND": Outcome.PARTIALLY_REFUNDED,
    "CANCELED": Outcome.CANCELED,
    "NOT_FOUND": Outcome.NOT_FOUND,
}
"""Statuses, to the letter; any other text is no answer. NOT_FOUND is also said before the payer logs in, and for
seconds around completion; AMBIGUOUS is money that halted on its way. Source: "Status Check"."""

AMOUNT = re.compile(r"(\d{1,13}|\d{1,3}(?:,\d{3}){1,4})(?:\.(\d{1,2})0*)?", re.ASCII)
"""``100``, ``100.0`` or ``1,000.0``: what samples of the status and of the returning data show."""


class EsewaGateway(Gateway):
    """eSewa. ``merchant_code`` and ``merchant_secret`` come from eSewa; the URLs, unless given, are the mode's."""

    label = "eSewa"

    def __init__(self, *, merchant_code: str, merchant_secret: str, form_url: str = "", status_url: str = "") -> None:
        self.merchant_code = text_option("merchant_code", merchant_code)
        self._secret = Secret(text_option("merchant_secret", merchant_secret))
        self._form_url = text_option("form_url", form_url)
        self._status_url = text_option("status_url", status_url)

    def __repr__(self) -> str:
        return f"<EsewaGateway {self.merchant_code} {self.form_url}>"

    @property
    def form_url(self) -> str:
        """Where the form leads: the option, else the mode's."""
        return self._form_url or FORM_URLS.get(conf.mode, "")

    @property
    def status_url(self) -> str:
        """Where the status is asked: the option, else the mode's."""
        return self._status_url or STATUS_URLS.get(conf.mode, "")

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the form is posted; eSewa redirects within that host. Source: "Integration"."""
        return (origin(self.form_url),)

    def start_checkout(self, order: Order) -> Checkout:
        """The signed form; all of its fields are required, unused charges are 0. Asks nobody. Source: "Integration"."""
        self._refuse_misuse(GatewayUnavailable)
        signed = self._named(order)
        fields = {
            "amount": signed["total_amount"],
            "tax_amount": "0",
            "product_service_charge": "0",
            "product_delivery_charge": "0",
            **signed,
            "success_url": order.success_url,
            "failure_url": order.failure_url,
            "signed_field_names": ",".join(FORM_SIGNED),
            "signature": self._sign(FORM_SIGNED, signed),
        }
        return Checkout(method="POST", url=self.form_url, fields=fields)

    def read_callback(self, request: HttpRequest) -> Claim:
        """``data``: base64 of JSON that eSewa signed. Without it, as after a failure, a claim of nothing.

        The signature is over the literal text of the values, ``1,000.0`` included. Source: "Response".
        """
        # eSewa adds "?data=" also to a URL that has a query already. Base64 has no question mark.
        query = QueryDict(request.META.get("QUERY_STRING", "").replace("?", "&"))
        text = single_parameters(query, longest=LONGEST_DATA).get("data", "")
        if not text:
            return Claim(reference=None, gateway_reference=None, status="")
        self._refuse_misuse(GatewayNotConfigured)
        data = _decoded(text)
        names = data.get("signed_field_names", "").split(",")
        if not CALLBACK_SIGNED <= set(names) <= set(data) or len(set(names)) != len(names):
            raise SignatureRejected("eSewa's data is not signed as a whole.")
        if not hmac.compare_digest(self._sign(names, data).encode(), data.get("signature", "").encode()):
            raise SignatureRejected("The signature of eSewa's data is wrong.")
        if data["product_code"] != self.merchant_code:
            raise CallbackRejected("eSewa's data is for another merchant.")
        return Claim(
            reference=data["transaction_uuid"],
            gateway_reference=None,
            status=data["status"],
            authenticated=True,
            data={name: data[name] for name in ("transaction_code", "total_amount", "product_code")},
        )

    def look_up(self, order: Order) -> Proof:
        """GET the status for our code, amount and reference; the amount in the text that the form had."""
        self._refuse_misuse(GatewayUnavailable)
        answer = get_json(self.status_url, self._named(order), self._secret)
        body, status = answer.body, answer.body.get("status")
        outcome = OUTCOMES.get(status) if isinstance(status, str) else None
        if outcome is None or answer.http_status != 200:
            raise GatewayUnavailable(f"eSewa answered with HTTP {answer.http_status} and no known status.")
        if body.get("product_code") != self.merchant_code:
            raise GatewayUnavailable("eSewa answered for another merchant.")
        reference, transaction_id = body.get("transaction_uuid"), body.get("ref_id")
        return Proof(
            outcome=outcome,
            status=str(status),
            amount_minor=paisa(body.get("total_amount")),
            gateway_reference=reference if is_id(reference) else None,
            gateway_transaction_id=transaction_id if is_id(transaction_id) else None,
            data={name: body[name] for name in (*FORM_SIGNED, "status", "ref_id") if name in body},
        )

    def check(self) -> list[CheckMessage]:
        """What is wrong with the options. Where anything is, nobody is sent to eSewa and nothing is asked there."""
        messages: list[CheckMessage] = []
        if not self.merchant_code or not self._secret:
            missing = "merchant_secret" if self.merchant_code else "merchant_code"
            messages.append(
                Error(f"eSewa has no {missing}.", f"Add to .env: ESEWA_{missing.upper()}=...", id="tenant_billing.E015")
            )
        elif conf.mode == "live" and (self.merchant_code == SANDBOX_CODE or self._secret.reveal() == SANDBOX_SECRET):
            messages.append(
                Error(
                    "eSewa is given the sandbox's merchant, whose secret is public, but TENANT_BILLING_MODE is 'live'.",
                    "Set ESEWA_MERCHANT_CODE and ESEWA_MERCHANT_SECRET to what eSewa gave you.",
                    id="tenant_billing.E018",
                )
            )
        messages += _check_url("form_url", self.form_url, FORM_URLS)
        return messages + _check_url("status_url", self.status_url, STATUS_URLS)

    def _refuse_misuse(self, error: type[GatewayError]) -> None:
        """What ``manage.py check`` refuses is not used either."""
        if problems := self.check():
            raise error(problems[0].msg)

    def _named(self, order: Order) -> dict[str, str]:
        """What names a payment at eSewa: the same three texts in the form, its signature and the status query."""
        return {
            "total_amount": rupees(order.amount_minor),
            "transaction_uuid": order.reference,
            "product_code": self.merchant_code,
        }

    @sensitive_variables()
    def _sign(self, names: Sequence[str], values: Mapping[str, str]) -> str:
        """base64(HMAC-SHA256) over ``name=value`` pairs with bare commas between. Source: "Signature"."""
        message = ",".join(f"{name}={values[name]}" for name in names)
        digest = hmac.new(self._secret.reveal().encode(), message.encode(), sha256).digest()
        return base64.b64encode(digest).decode()


def rupees(amount_minor: int) -> str:
    """The one text of an amount, for form, signature and status: ``100``, ``1234.5``, ``0.05``."""
    whole, part = divmod(amount_minor, 100)
    return f"{whole}.{part:02}".rstrip("0") if part else str(whole)


def paisa(value: Any) -> int | None:
    """An amount that eSewa wrote, whether as a number or as text; None where it is none to the letter."""
    found = AMOUNT.fullmatch(str(value)) if type(value) in (int, str) else None
    return int(found[1].replace(",", "")) * 100 + int((found[2] or "").ljust(2, "0")) if found else None


def _decoded(text: str) -> dict[str, str]:
    """The values in ``data``, each as the text that eSewa signed. Raises CallbackRejected."""
    # A plus sign that was not escaped arrives as a space.
    packed = text.replace(" ", "+").rstrip("=")
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError as error:
        raise CallbackRejected("eSewa's data is no base64.") from error
    values = {name: str(value) for name, value in (read_object(raw) or {}).items() if type(value) in (int, str)}
    if not values or not all(value.isprintable() for value in values.values()):
        raise CallbackRejected("eSewa's data is no JSON object of texts and numbers.")
    return values


def _check_url(name: str, url: str, usual: Mapping[str, str]) -> list[CheckMessage]:
    parts = split(url)
    if is_loopback(parts.hostname):
        problem = simulator_problem(f"eSewa's {name}", url)
        return [Error(*problem, id="tenant_billing.E016")] if problem else []
    other = HOSTS["live" if conf.mode == "sandbox" else "sandbox"]
    if parts.scheme == "https" and parts.hostname and parts.hostname not in other:
        return []
    return [
        Error(
            f"eSewa's {name} is {url!r}, but TENANT_BILLING_MODE is {conf.mode!r}.",
            f"Leave {name} out, and {usual.get(conf.mode, 'the right address')} is used.",
            id="tenant_billing.E017",
        )
    ]
