"""The page from which a person runs the simulator: both ledgers, every payment's outcome, faults."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from . import pages
from .esewa import Esewa
from .esewa_payment import Act as EsewaAct
from .faults import Fault, Faults, Way
from .journal import Journal
from .khalti import Khalti
from .khalti_payment import Act
from .returning import Returns
from .wire import Answer, RequestError, bad_request, html_answer, redirect

SHOWN = 20
"""Requests on the page; the others are in /control/requests/."""


def show(khalti: Khalti, esewa: Esewa, faults: Faults, returns: Returns, journal: Journal) -> Answer:
    """Show how everything stands."""
    held = "".join(f'<li><a href="{escape(url)}">{escape(url)}</a></li>' for url in returns.held())
    release = _form("returns", {}, "release", [("true", "Let them go")])
    return html_answer(
        pages.page(
            "Control",
            f"""<p>Plan: <code>seed={faults.plan.seed} plan={faults.plan}</code></p>
<h2>Khalti</h2>
{_table(("Order", "Amount", "Status", ""), _khalti_rows(khalti))}
<h2>eSewa</h2>
{_table(("Order", "Amount", "Status", ""), _esewa_rows(esewa))}
<h2>Let the next request to a wallet fail</h2>
{_form("faults", {"times": "1"}, "fault", [(fault, fault) for fault in Fault])}
<h2>Let the next payer return differently</h2>
{_form("faults", {"times": "1"}, "return", [(way, way) for way in Way])}
{f"<h2>Held back</h2><ul>{held}</ul>{release}" if held else ""}
<h2>Requests</h2>
{_table(("Asked", "About", "Fault", "Answer"), _request_rows(journal))}
<p>As JSON: <a href="/control/ledger/">Khalti</a>, <a href="/control/esewa/ledger/">eSewa</a>,
<a href="/control/requests/">requests</a>.</p>""",
        )
    )


def submit(form: Mapping[str, str], ends: Mapping[str, Callable[[dict[str, object]], Answer]]) -> Answer:
    """Carry out a button as its JSON twin would be, and return to the page."""
    try:
        ends[form.get("to", "")](_asked(form))
    except KeyError:
        return html_answer(pages.page("No such button", "<p>Nothing was changed.</p>"), 400)
    except RequestError as error:
        text = escape(str(error.body.get("detail")))
        return html_answer(pages.page("Not possible", f"<p>{text}</p>"), error.status)
    return redirect("/control/")


def _asked(form: Mapping[str, str]) -> dict[str, object]:
    """Return what the JSON twin of a button asks."""
    asked: dict[str, object] = {name: value for name, value in form.items() if name not in ("to", "times")}
    if "refund" in asked:
        return {**asked, "refund": None}
    if form.get("to") == "returns":
        return {"release": True}
    if form.get("to") == "faults":
        times = form.get("times", "1")
        if not (times.isascii() and times.isdigit() and len(times) < 6):
            raise bad_request("Write how often as a number.")
        return {name: {"mode": mode, "times": int(times)} for name, mode in asked.items()}
    return asked


def _khalti_rows(khalti: Khalti) -> Iterable[tuple[str, ...]]:
    for payment in reversed(khalti.ledger()):
        acts = [(act, act) for act in Act] if payment.is_open else []
        may_go_back = payment.refunded < payment.amount * payment.captured
        yield (
            escape(payment.purchase_order_id),
            pages.rupees(payment.amount),
            payment.status,
            _acts("khalti", {"pidx": payment.pidx}, acts, may_go_back=may_go_back),
        )


def _esewa_rows(esewa: Esewa) -> Iterable[tuple[str, ...]]:
    for payment in reversed(esewa.ledger()):
        acts = [(act, act) for act in EsewaAct] if payment.is_open else []
        named = {"transaction_uuid": payment.transaction_uuid, "product_code": payment.product_code}
        may_go_back = payment.refunded < payment.total_amount * payment.captured
        yield (
            escape(f"{payment.product_code}, {payment.transaction_uuid}"),
            pages.rupees(int(payment.total_amount * 100)),
            payment.status,
            _acts("esewa", named, acts, may_go_back=may_go_back),
        )


def _request_rows(journal: Journal) -> Iterable[tuple[str, ...]]:
    for entry in journal.entries()[: -SHOWN - 1 : -1]:
        yield tuple(
            escape(str(value if value is not None else ""))
            for value in (f"{entry['method']} {entry['path']}", entry["reference"], entry["fault"], entry["status"])
        )


def _acts(to: str, named: Mapping[str, str], acts: Sequence[tuple[str, str]], *, may_go_back: bool) -> str:
    if may_go_back:
        return _form(to, named, "refund", [("all", "refund")])
    return _form(to, named, "action", acts) if acts else ""


def _form(to: str, named: Mapping[str, str], button: str, choices: Iterable[tuple[str, str]]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in {"to": to, **named}.items()
    )
    buttons = " ".join(f'<button name="{button}" value="{value}">{label}</button>' for value, label in choices)
    return f'<form class="acts" method="post" action="/control/">{hidden}{buttons}</form>'


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
