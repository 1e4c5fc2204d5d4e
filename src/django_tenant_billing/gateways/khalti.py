"""Khalti Web Checkout (KPG-2): docs.khalti.com/khalti-epayment.

Amounts are integer paisa. A payment is bound to the ``pidx`` that Khalti gave us when it was started. There is no
webhook: the browser comes back with an unsigned query, and only a lookup proves anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.core.checks import CheckMessage, Error
from django.http import HttpRequest
from django.urls import Resolver404, get_script_prefix, resolve
from django.utils.dateparse import parse_datetime

from ..conf import conf
from ..exceptions import GatewayRefusesUs, GatewayRejected, GatewayUnavailable
from ..masking import mask_cards
from .addresses import is_loopback, origin, simulator_problem, split
from .base import Checkout, Claim, Gateway, Order, Outcome, Proof, is_id, masked, single_parameters, text_option
from .http import Answer, HeaderAuth, Secret, post_json

HOSTS = {"live": "https://khalti.com/api/v2/", "sandbox": "https://dev.khalti.com/api/v2/"}
"""API bases by TENANT_BILLING_MODE. Source: docs.khalti.com, "API Endpoints"."""

API_HOSTS = {"live": {"khalti.com"}, "sandbox": {"dev.khalti.com", "a.khalti.com"}}
"""Every host that Khalti's pages have named for its API: those of one mode are refused in the other."""

PAYMENT_HOSTS = {"live": "pay.khalti.com", "sandbox": "test-pay.khalti.com"}
"""Where ``payment_url`` may lead. Source: the documented initiate responses."""

MINIMUM_MINOR = 1000
"""Rs 10. Source: the documented validation error of initiate."""

LARGEST_MINOR = 10**15
"""What is larger is no amount, and no column could keep it."""

OUTCOMES = {
    "Completed": Outcome.SUCCEEDED,
    "Pending": Outcome.PENDING,
    "Initiated": Outcome.INITIATED,
    "Refunded": Outcome.REFUNDED,
    "Partially Refunded": Outcome.PARTIALLY_REFUNDED,
    "Partially refunded": Outcome.PARTIALLY_REFUNDED,
    "Expired": Outcome.EXPIRED,
    "User canceled": Outcome.CANCELED,
    "Failed": Outcome.FAILED,
}
"""Lookup statuses, to the letter; any other text is no answer. Source: docs.khalti.com, "Payment Status Code"."""


class KhaltiGateway(Gateway):
    """Khalti. ``secret_key`` is the dashboard's live_secret_key, in the sandbox too; the rest is optional."""

    label = "Khalti"
    minimum_minor: ClassVar[int] = MINIMUM_MINOR
    supports_refunds: ClassVar[bool] = True

    def __init__(self, *, secret_key: str, public_key: str = "", callback_url: str = "", base_url: str = "") -> None:
        self.public_key = text_option("public_key", public_key)
        self.callback_url = text_option("callback_url", callback_url)
        self._base_url = text_option("base_url", base_url)
        self._secret = Secret(text_option("secret_key", secret_key))

    def __repr__(self) -> str:
        return f"<KhaltiGateway {self.base_url}>"

    @property
    def base_url(self) -> str:
        """Where the API is: the option, else the host of the mode; ends in a slash."""
        return (self._base_url or HOSTS.get(conf.mode, "")).rstrip("/") + "/"

    @property
    def origins(self) -> tuple[str, ...]:
        """Where ``payment_url`` leads: our checkout is a form that ends in a redirect there."""
        if is_loopback(split(self.base_url).hostname):
            return (origin(self.base_url),)
        return (origin(f"https://{PAYMENT_HOSTS.get(conf.mode, '')}"),)

    def start_checkout(self, order: Order) -> Checkout:
        """POST epayment/initiate/. Not idempotent as documented, so never sent twice."""
        answer = self._post(
            "epayment/initiate/",
            {
                "return_url": self.callback_url or order.return_url,
                "website_url": order.website_url,
                "amount": order.amount_minor,
                "purchase_order_id": order.reference,
                "purchase_order_name": order.description,
            },
        )
        if answer.http_status == 400:
            raise GatewayRejected("Khalti refused to start this payment.", _reasons(answer.body))
        pidx, url = answer.body.get("pidx"), answer.body.get("payment_url")
        if answer.http_status != 200 or not is_id(pidx) or not isinstance(url, str):
            raise GatewayUnavailable(f"Khalti answered initiate with HTTP {answer.http_status} and no payment link.")
        self._trust_payment_url(url)
        return Checkout(method="GET", url=url, gateway_reference=pidx, expires_at=_moment(answer.body))

    def read_callback(self, request: HttpRequest) -> Claim:
        """The query of the return URL, unsigned: a claim, whatever it says.

        Until 2024 a failure came with nothing but ``message``.
        """
        parameters = single_parameters(request.GET)
        shown = {"status", "pidx", "transaction_id", "amount", "message"}
        data = {name: value for name, value in parameters.items() if name in shown}
        if "mobile" in parameters:
            data["mobile"] = masked(parameters["mobile"])
        return Claim(
            reference=parameters.get("purchase_order_id") or None,
            gateway_reference=parameters.get("pidx") or None,
            status=parameters.get("status", ""),
            data=data,
        )

    def look_up(self, order: Order) -> Proof:
        """POST epayment/lookup/ for the pidx we stored. Expired and User canceled come with HTTP 400."""
        answer = self._post("epayment/lookup/", {"pidx": order.gateway_reference})
        body, status = answer.body, answer.body.get("status")
        outcome = OUTCOMES.get(status) if isinstance(status, str) else None
        if outcome is None or answer.http_status not in (200, 400):
            raise GatewayUnavailable(f"Khalti answered lookup with HTTP {answer.http_status} and no known status.")
        if answer.http_status == 400 and outcome not in (Outcome.EXPIRED, Outcome.CANCELED, Outcome.FAILED):
            raise GatewayUnavailable(f"Khalti answered lookup with HTTP 400 and status {status!r}.")
        amount, pidx, transaction_id = body.get("total_amount"), body.get("pidx"), body.get("transaction_id")
        return Proof(
            outcome=outcome,
            status=str(status),
            amount_minor=amount if type(amount) is int and abs(amount) < LARGEST_MINOR else None,
            gateway_reference=pidx if is_id(pidx) else None,
            gateway_transaction_id=transaction_id if is_id(transaction_id) else None,
            data={
                name: body[name]
                for name in ("pidx", "total_amount", "status", "transaction_id", "fee", "refunded")
                if name in body
            },
        )

    def refund(self, order: Order, amount_minor: int | None) -> None:
        """POST merchant-transaction/{transaction_id}/refund/, which is not under ``v2/``. Source: "Refund".

        The amount of a part is in paisa, as the page's text says; its samples show rupees.
        """
        path = f"merchant-transaction/{order.gateway_transaction_id}/refund/"
        answer = self._post(path, {} if amount_minor is None else {"amount": amount_minor}, without="v2/")
        if answer.http_status == 400:
            raise GatewayRejected("Khalti refused to refund this payment.", _reasons(answer.body))
        if answer.http_status != 200:
            raise GatewayUnavailable(f"Khalti answered refund with HTTP {answer.http_status}.")

    def check(self) -> list[CheckMessage]:
        """What is wrong with the options. With a wrong key or address nothing is asked at Khalti."""
        return self._check_access() + self._check_callback_url()

    def _check_access(self) -> list[CheckMessage]:
        messages: list[CheckMessage] = []
        if not self._secret:
            messages.append(
                Error("Khalti has no secret_key.", "Add to .env: KHALTI_SECRET_KEY=...", id="tenant_billing.E011")
            )
        parts = split(self.base_url)
        other = API_HOSTS["live" if conf.mode == "sandbox" else "sandbox"]
        if is_loopback(parts.hostname):
            if problem := simulator_problem("Khalti's base_url", self.base_url):
                messages.append(Error(*problem, id="tenant_billing.E012"))
        elif parts.scheme != "https" or not parts.hostname or parts.hostname in other:
            messages.append(
                Error(
                    f"Khalti's base_url is {self.base_url}, but TENANT_BILLING_MODE is {conf.mode!r}.",
                    f"Leave base_url out, and {HOSTS.get(conf.mode, 'the right host')} is used.",
                    id="tenant_billing.E013",
                )
            )
        return messages

    def _check_callback_url(self) -> list[CheckMessage]:
        if not self.callback_url:
            return []
        problem = _callback_problem(self.callback_url)
        if not problem:
            return []
        return [
            Error(
                f"Khalti's callback_url is {self.callback_url!r}, {problem}.",
                "Leave KHALTI_CALLBACK_URL out, and each payment has its own; or set it to where this site answers "
                "/khalti/callback/ under the include of our URLs.",
                id="tenant_billing.E025",
            )
        ]

    def _post(self, path: str, payload: Mapping[str, Any], *, without: str = "") -> Answer:
        # What ``manage.py check`` refuses is not used either: money of the sandbox buys nothing in live mode.
        if problems := self._check_access():
            raise GatewayUnavailable(problems[0].msg)
        answer = post_json(self.base_url.removesuffix(without) + path, payload, HeaderAuth("Key", self._secret))
        if answer.http_status in (401, 403):
            raise GatewayRefusesUs(f"Khalti refused our key (HTTP {answer.http_status}). Check KHALTI_SECRET_KEY.")
        return answer

    def _trust_payment_url(self, url: str) -> None:
        """Raise GatewayUnavailable unless the payer would land at Khalti, or at our own simulator."""
        # urlsplit drops line breaks and leading spaces; the payer's browser gets the text as it came.
        parts, base = split(url if re.fullmatch(r"[!-~]+", url) else ""), split(self.base_url)
        genuine = parts.scheme == "https" and parts.netloc == PAYMENT_HOSTS.get(conf.mode)
        simulated = is_loopback(base.hostname) and (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        if not genuine and not simulated:
            raise GatewayUnavailable("Khalti answered initiate with a payment link to an unexpected host.")


def _callback_problem(url: str) -> str:
    """Why Khalti could not send payers back to this fixed URL; empty where it can."""
    parts = split(url)
    simulated = parts.scheme == "http" and conf.allow_simulator
    if not parts.hostname or not (parts.scheme == "https" or simulated):
        return "which is no https URL"
    if "?" in url or "#" in url:
        return "which has a query or a fragment: Khalti adds its own query"
    try:
        found = resolve("/" + parts.path.removeprefix(get_script_prefix()).lstrip("/"))
    except Resolver404:
        return "which this site does not answer"
    ours = (found.app_names[-1:], found.url_name) == (["tenant_billing"], "gateway_callback")
    if not ours or found.kwargs["gateway"] not in conf.gateways or "reference" in found.kwargs:
        return "which is not the callback of a gateway"
    return ""


def _moment(body: Mapping[str, Any]) -> datetime | None:
    value = body.get("expires_at")
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _reasons(body: Mapping[str, Any]) -> dict[str, str]:
    """Khalti's two envelopes, ``{"field": ["why"], "error_key": ...}`` and ``{"detail": "why"}``, as one."""
    reasons = {}
    for name, value in body.items():
        if name not in ("error_key", "status_code"):
            text = " ".join(str(line) for line in value) if isinstance(value, list) else str(value)
            reasons[mask_cards(str(name))[:50]] = mask_cards(text)[:200]
    return reasons
