"""One payment at eSewa: its states, who may pay it, and the way back to the merchant.

Source: developer.esewa.com.np/pages/Epay.

    PENDING ---- pay, close_tab ---> COMPLETE
       |   |---- cancel -----------> CANCELED
       |   |---- expire, time -----> NOT_FOUND
       |   '---- ambiguous --------> AMBIGUOUS (still open to every act; time does not end it)
       '-------- pending ----------> PENDING (likewise)

    COMPLETE --- refund -----------> PARTIAL_REFUND ---- refund ---> FULL_REFUND (in the merchant's panel alone)
"""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from .faults import Way

# The accounts of eSewa's test environment.
PAYERS = (*(f"980680000{digit}" for digit in range(1, 6)), *(f"971111111{digit}" for digit in range(1, 5)))
PASSWORD = "Nepal@123"  # noqa: S105 - printed on eSewa's page
TOKEN = "123456"  # noqa: S105 - printed on eSewa's page

FORM_SIGNED = "total_amount,transaction_uuid,product_code"
RETURN_SIGNED = "transaction_code,status,total_amount,transaction_uuid,product_code,signed_field_names"


class Status(StrEnum):
    """What has become of a payment, in the words of the status API."""

    PENDING = "PENDING"
    COMPLETE = "COMPLETE"
    AMBIGUOUS = "AMBIGUOUS"
    CANCELED = "CANCELED"
    NOT_FOUND = "NOT_FOUND"
    FULL_REFUND = "FULL_REFUND"
    PARTIAL_REFUND = "PARTIAL_REFUND"


class Act(StrEnum):
    """What can happen to an open payment."""

    PAY = "pay"
    CANCEL = "cancel"
    PENDING = "pending"
    AMBIGUOUS = "ambiguous"
    CLOSE_TAB = "close_tab"
    EXPIRE = "expire"


class Amounts(StrEnum):
    """How the amount is written on the way back: all three have been seen."""

    TEXT = "text"  # "1000.0"
    NUMBER = "number"  # 1000.0
    COMMAS = "commas"  # "1,000.0"


OPEN = {Status.PENDING, Status.AMBIGUOUS}
TAKEN = {Status.COMPLETE, Status.FULL_REFUND, Status.PARTIAL_REFUND}
OUTCOME = {
    Act.PAY: Status.COMPLETE,
    Act.CANCEL: Status.CANCELED,
    Act.PENDING: Status.PENDING,
    Act.AMBIGUOUS: Status.AMBIGUOUS,
    Act.CLOSE_TAB: Status.COMPLETE,
    Act.EXPIRE: Status.NOT_FOUND,
}
RETURNING = {Act.PAY, Act.CANCEL, Act.PENDING, Act.AMBIGUOUS}
NUMBERED = {Status.COMPLETE, Status.AMBIGUOUS}


@dataclass(frozen=True)
class Payment:
    """One line of the ledger. It says what happened, whatever a tampered status answers."""

    booking: str
    product_code: str
    transaction_uuid: str
    total_amount: Decimal
    success_url: str
    failure_url: str
    session_ends: datetime
    waits: bool = False  # left pending: time no longer ends it
    status: Status = Status.PENDING
    ref_id: str | None = None
    refunded: Decimal = Decimal(0)
    decided_at: datetime | None = None
    form_signature: str = ""

    @property
    def is_open(self) -> bool:
        """Tell whether the payer can still decide."""
        return self.status in OPEN

    @property
    def captured(self) -> bool:
        """Tell whether money was taken from the payer."""
        return self.status in TAKEN


@dataclass(frozen=True)
class Decision:
    """What came of an act; one on a payment that is over is not accepted and changes nothing."""

    payment: Payment
    accepted: bool
    returns: bool = False
    secret: str = ""
    amounts: Amounts = Amounts.TEXT

    @property
    def redirect_url(self) -> str | None:
        """Return where the browser goes, if it goes anywhere."""
        return self.way_back(None) if self.returns else None

    def way_back(self, way: Way | None) -> str:
        """Return where the browser goes when this becomes of its way.

        A forger brings the signature of the form, which was in plain sight, for a success; a meddler changes the amount
        of what eSewa signed.
        """
        payment = self.payment
        if way == Way.FORGED:
            return forged_url(payment)
        if payment.status == Status.COMPLETE:
            return success_url(payment, self.secret, self.amounts, "1.0" if way == Way.TAMPERED else None)
        if way in (Way.DATA, Way.TAMPERED):
            told = replace(payment, success_url=payment.failure_url)
            return success_url(told, self.secret, self.amounts, "1.0" if way == Way.TAMPERED else None)
        return payment.failure_url


def payer_error(payer: str, password: str, token: str) -> str | None:
    """Return why a payer is not let in, or None."""
    if payer not in PAYERS:
        return f"Use a test eSewa ID from {PAYERS[0]} to {PAYERS[4]}."
    if password != PASSWORD:
        return f"Wrong password. The test password is {PASSWORD}."
    if token != TOKEN:
        return f"Wrong token. The test token is {TOKEN}."
    return None


def sign(secret: str, names: str, values: Mapping[str, str]) -> str:
    """Sign the named values as eSewa does, both ways: the list says which, and in which order."""
    text = ",".join(f"{name}={values[name]}" for name in names.split(","))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), sha256)).decode()


def success_url(payment: Payment, secret: str, amounts: Amounts, changed: str | None = None) -> str:
    """Return where a payer who paid goes: eSewa appends `?data=` to the literal URL, whatever it has already.

    With another amount, put in after eSewa signed, where one is given.
    """
    amount = double(payment.total_amount, commas=amounts == Amounts.COMMAS)
    values = {
        "transaction_code": payment.ref_id or "",
        "status": str(payment.status),
        "total_amount": amount,
        "transaction_uuid": payment.transaction_uuid,
        "product_code": payment.product_code,
        "signed_field_names": RETURN_SIGNED,
    }
    values["signature"] = sign(secret, RETURN_SIGNED, values)
    values["total_amount"] = changed or amount
    text = json.dumps(values, separators=(",", ":"))
    if amounts == Amounts.NUMBER:
        text = text.replace(f'"total_amount":"{amount}"', f'"total_amount":{amount}')
    return _with_data(payment.success_url, text)


def forged_url(payment: Payment) -> str:
    """Return where a forger goes, with the form's own signature and the list of fields that it covers."""
    values = {
        "transaction_code": "0000000",
        "status": "COMPLETE",
        "total_amount": format(payment.total_amount, "f"),
        "transaction_uuid": payment.transaction_uuid,
        "product_code": payment.product_code,
        "signed_field_names": FORM_SIGNED,
        "signature": payment.form_signature,
    }
    return _with_data(payment.success_url, json.dumps(values, separators=(",", ":")))


def _with_data(url: str, text: str) -> str:
    return f"{url}?data={base64.b64encode(text.encode()).decode()}"


def double(amount: Decimal, *, commas: bool = False) -> str:
    """Write an amount as Java writes a double: `100` is `100.0`."""
    text = format(amount.normalize(), ",f" if commas else "f")
    return text if "." in text else f"{text}.0"
