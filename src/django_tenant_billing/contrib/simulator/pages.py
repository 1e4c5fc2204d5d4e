"""What the payer sees: plain HTML that works without scripts, in light and dark."""

from html import escape

from .khalti_payment import MPIN, OTP, PAYERS, Payment, Status

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f2f7; --card: #fff; --text: #231f2b; --soft: #5c5666; --line: #8b8496; --edge: #ddd8e4;
  --brand: #5c2d91; --on-brand: #fff; --alarm: #9b1c1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #17141c; --card: #221e29; --text: #ece8f2; --soft: #b3abc0; --line: #857b95; --edge: #39333f;
    --brand: #c9a7f0; --on-brand: #231337; --alarm: #ffb0a8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 27rem; margin: 4vh auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--edge);
  border-radius: .75rem; overflow-wrap: anywhere; }
h1 { margin: .25rem 0 1rem; font-size: 1.375rem; line-height: 1.3; }
p { margin: 0 0 1rem; }
.simulated { margin: 0; color: var(--soft); font-size: .875rem; }
.error { padding: .625rem .75rem; border-left: .25rem solid var(--alarm); color: var(--alarm); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; }
.amount { font-weight: 600; font-variant-numeric: tabular-nums; }
label { display: block; margin: 0 0 1rem; color: var(--soft); font-size: .875rem; }
input { display: block; width: 100%; margin-top: .25rem; padding: .5rem .75rem; border: 1px solid var(--line);
  border-radius: .375rem; background: transparent; color: var(--text); font: inherit; font-size: 1rem; }
button { width: 100%; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .375rem;
  background: transparent; color: var(--text); font: inherit; cursor: pointer; }
button.pay { border-color: var(--brand); background: var(--brand); color: var(--on-brand); font-weight: 600; }
input:focus-visible, button:focus-visible { outline: .1875rem solid var(--brand); outline-offset: .125rem; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
main:has(table) { max-width: 60rem; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
th, td { padding: .375rem .5rem .375rem 0; border-bottom: 1px solid var(--edge); text-align: left; }
.acts button { width: auto; min-height: 1.75rem; margin: 0 .125rem .25rem 0; padding: .125rem .5rem; }
.choices { display: grid; gap: .375rem; margin: 1.5rem 0 0; padding: 1.25rem 0 0; border-top: 1px solid var(--edge); }
.choices p { margin: 0 0 .625rem; color: var(--soft); font-size: .875rem; }
.choices p:last-child { margin: 0; }
"""

OVER = {
    Status.COMPLETED: "This payment is completed",
    Status.CANCELED: "This payment was canceled",
    Status.EXPIRED: "This payment link has expired",
    Status.REFUNDED: "This payment was refunded",
    Status.PARTIALLY_REFUNDED: "A part of this payment was refunded",
}


def home(payments: int) -> str:
    """Tell whoever opens the printed address what runs here."""
    return page(
        "The simulator is running",
        "<p>Send your site's Khalti requests to <code>/api/v2/</code> at this address, its eSewa forms to "
        "<code>/api/epay/main/v2/form</code> and its questions to <code>/api/epay/transaction/status/</code>.</p>"
        '<p>Steer it from <a href="/control/">the control page</a>.</p>'
        f"<p>Payments so far: {payments}. All of them, as JSON: "
        '<a href="/control/ledger/">Khalti</a>, <a href="/control/esewa/ledger/">eSewa</a>.</p>',
    )


def pay(payment: Payment, *, payer: str = PAYERS[0], mpin: str = MPIN, otp: str = OTP, error: str | None = None) -> str:
    """Let the payer decide; everything is filled in, so that one click pays."""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return page(
        "Pay with Khalti",
        f"""{summary(payment.purchase_order_name, payment.amount)}{alert}
<form method="post" action="/khalti/pay/" autocomplete="off">
<input type="hidden" name="pidx" value="{escape(payment.pidx)}">
{field("Khalti ID", "payer", payer)}
{field("MPIN", "mpin", mpin)}
{field("OTP", "otp", otp)}
<button class="pay" name="action" value="pay">Pay</button>
<div class="choices">
{choice("cancel", "Cancel", "Nothing is paid, and you return to the merchant.")}
{choice("pending", "Leave pending", "You return while Khalti has not decided yet.")}
{choice("close_tab", "Close tab", "Paid, but the tab was closed: the merchant never sees you return.")}
</div>
</form>""",
    )


def over(payment: Payment) -> str:
    """Say that a payment can no longer be decided."""
    return page(
        OVER[payment.status],
        f"{summary(payment.purchase_order_name, payment.amount)}<p>Nothing was changed. You can leave this page.</p>",
    )


def tab_closed(payment: Payment) -> str:
    """Stand for the tab that is no longer there."""
    text = "Paid. Think of this tab as closed: you were not sent back, and the merchant has to ask Khalti."
    return page("The tab is closed now", f"{summary(payment.purchase_order_name, payment.amount)}<p>{text}</p>")


def not_returned() -> str:
    """Stand for a browser that was lost on its way back, or is held up."""
    text = "As ordered, you were not sent back. Where it is held up, let it go at "
    return page("You did not return", f'<p>{text}<a href="/control/">the control page</a>.</p>')


def unknown() -> str:
    """Say that there is no such payment."""
    return page("No such payment", "<p>The simulator forgets everything when it stops. Start the payment again.</p>")


def rupees(paisa: int) -> str:
    """Write an amount as Nepal does: 12,34,567.50."""
    whole, fraction = divmod(paisa, 100)
    digits = str(whole)
    groups = [digits[-3:]]
    digits = digits[:-3]
    while digits:
        groups.insert(0, digits[-2:])
        digits = digits[:-2]
    return f"Rs {','.join(groups)}.{fraction:02}"


def page(title: str, content: str) -> str:
    """One whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - simulator</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<main>
<p class="simulated">Simulator: no real money moves.</p>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def summary(order: str, paisa: int) -> str:
    """Say what is paid for, and how much."""
    return f"""<dl>
<dt>Order</dt><dd>{escape(order)}</dd>
<dt>Amount</dt><dd class="amount">{rupees(paisa)}</dd>
</dl>
"""


def field(label: str, name: str, value: str, *, mode: str = "numeric") -> str:
    """One line to fill in."""
    return f'<label>{label}<input name="{name}" value="{escape(value)}" inputmode="{mode}"></label>'


def choice(action: str, label: str, meaning: str) -> str:
    """One button, and what it does."""
    return (
        f'<button name="action" value="{action}" aria-describedby="{action}-meaning">{label}</button>\n'
        f'<p id="{action}-meaning">{meaning}</p>'
    )
