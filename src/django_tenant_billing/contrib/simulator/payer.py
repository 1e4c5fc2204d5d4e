"""The payer at the payment page: what is shown, and what each of the four buttons does."""

from http import HTTPStatus

from . import pages
from .khalti import Khalti
from .khalti_payment import Act, payer_error
from .returning import Returns
from .wire import Answer, RequestError, html_answer, redirect

BUTTONS = {str(act): act for act in (Act.PAY, Act.CANCEL, Act.PENDING, Act.CLOSE_TAB)}
PAYING = {Act.PAY, Act.CLOSE_TAB}


def show(khalti: Khalti, query: dict[str, str]) -> Answer:
    """Show the payment to decide, or that there is nothing to decide."""
    try:
        payment = khalti.find(query.get("pidx", ""))
    except RequestError:
        return html_answer(pages.unknown(), HTTPStatus.NOT_FOUND)
    return html_answer(pages.pay(payment) if payment.is_open else pages.over(payment))


def submit(khalti: Khalti, returns: Returns, form: dict[str, str]) -> Answer:
    """Carry out a button: send the payer back to the merchant, except from a closed tab."""
    act = BUTTONS.get(form.get("action", ""))
    if act is None:
        return show(khalti, form)
    try:
        payment = khalti.find(form.get("pidx", ""))
    except RequestError:
        return html_answer(pages.unknown(), HTTPStatus.NOT_FOUND)
    payer, mpin, otp = form.get("payer", ""), form.get("mpin", ""), form.get("otp", "")
    error = payer_error(payer, mpin, otp) if payment.is_open and act in PAYING else None
    if error is not None:
        return html_answer(pages.pay(payment, payer=payer, mpin=mpin, otp=otp, error=error))
    decision = khalti.decide(payment.pidx, act, payer)
    if not decision.accepted:
        return html_answer(pages.over(decision.payment))
    if not decision.returns:
        return html_answer(pages.tab_closed(decision.payment))
    _way, urls = returns.send("khalti", decision.payment.purchase_order_id, decision.way_back)
    return redirect(urls[0]) if urls else html_answer(pages.not_returned())
