"""What Khalti demands of a request, and the words it refuses with.

Source: docs.khalti.com, Web Checkout (KPG-2), initiate, error samples. What the samples leave out (a missing field, a
null) is worded as by Django REST framework, which they plainly come from.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from .wire import RequestError

MINIMUM_AMOUNT = 1000

# Printable ASCII only: the URL goes into a Location header, where a line break would start a new one.
URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
INTEGER = re.compile(r"-?[0-9]{1,18}")
SURROGATE = re.compile(r"[\ud800-\udfff]")


class Fields:
    """Reads the fields of one request and collects what is wrong with them."""

    def __init__(self, request: Mapping[str, object]) -> None:
        self.request = request
        self.errors: dict[str, object] = {}

    def text(self, name: str) -> str:
        """Return a text that is not blank."""
        value = self.request.get(name)
        is_text = isinstance(value, str | int) and not isinstance(value, bool)
        text = str(value).strip() if is_text else ""
        if name not in self.request:
            self.errors[name] = ["This field is required."]
        elif value is None:
            self.errors[name] = ["This field may not be null."]
        elif not is_text:
            self.errors[name] = ["Not a valid string."]
        elif not text:
            self.errors[name] = ["This field may not be blank."]
        elif SURROGATE.search(text):
            self.errors[name] = ["Surrogate characters are not allowed."]
        return text

    def url(self, name: str) -> str:
        """Return an absolute HTTP URL."""
        text = self.text(name)
        if name not in self.errors and not is_url(text):
            self.errors[name] = ["Enter a valid URL."]
        return text

    def amount(self, name: str) -> int:
        """Return an amount in paisa: an integer or its digits, of at least Rs 10."""
        amount = _integer(self.request.get(name))
        if name not in self.request:
            self.errors[name] = ["This field is required."]
        elif amount is None:
            self.errors[name] = ["A valid integer is required."]
        elif amount < MINIMUM_AMOUNT:
            # Khalti's own words; its samples pay exactly 1000, so the limit is meant inclusively.
            self.errors[name] = ["Amount should be greater than Rs. 10, that is 1000 paisa."]
        return amount or 0

    def breakdown(self, name: str, amount: int) -> None:
        """Demand that the parts of a breakdown, when there is one, add up to the amount."""
        parts = self.request.get(name)
        if parts is None or "amount" in self.errors:
            return
        if not isinstance(parts, list) or _sum(parts) != amount:
            self.errors["amount"] = ["Amount Breakdown mismatch."]

    def refuse_errors(self) -> None:
        """Refuse the request with all that was found, if anything was."""
        if self.errors:
            raise RequestError(HTTPStatus.BAD_REQUEST, {**self.errors, "error_key": "validation_error"})


def is_url(text: str) -> bool:
    """Tell whether this is an absolute HTTP URL that can go into a Location header."""
    try:
        parts = urlsplit(text)
        return bool(URL.fullmatch(text) and parts.hostname and parts.port != 0)
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _integer(value: object) -> int | None:
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _sum(parts: list[object]) -> int | None:
    total = 0
    for part in parts:
        amount = _integer(part.get("amount")) if isinstance(part, dict) else None
        if amount is None:
            return None
        total += amount
    return total
