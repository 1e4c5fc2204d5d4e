"""The payer at eSewa's page: what is shown, and what each of its buttons does."""

from html import escape
from http import HTTPStatus

from . import pages
from .esewa import Esewa
from .esewa_payment import PASSWORD, PAYERS, TOKEN, Act, Payment, Status, payer_error
from .returning import Returns
from .wire import Answer, RequestError, html_answer, redirect

BUTTONS = {str(act): act for act in (Act.PAY, Act.CANCEL, Act.PENDING, Act.AMBIGUOUS, Act.CLOSE_TAB)}
PAYING = {Act.PAY, Act.AMBIGUOUS, Act.CLOSE_TAB}

OVER = {
    Status.COMPLETE: "This payment is complete",
    Status.CANCELED: "This payment was canceled",
    Status.NOT_FOUND: "This payment session is over",
    Status.FULL_REFUND: "This payment was refunded",
    Status.PARTIAL_REFUND: "A part of this payment was refunded",
}


def show(esewa: Esewa, query: dict[str, str]) -> Answer:
    """Show the payment to decide, or that there is nothing to decide."""
    try:
        payment = esewa.find(query.get("bookingId", ""))
    except RequestError:
        return html_answer(pages.unknown(), HTTPStatus.NOT_FOUND)
    return html_answer(_pay(payment) if payment.is_open else _over(payment))


def submit(esewa: Esewa, returns: Returns, form: dict[str, str]) -> Answer:
    """Carry out a button: send the payer back to the merchant, except from a closed tab."""
    act = BUTTONS.get(form.get("action", ""))
    if act is None:
        return show(esewa, form)
    try:
        payment = esewa.find(form.get("bookingId", ""))
    except RequestError:
        return html_answer(pages.unknown(), HTTPStatus.NOT_FOUND)
    payer, password, token = form.get("payer", ""), form.get("password", ""), form.get("token", "")
    error = payer_error(payer, password, token) if payment.is_open and act in PAYING else None
    if error is not None:
        return html_answer(_pay(payment, payer=payer, password=password, token=token, error=error))
    decision = esewa.decide(payment.booking, act)
    if not decision.accepted:
        return html_answer(_over(decision.payment))
    if not decision.returns:
        return html_answer(_tab_closed(decision.payment))
    _way, urls = returns.send("esewa", decision.payment.transaction_uuid, decision.way_back)
    return redirect(urls[0]) if urls else html_answer(pages.not_returned())


def _pay(
    payment: Payment, *, payer: str = PAYERS[0], password: str = PASSWORD, token: str = TOKEN, error: str | None = None
) -> str:
    """Let the payer decide; everything is filled in, so that one click pays."""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return pages.page(
        "Pay with eSewa",
        f"""{_summary(payment)}{alert}
<form method="post" action="/epay" autocomplete="off">
<input type="hidden" name="bookingId" value="{payment.booking}">
{pages.field("eSewa ID", "payer", payer)}
{pages.field("Password", "password", password, mode="text")}
{pages.field("Token", "token", token)}
<button class="pay" name="action" value="pay">Pay</button>
<div class="choices">
{pages.choice("cancel", "Cancel", "Nothing is paid, and you return to the merchant.")}
{pages.choice("pending", "Leave pending", "You return while eSewa has not decided yet.")}
{pages.choice("ambiguous", "Get stuck", "The payment halts on its way: eSewa calls it AMBIGUOUS.")}
{pages.choice("close_tab", "Close tab", "Paid, but the tab was closed: the merchant never sees you return.")}
</div>
</form>""",
    )


def _over(payment: Payment) -> str:
    return pages.page(OVER[payment.status], f"{_summary(payment)}<p>Nothing was changed. You can leave this page.</p>")


def _tab_closed(payment: Payment) -> str:
    text = "Paid. Think of this tab as closed: you were not sent back, and the merchant has to ask eSewa."
    return pages.page("The tab is closed now", f"{_summary(payment)}<p>{text}</p>")


def _summary(payment: Payment) -> str:
    order = f"{payment.product_code}, {payment.transaction_uuid}"
    return pages.summary(order, int(payment.total_amount * 100))
