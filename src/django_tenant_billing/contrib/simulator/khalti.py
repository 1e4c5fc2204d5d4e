"""Khalti's side of the protocol, without HTTP: initiate, the payer's decision, lookup.

Source: docs.khalti.com, Web Checkout (KPG-2).
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from http import HTTPStatus

from .khalti_payment import OUTCOME, PAYERS, RETURNING, Act, Decision, Payment, Status
from .validation import Fields
from .wire import RequestError, bad_request, is_seconds

NEPAL_TIME = timezone(timedelta(hours=5, minutes=45))
LIFETIME = timedelta(minutes=30)  # the sandbox's; production gives an hour

ID_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ID_LENGTH = 22


class Refunding(StrEnum):
    """How the refund API takes requests."""

    OPEN = "open"
    MOBILE = "mobile"
    CLOSED = "closed"


@dataclass(frozen=True)
class Knobs:
    """What of Khalti can be set."""

    fee: int = 0
    """Paisa, of each payment."""
    lifetime: int = int(LIFETIME.total_seconds())
    """Seconds, of a link."""
    refunds: str = Refunding.OPEN
    """Demand a mobile number, as for payments by bank; or refuse them all."""
    pending: float = 0
    """Seconds after a payment for which lookup still says Pending."""
    not_found: float = 0
    """Seconds after a payment for which lookup does not find it."""


class Khalti:
    """A ledger of payments for the merchants who hold the given keys; safe to share between threads."""

    def __init__(
        self,
        *,
        keys: Iterable[str],
        payment_page: str,
        seed: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(NEPAL_TIME),
    ) -> None:
        self._keys = frozenset(keys)
        self._payment_page = payment_page
        self.knobs = Knobs()
        self._seed = seed
        self._given: Counter[str] = Counter()
        self._now = now
        self._payments: dict[str, Payment] = {}
        self._tampered: dict[str, dict[str, object]] = {}
        self._lock = threading.RLock()

    def authenticate(self, authorization: str | None) -> str:
        """Return the merchant's key from an `Authorization: Key ...` header (KPG-2, lookup and initiate)."""
        match = re.match(r"key\s+(\S.*)", authorization or "", re.IGNORECASE)
        if match is None:
            raise _unauthorized("Authentication credentials were not provided.")
        if match[1] not in self._keys:
            raise _unauthorized("Invalid token.")
        return match[1]

    def initiate(self, key: str, request: Mapping[str, object]) -> dict[str, object]:
        """Open a payment and say where to send the payer (KPG-2, initiate)."""
        fields = Fields(request)
        way_back = fields.url("return_url")
        fields.url("website_url")
        amount = fields.amount("amount")
        order_id = fields.text("purchase_order_id")
        order_name = fields.text("purchase_order_name")
        fields.breakdown("amount_breakdown", amount)
        fields.refuse_errors()
        with self._lock:
            pidx = self._new_id(f"pidx/{key}/{order_id}")
            lifetime = self.knobs.lifetime
            expires_at = self._now() + timedelta(seconds=lifetime)
            self._payments[pidx] = Payment(
                key, pidx, way_back, order_id, order_name, amount, expires_at, fee=self.knobs.fee
            )
        return {
            "pidx": pidx,
            "payment_url": f"{self._payment_page}?pidx={pidx}",
            "expires_at": expires_at.isoformat(),
            "expires_in": lifetime,
        }

    def lookup(self, key: str, request: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        """Return the HTTP status and body that tell a merchant about a payment of its own (KPG-2, lookup)."""
        fields = Fields(request)
        pidx = fields.text("pidx")
        fields.refuse_errors()
        with self._lock:
            payment = self.find(pidx)
            if payment.key != key or self._hesitates(payment, self.knobs.not_found):
                raise _not_found()
            body = self._lookup_body(payment)
        # Khalti reports these two outcomes with an error code, though the body is an ordinary answer.
        failed = body["status"] in (Status.EXPIRED, Status.CANCELED)
        return HTTPStatus.BAD_REQUEST if failed else HTTPStatus.OK, body

    def refund(self, key: str, transaction_id: str, request: Mapping[str, object]) -> dict[str, object]:
        """Send money back, all that is left or an amount in paisa (KPG-2, refund; its refusals are not documented)."""
        with self._lock:
            found = [one for one in self.ledger() if (one.key, one.transaction_id) == (key, transaction_id)]
            if not found:
                raise _not_found()
            refunds = self.knobs.refunds
            closed = refunds == Refunding.CLOSED or (refunds == Refunding.MOBILE and not request.get("mobile"))
            if closed or not self._send_back(found[0], request.get("amount")):
                raise bad_request("Cannot refund this transaction")
        return {"detail": "Transaction refund successful."}

    def send_back(self, pidx: str, amount: object = None) -> Payment:
        """Refund, all that is left or an amount in paisa, as the merchant does in the dashboard."""
        with self._lock:
            if not self._send_back(self.find(pidx), amount):
                raise bad_request("That much was not paid, or went back already.")
            return self.find(pidx)

    def _send_back(self, payment: Payment, amount: object) -> bool:
        left = payment.amount - payment.refunded if payment.captured else 0
        amount = left if amount is None else amount
        if type(amount) is not int or not 0 < amount <= left:
            return False
        status = Status.REFUNDED if amount == left else Status.PARTIALLY_REFUNDED
        self._payments[payment.pidx] = replace(payment, status=status, refunded=payment.refunded + amount)
        return True

    def turn(self, changes: Mapping[str, object]) -> Knobs:
        """Set some knobs; return all of them."""
        knobs = replace(self.knobs, **changes)  # type: ignore[arg-type]
        seconds = (knobs.lifetime, knobs.pending, knobs.not_found)
        whole = type(knobs.fee) is type(knobs.lifetime) is int and knobs.fee >= 0
        if knobs.refunds not in list(Refunding) or not whole or not all(map(is_seconds, seconds)):
            raise ValueError("an impossible value")
        self.knobs = knobs
        return knobs

    def order_of(self, name: str) -> str:
        """Return the merchant's name for a payment, by its pidx or transaction; empty where there is none."""
        with self._lock:
            found = self._payments.get(name) or next(
                (one for one in self._payments.values() if one.transaction_id == name), None
            )
        return found.purchase_order_id if found is not None else ""

    def find(self, pidx: str) -> Payment:
        """Return a payment as it stands now, or refuse with 404."""
        with self._lock:
            payment = self._payments.get(pidx)
            if payment is None:
                raise _not_found()
            # The link is what expires. Money that is already on its way is not called back by the clock.
            if payment.status == Status.INITIATED and self._now() >= payment.expires_at:
                payment = self._payments[pidx] = replace(payment, status=Status.EXPIRED)
            return payment

    def decide(self, pidx: str, act: Act, payer: str = PAYERS[0]) -> Decision:
        """Carry out what the payer (or time) does to a payment."""
        with self._lock:
            payment = self.find(pidx)
            if not payment.is_open:
                return Decision(payment, accepted=False)
            payment = replace(payment, status=OUTCOME[act])
            if payment.status == Status.COMPLETED:
                transaction_id = self._new_id(f"transaction/{pidx}")
                payment = replace(payment, transaction_id=transaction_id, payer=payer, decided_at=self._now())
            self._payments[pidx] = payment
        return Decision(payment, accepted=True, returns=act in RETURNING)

    def tamper(self, pidx: str, changes: Mapping[str, object]) -> dict[str, object]:
        """Make lookup lie about a payment; return the body it will answer with."""
        with self._lock:
            payment = self.find(pidx)
            unknown = changes.keys() - self._lookup_body(payment).keys()
            if unknown:
                message = f"Lookup does not answer with {', '.join(sorted(unknown))}."
                raise RequestError(HTTPStatus.BAD_REQUEST, {"detail": message})
            self._tampered[pidx] = {**self._tampered.get(pidx, {}), **changes}
            return self._lookup_body(payment)

    def ledger(self) -> list[Payment]:
        """Return every payment, oldest first."""
        with self._lock:
            return [self.find(pidx) for pidx in self._payments]

    def _new_id(self, named: str) -> str:
        """Return an id that is the same for the same seed, name and turn, whatever other threads ask for."""
        self._given[named] += 1
        draw = random.Random(f"{self._seed}/{named}/{self._given[named]}")  # noqa: S311 - nothing here is secret
        return "".join(draw.choices(ID_LETTERS, k=ID_LENGTH))

    def _hesitates(self, payment: Payment, seconds: float) -> bool:
        return payment.decided_at is not None and self._now() - payment.decided_at < timedelta(seconds=seconds)

    def _lookup_body(self, payment: Payment) -> dict[str, object]:
        if self._hesitates(payment, self.knobs.pending):
            payment = replace(payment, status=Status.PENDING, transaction_id=None)
        body: dict[str, object] = {
            "pidx": payment.pidx,
            "total_amount": payment.amount,
            "status": payment.status,
            "transaction_id": payment.transaction_id,
            "fee": payment.fee,
            "refunded": payment.status == Status.REFUNDED,
        }
        return body | self._tampered.get(payment.pidx, {})


def _unauthorized(detail: str) -> RequestError:
    return RequestError(HTTPStatus.UNAUTHORIZED, {"detail": detail, "status_code": int(HTTPStatus.UNAUTHORIZED)})


def _not_found() -> RequestError:
    return RequestError(HTTPStatus.NOT_FOUND, {"detail": "Not found.", "error_key": "validation_error"})
