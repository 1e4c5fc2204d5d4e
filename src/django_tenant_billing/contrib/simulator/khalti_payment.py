"""One payment at Khalti: its states, who may pay it, and the way back to the merchant.

Source: docs.khalti.com, Web Checkout (KPG-2).

    Initiated ---- pay, close_tab ---> Completed
       |   |------ cancel -----------> User canceled
       |   '------ expire, time -----> Expired
       '---------- pending ----------> Pending (still open to every act; time does not end it)

    Completed ---- refund -----------> Partially Refunded ---- refund ---> Refunded

By the API or by the merchant in the dashboard.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from .faults import Way

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
    fee: int = 0
    decided_at: datetime | None = None

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
    returns: bool = False

    @property
    def redirect_url(self) -> str | None:
        """Return where the browser goes, if it goes anywhere."""
        return self.way_back(None) if self.returns else None

    def way_back(self, way: Way | None) -> str:
        """Return where the browser goes when this becomes of its way."""
        return return_url(self.payment, way)


def payer_error(payer: str, mpin: str, otp: str) -> str | None:
    """Return why a payer is not let in, or None. The sandbox's accounts: 9800000000 to 9800000005."""
    if payer not in PAYERS:
        return f"Use a test Khalti ID from {PAYERS[0]} to {PAYERS[-1]}."
    if mpin != MPIN:
        return f"Wrong MPIN. The test MPIN is {MPIN}."
    if otp != OTP:
        return f"Wrong OTP. The test OTP is {OTP}."
    return None


def return_url(payment: Payment, way: Way | None = None) -> str:
    """Return where the payer's browser goes: the merchant's URL with KPG-2's unsigned parameters.

    A forger claims to have paid; a meddler changes amount and order of what Khalti said; a naive gateway adds a second
    question mark to a URL that has one.
    """
    if way == Way.FORGED:
        payment = replace(
            payment, status=Status.COMPLETED, transaction_id=payment.pidx[::-1], payer=payment.payer or PAYERS[0]
        )
    parameters = _parameters(payment)
    if way == Way.TAMPERED:
        parameters |= {"amount": "1000", "total_amount": "1000", "status": "Completed", "purchase_order_id": "T0"}
    query = urlencode(parameters, quote_via=quote)
    if way == Way.NAIVE:
        return f"{payment.return_url}?{query}"
    parts = urlsplit(payment.return_url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))


def _parameters(payment: Payment) -> dict[str, str]:
    amount = str(payment.amount)
    order = {
        "purchase_order_id": payment.purchase_order_id,
        "purchase_order_name": payment.purchase_order_name,
    }
    transaction_id = payment.transaction_id
    if transaction_id is not None:
        return {
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
    return {
        "pidx": payment.pidx,
        "transaction_id": "",
        "tidx": "",
        "amount": amount,
        "total_amount": amount,
        "mobile": "",
        "status": payment.status,
        **order,
    }
