"""eSewa's side of the protocol, without HTTP: the form, the payer's decision, the status.

Source: developer.esewa.com.np/pages/Epay. Its answers to a form it refuses are as integrators report them.
"""

import hmac
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from http import HTTPStatus

from .esewa_payment import (
    FORM_SIGNED,
    NUMBERED,
    OUTCOME,
    RETURNING,
    Act,
    Amounts,
    Decision,
    Payment,
    Status,
    sign,
)
from .validation import is_url
from .wire import RequestError, bad_request, is_seconds

NEPAL_TIME = timezone(timedelta(hours=5, minutes=45))
SESSION = timedelta(minutes=5)

FIELDS = (
    "amount",
    "tax_amount",
    "product_service_charge",
    "product_delivery_charge",
    "total_amount",
    "transaction_uuid",
    "product_code",
    "success_url",
    "failure_url",
    "signed_field_names",
    "signature",
)
PARTS = FIELDS[:4]
RUPEES = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
UUID = re.compile(r"[A-Za-z0-9-]+")

REF_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BAD_FORM: dict[str, object] = {"code": "ES104", "message": "Invalid payload signature."}
UNAVAILABLE: dict[str, object] = {
    "error_message": "Service is currently unavailable. Please try again later.",
    "code": 0,
}


@dataclass(frozen=True)
class Knobs:
    """What of eSewa can be set, each in seconds."""

    session: float = SESSION.total_seconds()
    """For which a payer may decide."""
    not_found: float = 0
    """After a payment, for which the status is NOT_FOUND."""
    ambiguous: float = 0
    """After a payment, for which the status is AMBIGUOUS."""


class Esewa:
    """A ledger of payments for merchants, given as product codes with their secrets; safe to share between threads."""

    def __init__(
        self,
        *,
        merchants: Mapping[str, str],
        seed: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(NEPAL_TIME),
    ) -> None:
        self.merchants = dict(merchants)
        self.amounts = Amounts.TEXT
        self.knobs = Knobs()
        self._seed = seed
        self._given: Counter[str] = Counter()
        self._now = now
        self._payments: dict[str, Payment] = {}
        self._bookings: dict[tuple[str, str], str] = {}
        self._tampered: dict[str, dict[str, object]] = {}
        self._lock = threading.RLock()

    def book(self, form: Mapping[str, str]) -> Payment:
        """Open a payment for a signed form, or refuse it in eSewa's words."""
        code = form.get("product_code", "")
        secret = self.merchants.get(code)
        if secret is None:
            message = "Unable to fetch merchant key. Please try again later."
            raise RequestError(HTTPStatus.BAD_REQUEST, {"error_message": message, "code": 0})
        if not _is_whole(form) or not hmac.compare_digest(
            sign(secret, FORM_SIGNED, form).encode(), form["signature"].encode()
        ):
            raise RequestError(HTTPStatus.BAD_REQUEST, BAD_FORM)
        uuid = form["transaction_uuid"]
        with self._lock:
            if (code, uuid) in self._bookings:
                message = "Duplicate transaction UUID."
                raise RequestError(HTTPStatus.BAD_REQUEST, {"error_message": message, "code": 0})
            payment = Payment(
                booking=self._new_id(20, f"booking/{code}/{uuid}"),
                product_code=code,
                transaction_uuid=uuid,
                total_amount=Decimal(form["total_amount"]),
                success_url=form["success_url"],
                failure_url=form["failure_url"],
                session_ends=self._now() + timedelta(seconds=self.knobs.session),
                form_signature=form["signature"],
            )
            self._payments[payment.booking] = payment
            self._bookings[code, uuid] = payment.booking
        return payment

    def status(self, query: Mapping[str, str]) -> dict[str, object]:
        """Say what became of a payment. Another amount, merchant or reference finds nothing."""
        code, uuid, text = (query.get(name, "") for name in ("product_code", "transaction_uuid", "total_amount"))
        amount = Decimal(text) if RUPEES.fullmatch(text) else Decimal(0)
        with self._lock:
            booking = self._bookings.get((code, uuid))
            payment = self.find(booking) if booking is not None else None
            if payment is not None and payment.total_amount == amount:
                return self._body(payment)
        return {
            "product_code": code,
            "transaction_uuid": uuid,
            "total_amount": float(amount),
            "status": Status.NOT_FOUND,
            "ref_id": None,
        }

    def find(self, booking: str) -> Payment:
        """Return a payment as it stands now, or refuse with 404."""
        with self._lock:
            payment = self._payments.get(booking)
            if payment is None:
                raise RequestError(HTTPStatus.NOT_FOUND, {"detail": "Not found."})
            # The session is what ends. Money that is already on its way is not called back by the clock.
            if payment.status == Status.PENDING and not payment.waits and self._now() >= payment.session_ends:
                payment = self._payments[booking] = replace(payment, status=Status.NOT_FOUND)
            return payment

    def find_named(self, uuid: str, code: str | None = None) -> Payment:
        """Return the payment of this reference at this merchant, by default the first; or refuse with 404."""
        return self.find(self._bookings.get((code or next(iter(self.merchants)), uuid), ""))

    def decide(self, booking: str, act: Act) -> Decision:
        """Carry out what the payer (or time) does to a payment."""
        with self._lock:
            payment = self.find(booking)
            if not payment.is_open:
                return Decision(payment, accepted=False)
            status = OUTCOME[act]
            ref_id = payment.ref_id or (self._new_id(7, f"ref/{booking}") if status in NUMBERED else None)
            payment = replace(
                payment,
                status=status,
                ref_id=ref_id,
                waits=act == Act.PENDING or payment.waits,
                decided_at=self._now() if status == Status.COMPLETE else None,
            )
            self._payments[booking] = payment
        secret = self.merchants[payment.product_code]
        return Decision(payment, accepted=True, returns=act in RETURNING, secret=secret, amounts=self.amounts)

    def send_back(self, booking: str, amount: object = None) -> Payment:
        """Refund, all that is left or an amount in rupees, as the merchant does in the panel: there is no API."""
        with self._lock:
            payment = self.find(booking)
            left = payment.total_amount - payment.refunded if payment.captured else Decimal(0)
            asked = left if amount is None else _rupees(amount)
            if not 0 < asked <= left:
                raise bad_request("That much was not paid, or went back already.")
            status = Status.FULL_REFUND if asked == left else Status.PARTIAL_REFUND
            payment = self._payments[booking] = replace(payment, status=status, refunded=payment.refunded + asked)
            return payment

    def turn(self, changes: Mapping[str, object]) -> Knobs:
        """Set some knobs; return all of them."""
        knobs = replace(self.knobs, **changes)  # type: ignore[arg-type]
        if not all(is_seconds(value) for value in (knobs.session, knobs.not_found, knobs.ambiguous)):
            raise ValueError("an impossible value")
        self.knobs = knobs
        return knobs

    def tamper(self, booking: str, changes: Mapping[str, object]) -> dict[str, object]:
        """Make the status lie about a payment; return the body it will answer with."""
        with self._lock:
            payment = self.find(booking)
            unknown = changes.keys() - self._body(payment).keys()
            if unknown:
                message = f"The status does not answer with {', '.join(sorted(unknown))}."
                raise RequestError(HTTPStatus.BAD_REQUEST, {"detail": message})
            self._tampered[booking] = {**self._tampered.get(booking, {}), **changes}
            return self._body(payment)

    def ledger(self) -> list[Payment]:
        """Return every payment, oldest first."""
        with self._lock:
            return [self.find(booking) for booking in self._payments]

    def _new_id(self, length: int, named: str) -> str:
        """Return an id that is the same for the same seed, name and turn, whatever other threads ask for."""
        self._given[named] += 1
        draw = random.Random(f"{self._seed}/{named}/{self._given[named]}")  # noqa: S311 - nothing here is secret
        return "".join(draw.choices(REF_LETTERS, k=length))

    def _hesitates(self, payment: Payment, seconds: float) -> bool:
        return payment.decided_at is not None and self._now() - payment.decided_at < timedelta(seconds=seconds)

    def _body(self, payment: Payment) -> dict[str, object]:
        if self._hesitates(payment, self.knobs.not_found):
            payment = replace(payment, status=Status.NOT_FOUND, ref_id=None)
        elif self._hesitates(payment, self.knobs.ambiguous):
            payment = replace(payment, status=Status.AMBIGUOUS)
        body: dict[str, object] = {
            "product_code": payment.product_code,
            "transaction_uuid": payment.transaction_uuid,
            "total_amount": float(payment.total_amount),
            "status": payment.status,
            "ref_id": payment.ref_id,
        }
        return body | self._tampered.get(payment.booking, {})


def _rupees(value: object) -> Decimal:
    return Decimal(str(value)) if isinstance(value, int | float) and 0 < value < 10**12 else Decimal(0)


def _is_whole(form: Mapping[str, str]) -> bool:
    """Tell whether all fields are there and well formed, and the total is the sum of its parts."""
    if not all(form.get(name, "").strip() for name in FIELDS) or form["signed_field_names"] != FORM_SIGNED:
        return False
    if not all(RUPEES.fullmatch(form[name]) for name in (*PARTS, "total_amount")):
        return False
    total = sum(Decimal(form[name]) for name in PARTS)
    urls = is_url(form["success_url"]) and is_url(form["failure_url"])
    return total == Decimal(form["total_amount"]) and urls and UUID.fullmatch(form["transaction_uuid"]) is not None
