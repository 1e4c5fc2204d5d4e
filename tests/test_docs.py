"""Every snippet of the README and of docs/ is run, and what they name exists."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import get_commands
from django.test import Client, override_settings
from django.test.utils import isolate_apps

from django_tenant_billing import quotas, subscriptions
from django_tenant_billing.conf import SETTING_NAMES
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction, Subscription, SubscriptionEvent
from django_tenant_billing.testing import set_used
from django_tenant_billing.urls import api_urlpatterns
from tests.members import member
from tests.test_payments import pay
from tests.testapp.models import Organization

ROOT = Path(__file__).parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
GUIDE_NAMES = {
    "KHALTI_SECRET_KEY", "KHALTI_PUBLIC_KEY", "KHALTI_CALLBACK_URL", "ESEWA_MERCHANT_CODE", "ESEWA_MERCHANT_SECRET"
}  # fmt: skip


REFERENCE = re.compile(r"TB-[A-Z2-9]{17}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00")

EXCHANGE = r"""
^```http\n
(GET|POST)\ (\S+)\n (?:[\w-]+:\ .*\n)+ \n
(?:({.*})\n\n)?
HTTP/1.1\ (\d+)\ .*\n ((?:[\w-]+:\ .*\n)*) \n
((?:(?!```).*\n)*)
^```$
"""


def blocks(language: str) -> list[Any]:
    """Each fenced block of this language in all documents. test_write_your_own.py follows gateways.md as a whole."""
    found = []
    for document in (path for path in DOCS if path.name != "gateways.md"):
        for number, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)):
            found.append(pytest.param(code, id=f"{document.name}-{number}"))
    return found


@pytest.fixture(autouse=True)
def _a_hosts_own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = ModuleType("orgs.counts")
    counts.projects = lambda organization: 0  # type: ignore[attr-defined]
    billing = ModuleType("orgs.billing")
    billing.organization_of = lambda request: None  # type: ignore[attr-defined]
    billing.trial_keys = lambda organization: []  # type: ignore[attr-defined]
    for name, module in (("orgs", ModuleType("orgs")), ("orgs.counts", counts), ("orgs.billing", billing)):
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_snippets_run(code: str, catalogue: None) -> None:
    lists: dict[str, Any] = {"INSTALLED_APPS": [], "MIDDLEWARE": [], "urlpatterns": []}
    # Models belong to an app, and must leave no trace in it.
    names = {"__name__": "tests.testapp.snippet", "env": lambda name: f"x{name}", **lists}
    with isolate_apps("tests.testapp"):
        exec(compile(code, "<snippet>", "exec"), names)
    if not code.startswith("# settings.py"):
        return
    set_here = {
        name: value for name, value in names.items() if name.startswith(("TENANT_BILLING_", "KHALTI_", "ESEWA_"))
    }
    assert set(set_here) <= SETTING_NAMES | GUIDE_NAMES
    # The one setting that is read when models load cannot be changed in a running test.
    set_here.pop("TENANT_BILLING_ORGANIZATION_MODEL", None)
    fallback = {"TENANT_BILLING_PUBLIC_BASE_URL": "https://a.test", "TENANT_BILLING_MODE": "sandbox"}
    with override_settings(**{**fallback, **set_here}):
        assert [message.id for message in run_checks(tags=["tenant_billing"])] == []


def test_what_is_said_of_subscriptions_is_what_they_do(organization: Organization) -> None:
    Subscription.objects.update(credit_minor=2 * 390_000, credit_currency="NPR")
    subscriptions.buy_with_credit(organization, "PRO", actor="payer")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "subscriptions.md").read_text(), re.M | re.S):
        exec(compile(code, "<snippet>", "exec"), names)
    set_used(organization, "customers", 51)
    offer = names["confirm"](organization, "BASIC")
    assert (offer["due"], offer["credit"], offer["too_many"]) == (0, 100_000, ["customers"])
    assert names["standing"](organization)["state"] == "active"
    names["what_people_do"](organization)
    changes = [event.change for event in SubscriptionEvent.objects.all()]
    assert changes == [
        "started", "canceled", "resumed", "change_scheduled", "change_undone", "renewed", "comped",
    ]  # fmt: skip


def told(documented: Any, answered: Any) -> bool:
    """Is all that is documented in the answer? Of a moment, a reference and what ends in "..." only that they are."""
    if isinstance(documented, dict):
        return all(name in answered and told(value, answered[name]) for name, value in documented.items())
    if isinstance(documented, list):
        return len(documented) == len(answered) and all(map(told, documented, answered))
    if isinstance(documented, str) and documented.endswith("..."):
        return str(answered).startswith(documented[:-3])
    pattern = next(
        (one for one in (REFERENCE, MOMENT) if isinstance(documented, str) and one.fullmatch(documented)), None
    )
    return bool(pattern.fullmatch(answered)) if pattern else bool(documented == answered)


def test_what_is_said_of_the_json_is_what_is_answered(
    organization: Organization, user: User, simulator: Server
) -> None:
    client = member(organization, user, Authorization="Bearer x")
    quotas.consume(organization, "invoices", 4)
    document = (ROOT / "docs" / "api.md").read_text()
    exchanges = re.findall(EXCHANGE, document, re.M | re.X)
    assert len(exchanges) == document.count("```http")
    for method, path, sent, status, headers, body in exchanges:
        payment = PaymentTransaction.objects.first()
        if path.endswith("/verify/"):
            pay(simulator, PaymentTransaction.objects.get())
        real = REFERENCE.sub(payment.reference, f"{path} {sent}") if payment else f"{path} {sent}"
        address, _space, content = real.partition(" ")
        answer: Any = client.generic(method, address, content, "application/json")
        assert answer.status_code == int(status), path
        for name, value in re.findall(r"(\S+): (.*)", headers):
            assert answer.headers[name] == value
        assert told(json.loads(body), answer.json()), (path, answer.json())


def test_the_json_that_is_documented_and_the_addresses_there_are_are_the_same() -> None:
    table = re.findall(r"^\| `(?:GET|POST) ([^?`]+)[^|]*` \|", (ROOT / "docs" / "api.md").read_text(), re.M)
    routes = {re.sub(r"<\w+:(\w+)>", r"<\1>", str(pattern.pattern)) for pattern in api_urlpatterns}
    assert set(table) == routes


@pytest.mark.parametrize(
    ("documented", "answered", "fits"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True), ({"a": 1}, {"b": 2}, False), ({"a": None}, {"a": 0}, False),
        ([1], [1, 2], False), ([{"a": 1}], [{"a": 1}], True), ("/x/...", "/x/y", True), ("/x/...", "/y", False),
        ("TB-7K2MPQ4XWN9RTYDCA", "TB-22222222222222222", True), ("TB-7K2MPQ4XWN9RTYDCA", "PRO", False),
        ("2026-11-01T03:30:00+00:00", "2025-01-01T00:00:00.000001+00:00", True),
    ],
)  # fmt: skip
def test_a_difference_between_what_is_documented_and_answered_is_seen(
    documented: Any, answered: Any, *, fits: bool
) -> None:
    assert told(documented, answered) is fits


@pytest.mark.parametrize("code", blocks("console"))
def test_console_snippets_name_commands_that_exist(code: str) -> None:
    commands = re.findall(r"manage\.py (\w+)", code)
    known = {*get_commands(), "tour", "demo", "fourteen_months"}
    assert set(commands) <= known
    assert re.search(r"^\$ ", code, re.M)


@pytest.mark.parametrize("code", blocks("json"))
def test_the_refusal_in_the_readme_is_what_is_answered(code: str, organization: Organization, user: User) -> None:
    client = Client(headers={"X-Organization": str(organization.pk), "Accept": "application/json"})
    client.force_login(user)
    set_used(organization, "invoices", 10)
    assert client.post("/invoices/new/").json().items() >= json.loads(code).items()


@pytest.mark.parametrize("document", [pytest.param(path, id=path.name) for path in DOCS])
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_readmes_test_line_is_what_ci_runs_first() -> None:
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    (line,) = re.findall(r"^\$ (.*tox run -e fast)$", readme, re.M)
    assert line in ci
