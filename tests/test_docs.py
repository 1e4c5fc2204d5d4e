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

from django_tenant_billing import subscriptions
from django_tenant_billing.conf import SETTING_NAMES
from django_tenant_billing.models import Subscription, SubscriptionEvent
from django_tenant_billing.testing import set_used
from tests.testapp.models import Organization

ROOT = Path(__file__).parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
GUIDE_NAMES = {
    "KHALTI_SECRET_KEY", "KHALTI_PUBLIC_KEY", "KHALTI_CALLBACK_URL", "ESEWA_MERCHANT_CODE", "ESEWA_MERCHANT_SECRET"
}  # fmt: skip


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
