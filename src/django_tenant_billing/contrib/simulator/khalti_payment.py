"""One payment at Khalti: its states, who may pay it, and the way back to the merchant.

Source: docs.khalti.com, Web Checkout (KPG-2).

    Initiated ---- pay, close_tab ---> Completed
       |   |------ cancel -----------> User canceled
       |   '------ expire, time -----> Expired
       '---------- pending ----------> Pending (still open to every act; time does not end it)

    Completed ---- refund -----------> Partially Refunded ---- refund ---> Refunded
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

# The accounts of Khalti's sandbox.
PAYERS = tuple(f"980000000{digit}" for digit in range(6))
MPIN = "1111"
OTP = "987654"


class Status(StrEnum):
    """What has become of a payment, in the words of lookup."""

    INITIATED = "Initiated"
    PENDING = "Pending"
    COMPLETED = "Completed"
    CANCELED = "User canceled"
    EXPIRED = "Expired"
    REFUNDED = "Refunded"
    PARTIALLY_REFUNDED = "Partially Refunded"


class Act(StrEnum):
    """What can happen to an open payment."""

    PAY = "pay"
    CANCEL = "cancel"
    PENDING = "pending"
    CLOSE_TAB = "close_tab"
    EXPIRE = "expire"


OPEN = {Status.INITIATED, Status.PENDING}
OUTCOME = {
    Act.PAY: Status.COMPLETED,
    Act.CANCEL: Status.CANCELED,
    Act.PENDING: Status.PENDING,
    Act.CLOSE_TAB: Status.COMPLETED,
    Act.EXPIRE: Status.EXPIRED,
}
RETURNING = {Act.PAY, Act.CANCEL, Act.PENDING}


@dataclass(frozen=True)
class Payment:
    """One line of the ledger. It says what happened, whatever a tampered lookup answers."""

    key: str
    pidx: str
    return_url: str
    purchase_order_id: str
    purchase_order_name: str
    amount: int
    expires_at: datetime
    status: Status = Status.INITIATED
    transaction_id: str | None = None
    payer: str = ""
    refunded: int = 0

    @property
    def is_open(self) -> bool:
        """Tell whether the payer can still decide."""
        return self.status in OPEN

    @property
    def captured(self) -> bool:
        """Tell whether money was taken from the payer."""
        return self.transaction_id is not None


@dataclass(frozen=True)
class Decision:
    """What came of an act; one on a payment that is over is not accepted and changes nothing."""

    payment: Payment
    accepted: bool
    redirect_url: str | None = None


def payer_error(payer: str, mpin: str, otp: str) -> str | None:
    """Return why a payer is not let in, or None. The sandbox's accounts: 9800000000 to 9800000005."""
    if payer not in PAYERS:
        return f"Use a test Khalti ID from {PAYERS[0]} to {PAYERS[-1]}."
    if mpin != MPIN:
        return f"Wrong MPIN. The test MPIN is {MPIN}."
    if otp != OTP:
        return f"Wrong OTP. The test OTP is {OTP}."
    return None


def return_url(payment: Payment) -> str:
    """Return where the payer's browser goes: the merchant's URL with KPG-2's unsigned parameters."""
    amount = str(payment.amount)
    order = {
        "purchase_order_id": payment.purchase_order_id,
        "purchase_order_name": payment.purchase_order_name,
    }
    transaction_id = payment.transaction_id
    if transaction_id is not None:
        parameters = {
            "pidx": payment.pidx,
            "txnId": transaction_id,
            "amount": amount,
            "total_amount": amount,
            "status": payment.status,
            "mobile": f"{payment.payer[:2]}XXXXX{payment.payer[-3:]}",
            "tidx": transaction_id,
            **order,
            "transaction_id": transaction_id,
        }
    else:
        parameters = {
            "pidx": payment.pidx,
            "transaction_id": "",
            "tidx": "",
            "amount": amount,
            "total_amount": amount,
            "mobile": "",
            "status": payment.status,
            **order,
        }
    parts = urlsplit(payment.return_url)
    query = urlencode(parameters, quote_via=quote)
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))
