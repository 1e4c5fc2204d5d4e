"""What opens a page to whoever has it, without a session."""

from __future__ import annotations

from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac


def result_token(reference: str) -> str:
    """The 256 bits that let somebody without a session see how one payment stands. Derived, so never stored."""
    return salted_hmac("tenant_billing.result", reference, algorithm="sha256").hexdigest()


def result_path(reference: str) -> str:
    """The clean address a payer lands on, without scheme and host."""
    return reverse("tenant_billing:result", args=[reference, result_token(reference)])


def token_fits(reference: str, token: str) -> bool:
    return constant_time_compare(token, result_token(reference))
