"""What the tour plays: an organization reaches its limit, pays, and carries on; somebody else tries without paying."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlencode, urljoin

from .pages import Page
from .story import Story

INVOICE = {"customer": 1, "amount": "1500.00"}
FREE_INVOICES, PRO_INVOICES = 10, 3000


def play(story: Story, site: str, samir: str, sita: str, payment_log: Callable[[], str]) -> None:
    """``site`` is its URL; ``samir`` and ``sita`` are Bearer tokens. Raises TourStopped."""
    _reach_the_limit(story, site, samir)
    _pay(story, site, samir)
    _carry_on(story, site, samir)
    _forge(story, site, sita)
    _pay_with_esewa(story, site, sita)
    story.step("Every attempt, claim and proof is in the payment log, which nobody can change.")
    story.tell()
    for line in payment_log().splitlines():
        story.show(line)


def _reach_the_limit(story: Story, site: str, token: str) -> None:
    story.step("Samir of Himal Traders asks what his plan gives. It is FREE: 10 invoices a month.")
    usage = story.ask("GET", f"{site}/billing/usage/", 200, token=token).json()
    story.expect("the plan", usage["plan"], "FREE")
    story.expect("the limit", usage["features"]["invoices"]["limit"], FREE_INVOICES)

    story.step(f"He sends {FREE_INVOICES} invoices. The view is guarded by one line: @quota_required('invoices').")
    story.ask("POST", f"{site}/api/invoices/", 201, token=token, body=INVOICE)
    story.tell()
    for _number in range(FREE_INVOICES - 1):
        story.ask("POST", f"{site}/api/invoices/", 201, token=token, body=INVOICE, brief=True)

    story.step("The next one is refused. The answer says why, and where to go.")
    refusal = story.ask("POST", f"{site}/api/invoices/", 403, token=token, body=INVOICE).json()
    story.expect("the error", refusal["error"], "Reached invoice limit (10). Upgrade your plan.")


def _pay(story: Story, site: str, token: str) -> None:
    story.step("He decides to pay for PRO with Khalti. The site starts a payment and says where to pay it.")
    started = story.ask("POST", f"{site}/billing/khalti/init/", 200, token=token, body={"plan": "PRO"}).json()

    story.step("His browser opens the payment page: here the simulator's, on a live site Khalti's own.")
    page = Page(story.ask("GET", started["payment_url"], 200).text)

    story.step(
        "He fills in the form and presses Pay. The wallet takes the money and sends his browser back to the site."
    )
    form = page.fields | {"action": "pay"}
    paid = story.ask("POST", urljoin(started["payment_url"], page.action), 302, form=form)

    story.step(
        "The browser returns, without any cookie. What its address claims is only written down; the site asks the "
        "gateway's server itself, and that answer makes the plan active."
    )
    returned = story.ask("GET", paid.headers["Location"], 303)

    story.step("The page that Samir sees.")
    result = Page(story.ask("GET", urljoin(site, returned.headers["Location"]), 200).text)
    story.expect("the headline", result.lines[0], "Payment received")


def _carry_on(story: Story, site: str, token: str) -> None:
    story.step("Himal Traders is on PRO, with new limits and a fresh month.")
    usage = story.ask("GET", f"{site}/billing/usage/", 200, token=token).json()
    story.expect("the plan", usage["plan"], "PRO")
    story.expect("the limit", usage["features"]["invoices"]["limit"], PRO_INVOICES)

    story.step("The invoice that was refused goes out now.")
    story.ask("POST", f"{site}/api/invoices/", 201, token=token, body=INVOICE)


def _forge(story: Story, site: str, token: str) -> None:
    story.step("Sita of Everest Crafts starts a payment too, does not pay, and types the return address by hand.")
    started = story.ask("POST", f"{site}/billing/khalti/init/", 200, token=token, body={"plan": "PRO"}).json()
    claim = {
        "pidx": started["pidx"],
        "purchase_order_id": started["reference"],
        "status": "Completed",
        "total_amount": started["amount_minor"],
        "transaction_id": "made-up",
    }
    story.ask("GET", f"{site}/billing/khalti/callback/?{urlencode(claim)}", 303)

    story.step("The gateway knew nothing of it, so Everest Crafts stays on FREE.")
    usage = story.ask("GET", f"{site}/billing/usage/", 200, token=token).json()
    story.expect("the plan", usage["plan"], "FREE")


def _pay_with_esewa(story: Story, site: str, token: str) -> None:
    story.step("She chooses eSewa, which wants a form. The site signs it; her browser can read every field.")
    started = story.ask("POST", f"{site}/billing/esewa/init/", 200, token=token, body={"plan": "PRO"}).json()
    form = started["data"]

    story.step("She copies the signature of that form into a return address that says COMPLETE. It covers no status.")
    copied = ("total_amount", "transaction_uuid", "product_code", "signed_field_names", "signature")
    forged = {"transaction_code": "MADE-UP", "status": "COMPLETE", **{name: form[name] for name in copied}}
    data = base64.b64encode(json.dumps(forged).encode()).decode()
    story.ask("GET", f"{form['success_url']}?{urlencode({'data': data})}", 400, brief=True)

    story.step("So she posts the form to eSewa (here the simulator's) and pays.")
    opened = story.ask("POST", started["payment_url"], 302, form=form)
    page_url = urljoin(started["payment_url"], opened.headers["Location"])
    page = Page(story.ask("GET", page_url, 200).text)
    paid = story.ask("POST", urljoin(page_url, page.action), 302, form=page.fields | {"action": "pay"})

    story.step("She comes back with data that eSewa signed. Even that only makes the site ask eSewa's server.")
    returned = story.ask("GET", paid.headers["Location"], 303)
    result = Page(story.ask("GET", urljoin(site, returned.headers["Location"]), 200).text)
    story.expect("the headline", result.lines[0], "Payment received")
