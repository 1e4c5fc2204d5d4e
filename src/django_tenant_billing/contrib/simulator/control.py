"""What tests and tours ask of the simulator, in JSON: act as the payer, tamper with an answer, order a fault.

POST /control/khalti/  {"pidx": "...", "action": "pay" | "cancel" | "pending" | "close_tab" | "expire"}
POST /control/khalti/  {"pidx": "...", "set": {"total_amount": 500, "status": "Completed"}}
POST /control/esewa/   {"transaction_uuid": "...", "action": ... | "ambiguous"} or "set", as above; where it is not of
                       the first merchant, with its "product_code"
POST /control/esewa/   {"amounts": "text" | "number" | "commas"}
POST /control/faults/  {"fault": {"mode": "down" | "silent" | "html" | "500", "times": 2}}
GET  /control/ledger/, /control/esewa/ledger/
"""

import threading
from enum import StrEnum
from http import HTTPStatus

from . import esewa_payment
from .esewa import Esewa
from .khalti import Khalti
from .khalti_payment import Act
from .wire import Answer, RequestError, json_answer


class Fault(StrEnum):
    """How a request to a wallet's API can go wrong before the wallet has seen it."""

    DOWN = "down"
    SILENT = "silent"
    HTML = "html"
    SERVER_ERROR = "500"


class Faults:
    """The faults that are still to happen; safe to share between threads."""

    def __init__(self) -> None:
        self._mode = Fault.DOWN
        self._times = 0
        self._lock = threading.Lock()

    def order(self, request: dict[str, object]) -> Answer:
        """Let the next requests fail; a new order replaces what is left of the last one."""
        match request.get("fault"):
            case {"mode": str(mode), "times": int(times)} if mode in list(Fault) and times >= 0:
                with self._lock:
                    self._mode, self._times = Fault(mode), times
                return json_answer({"fault": {"mode": mode, "times": times}})
        raise _bad_request(f"Expected a fault: mode (one of {', '.join(Fault)}) and times (0 or more).")

    def take(self) -> Fault | None:
        """Return the fault this request meets, if any is left."""
        with self._lock:
            if self._times == 0:
                return None
            self._times -= 1
            return self._mode


def steer(khalti: Khalti, request: dict[str, object]) -> Answer:
    """Act as the payer (409 once the payment is over), or make lookup lie and answer what it will say."""
    match request:
        case {"pidx": str(pidx), "action": str(action), **rest} if action in list(Act) and not rest:
            decision = khalti.decide(pidx, Act(action))
            body = {"status": decision.payment.status, "redirect_url": decision.redirect_url}
            return json_answer(body, HTTPStatus.OK if decision.accepted else HTTPStatus.CONFLICT)
        case {"pidx": str(pidx), "set": dict(changes), **rest} if not rest:
            return json_answer(khalti.tamper(pidx, changes))
    raise _bad_request(f"Expected a pidx and either an action ({', '.join(Act)}) or fields to set.")


def ledger(khalti: Khalti) -> Answer:
    """List what really happened, oldest first; tampering does not reach this."""
    return json_answer(
        [
            {
                "pidx": payment.pidx,
                "purchase_order_id": payment.purchase_order_id,
                "amount": payment.amount,
                "status": payment.status,
                "transaction_id": payment.transaction_id,
                "captured": payment.captured,
                "refunded": payment.refunded,
            }
            for payment in khalti.ledger()
        ]
    )


def steer_esewa(esewa: Esewa, request: dict[str, object]) -> Answer:
    """As steer, for eSewa; or choose how amounts are written on the way back."""
    match request:
        case {"amounts": str(amounts), **rest} if amounts in list(esewa_payment.Amounts) and not rest:
            esewa.amounts = esewa_payment.Amounts(amounts)
            return json_answer({"amounts": amounts})
        case {"transaction_uuid": str(uuid), "action": str(action), **rest} if action in list(esewa_payment.Act):
            decision = esewa.decide(_esewa_payment(esewa, uuid, rest).booking, esewa_payment.Act(action))
            body = {"status": decision.payment.status, "redirect_url": decision.redirect_url}
            return json_answer(body, HTTPStatus.OK if decision.accepted else HTTPStatus.CONFLICT)
        case {"transaction_uuid": str(uuid), "set": dict(changes), **rest}:
            return json_answer(esewa.tamper(_esewa_payment(esewa, uuid, rest).booking, changes))
    raise _bad_esewa_request()


def esewa_ledger(esewa: Esewa) -> Answer:
    """As ledger, for eSewa."""
    return json_answer(
        [
            {
                "product_code": payment.product_code,
                "transaction_uuid": payment.transaction_uuid,
                "total_amount": float(payment.total_amount),
                "status": payment.status,
                "ref_id": payment.ref_id,
                "captured": payment.captured,
            }
            for payment in esewa.ledger()
        ]
    )


def _esewa_payment(esewa: Esewa, uuid: str, rest: dict[str, object]) -> esewa_payment.Payment:
    code = rest.pop("product_code", None)
    if rest or not isinstance(code, str | None):
        raise _bad_esewa_request()
    return esewa.find_named(uuid, code)


def _bad_esewa_request() -> RequestError:
    acts, amounts = ", ".join(esewa_payment.Act), ", ".join(esewa_payment.Amounts)
    return _bad_request(
        f"Expected a transaction_uuid and either an action ({acts}) or fields to set; or amounts ({amounts})."
    )


def _bad_request(detail: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, {"detail": detail})
