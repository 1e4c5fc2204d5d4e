"""What tests and tours ask of the simulator, in JSON: act as the payer, tamper with an answer, let things go wrong.

POST /control/khalti/  {"pidx": "...", "action": "pay" | "cancel" | "pending" | "close_tab" | "expire"}
POST /control/khalti/  {"pidx": "...", "set": {"total_amount": 500, "status": "Completed"}}
POST /control/khalti/  {"pidx": "...", "refund": 500 | null}: as in the dashboard, a part in paisa or all
POST /control/khalti/  {"knobs": {"fee": 300, "lifetime": 3600, "refunds": "mobile", "pending": 5, "not_found": 5}}
POST /control/esewa/   {"transaction_uuid": "...", "action": ... | "ambiguous"}, "set" or "refund" (in rupees), as
                       above; where it is not of the first merchant, with its "product_code"
POST /control/esewa/   {"amounts": "text" | "number" | "commas"}
POST /control/esewa/   {"knobs": {"session": 300, "not_found": 5, "ambiguous": 5}}
POST /control/faults/  {"fault": {"mode": "down" | "silent" | ..., "times": 2, "seconds": 0.5}}: see faults.py
POST /control/faults/  {"return": {"mode": "lost" | "doubled" | ..., "times": 1}}
POST /control/plan/    {"seed": 7, "faults": 0.3, "returns": 0.3, "modes": ["500", "lost"], "ways": ["late"]}
POST /control/returns/ {"release": true}: the browsers that were held back go, the last first
GET  /control/         a page for people; POST for its buttons
GET  /control/ledger/, /control/esewa/ledger/, /control/requests/
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus

from . import esewa_payment
from .esewa import Esewa
from .khalti import Khalti
from .khalti_payment import Act, Decision
from .returning import Returns
from .wire import Answer, RequestError, bad_request, json_answer


def steer(khalti: Khalti, returns: Returns, request: dict[str, object]) -> Answer:
    """Act as the payer (409 once the payment is over) or the merchant, or make lookup lie."""
    match request:
        case {"pidx": str(pidx), "action": str(action), **rest} if action in list(Act) and not rest:
            decision = khalti.decide(pidx, Act(action))
            return decided(returns, "khalti", decision.payment.purchase_order_id, decision)
        case {"pidx": str(pidx), "set": dict(changes), **rest} if not rest:
            return json_answer(khalti.tamper(pidx, changes))
        case {"pidx": str(pidx), "refund": amount, **rest} if not rest:
            payment = khalti.send_back(pidx, amount)
            return json_answer({"status": payment.status, "refunded": payment.refunded})
        case {"knobs": dict(changes), **rest} if not rest:
            return _turned(khalti.turn, changes)
    raise bad_request(
        f"Expected a pidx and either an action ({', '.join(Act)}) or fields to set, or a refund; or knobs."
    )


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


def steer_esewa(esewa: Esewa, returns: Returns, request: dict[str, object]) -> Answer:
    """As steer, for eSewa; or choose how amounts are written on the way back."""
    match request:
        case {"amounts": str(amounts), **rest} if amounts in list(esewa_payment.Amounts) and not rest:
            esewa.amounts = esewa_payment.Amounts(amounts)
            return json_answer({"amounts": amounts})
        case {"transaction_uuid": str(uuid), "action": str(action), **rest} if action in list(esewa_payment.Act):
            decision = esewa.decide(_esewa_payment(esewa, uuid, rest).booking, esewa_payment.Act(action))
            return decided(returns, "esewa", uuid, decision)
        case {"transaction_uuid": str(uuid), "set": dict(changes), **rest}:
            return json_answer(esewa.tamper(_esewa_payment(esewa, uuid, rest).booking, changes))
        case {"transaction_uuid": str(uuid), "refund": amount, **rest}:
            payment = esewa.send_back(_esewa_payment(esewa, uuid, rest).booking, amount)
            return json_answer({"status": payment.status, "refunded": float(payment.refunded)})
        case {"knobs": dict(changes), **rest} if not rest:
            return _turned(esewa.turn, changes)
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
                "refunded": float(payment.refunded),
            }
            for payment in esewa.ledger()
        ]
    )


def decided(returns: Returns, wallet: str, reference: str, decision: Decision | esewa_payment.Decision) -> Answer:
    """Say what came of an act, and where the browser goes now; `returns` where its way is not the usual one."""
    body: dict[str, object] = {"status": decision.payment.status, "redirect_url": None}
    if decision.returns:
        way, urls = returns.send(wallet, reference, decision.way_back)
        body["redirect_url"] = urls[0] if urls else None
        body |= {"returns": way} if way else {}
    return json_answer(body, HTTPStatus.OK if decision.accepted else HTTPStatus.CONFLICT)


def _turned(turn: Callable[[Mapping[str, object]], object], changes: Mapping[str, object]) -> Answer:
    try:
        knobs = turn(changes)
    except (TypeError, ValueError) as error:
        raise bad_request(f"No such knob or value: {error}.") from error
    return json_answer({"knobs": asdict(knobs)})  # type: ignore[call-overload]


def _esewa_payment(esewa: Esewa, uuid: str, rest: dict[str, object]) -> esewa_payment.Payment:
    code = rest.pop("product_code", None)
    if rest or not isinstance(code, str | None):
        raise _bad_esewa_request()
    return esewa.find_named(uuid, code)


def _bad_esewa_request() -> RequestError:
    acts, amounts = ", ".join(esewa_payment.Act), ", ".join(esewa_payment.Amounts)
    return bad_request(
        f"Expected a transaction_uuid and either an action ({acts}) or fields to set, or a refund; "
        f"or amounts ({amounts}), or knobs."
    )
