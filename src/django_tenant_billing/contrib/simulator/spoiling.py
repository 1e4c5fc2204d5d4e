"""What a fault makes of an answer, when the wallet sends one at all."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from random import Random
from typing import Any

from .faults import Failure, Fault
from .wire import Answer, html_answer, json_answer

ELSEWHERE = "http://169.254.169.254/latest/meta-data/"
LARGE = 10_000_000
BOMB = 50_000_000

SERVICE: dict[str, object] = {"code": 0, "error_message": "Service is currently unavailable"}
"""eSewa's own words in answer to a question. Source: developer.esewa.com.np/pages/Epay, "Status Check"."""

FAILING = {"Expired", "User canceled"}
"""Khalti answers these with HTTP 400."""

FLIPS = {
    "pidx": ("Pending", "Initiated", "Expired", "User canceled"),
    "transaction_uuid": ("PENDING", "AMBIGUOUS", "NOT_FOUND", "CANCELED"),
}
"""What is said instead of the truth, by the name that the wallet's reference has. Never that money came."""


def refusal(failure: Failure) -> Answer:
    """Return what is answered to a request that the wallet has not seen."""
    match failure.mode:
        case Fault.HTML:
            return html_answer("<!doctype html><title>Maintenance</title><p>We will be back soon.")
        case Fault.EMPTY:
            return Answer(HTTPStatus.OK, "", "application/json")
        case Fault.LARGE:
            return Answer(HTTPStatus.OK, " " * LARGE + "{}", "application/json")
        case Fault.BOMB:
            return Answer(HTTPStatus.OK, bomb(), "application/json", headers=(("Content-Encoding", "gzip"),))
        case Fault.REDIRECT:
            return Answer(HTTPStatus.FOUND, "", "text/plain", location=ELSEWHERE)
        case Fault.SERVICE:
            return json_answer(SERVICE)
        case Fault.TOO_MANY:
            answer = json_answer({"detail": "Request was throttled."}, HTTPStatus.TOO_MANY_REQUESTS)
            return replace(answer, headers=(("Retry-After", f"{failure.seconds:g}"),))
        case Fault.UNAUTHORIZED:
            return json_answer({"detail": "Invalid token.", "status_code": 401}, HTTPStatus.UNAUTHORIZED)
    status = HTTPStatus(int(failure.mode))
    return json_answer({"detail": f"{status.phrase.capitalize()}."}, status)


def spoiled(failure: Failure, answer: Answer) -> Answer:
    """Return what is left of the answer of a wallet that has done what it was asked."""
    text = str(answer.body)
    match failure.mode:
        case Fault.TRUNCATED:
            return replace(answer, body=text[: len(text) // 2])
        case Fault.TWICE:
            return replace(answer, body=text.replace("{", '{"status": "Completed", "status": "COMPLETE", ', 1))
        case Fault.NAN:
            return replace(answer, body=text.replace("{", '{"total_amount": NaN, ', 1))
    body = json.loads(text)
    reference = next((name for name in FLIPS if name in body), None)
    if failure.mode not in LYING or reference is None or "status" not in body:
        return answer
    LYING[failure.mode](body, reference, failure.draw)
    if "detail" in body:
        return json_answer({"detail": "Not found.", "error_key": "validation_error"}, HTTPStatus.NOT_FOUND)
    failed = reference == "pidx" and body["status"] in FAILING
    return json_answer(body, HTTPStatus.BAD_REQUEST if failed else HTTPStatus.OK)


@cache
def bomb() -> bytes:
    """Fifty megabytes in fifty kilobytes."""
    return gzip.compress(b" " * BOMB + b"{}", 6)


def _amount(body: dict[str, Any], reference: str, draw: Random) -> None:
    amount, least = body["total_amount"], 1 if reference == "pidx" else 0.01
    body["total_amount"] = draw.choice((amount + least, amount - least, amount * 100))


def _reference(body: dict[str, Any], reference: str, draw: Random) -> None:
    body[reference] = "".join(draw.sample(body[reference], len(body[reference]))) + "X"


def _merchant(body: dict[str, Any], reference: str, draw: Random) -> None:
    """At Khalti the payment of another merchant is not found; eSewa says whose it is."""
    if reference == "pidx":
        body["detail"] = "Not found."
    else:
        body["product_code"] = f"NP-ES-{draw.randrange(10**6)}"


def _flip(body: dict[str, Any], reference: str, draw: Random) -> None:
    body["status"] = draw.choice([status for status in FLIPS[reference] if status != body["status"]])


LYING: dict[Fault, Callable[[dict[str, Any], str, Random], None]] = {
    Fault.AMOUNT: _amount,
    Fault.REFERENCE: _reference,
    Fault.MERCHANT: _merchant,
    Fault.FLIP: _flip,
}
