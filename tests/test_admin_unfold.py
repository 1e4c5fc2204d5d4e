"""The admin under django-unfold, by the recipe of the docs: every page renders in it, and leads nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.auth.models import User
from django.core.checks import Error
from django.test import Client
from django.urls import include, path
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from django_tenant_billing import payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction, Subscription
from tests.test_payments import pay, start, tamper
from tests.testapp.models import Organization

pytestmark = [
    pytest.mark.django_db,
    # Unfold's own, under the newest Django.
    pytest.mark.filterwarnings("ignore:Overriding get_action"),
]

DOCS = Path(__file__).parents[1] / "docs" / "admin.md"


@pytest.fixture
def site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> UnfoldAdminSite:
    """An admin of unfold's make beside the plain one, with ours in it."""
    # Unfold puts its own classes here for the whole process: the plain admin is to be plain again after the test.
    for name in ("AdminForm", "Fieldline"):
        monkeypatch.setattr(helpers, name, getattr(helpers, name))
    # Not its default configuration, which would replace the admin of all other tests.
    settings.INSTALLED_APPS = ["unfold.apps.BasicAppConfig", *settings.INSTALLED_APPS]
    made = UnfoldAdminSite(name="dressed")
    for model, plain in admin.site._registry.items():
        made.register(model, type(plain))
    recipe: dict[str, Any] = {}
    (code,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    exec(compile(code, "docs/admin.md", "exec"), recipe)
    recipe["dress"](made)
    urls = ModuleType("dressed")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("dressed/", made.urls),
        path("admin/", admin.site.urls),
        path("billing/", include("django_tenant_billing.urls")),
    ]
    settings.ROOT_URLCONF = urls
    return made


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("asha"))
    return client


def look(client: Client, address: str) -> str:
    answer = client.get(f"/dressed/tenant_billing/{address}")
    assert answer.status_code == 200, address
    page = answer.content.decode()
    assert "unfold/css/styles.css" in page
    assert '"/admin/' not in page, "A link leads out of this admin into another one."
    return page


def test_every_class_of_ours_is_unfolds_too_and_passes_its_checks(site: UnfoldAdminSite) -> None:
    ours = [made for model, made in site._registry.items() if model._meta.app_label == "tenant_billing"]
    assert len(ours) == len([model for model in admin.site._registry if model._meta.app_label == "tenant_billing"])
    for made in ours:
        assert isinstance(made, ModelAdmin)
        assert [problem for problem in made.check() if isinstance(problem, Error)] == []


def test_lists_rows_acts_the_inbox_and_the_numbers_are_pages_of_unfold(
    site: UnfoldAdminSite, staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=1)
    payments.settle(payment)
    subscription = Subscription.objects.get()
    for model in site._registry:
        if model._meta.app_label == "tenant_billing":
            look(staff, f"{model._meta.model_name}/")
    shown = look(staff, f"subscription/{subscription.pk}/change/")
    for text in ("What is used", "invoices", payment.reference, 'name="reason"'):
        assert text in shown
    shown = look(staff, f"paymenttransaction/{payment.pk}/change/")
    assert f"/dressed/tenant_billing/paymenttransaction/{payment.pk}/act/" in shown
    assert "Another amount came" in look(staff, f"paymenttransaction/{payment.pk}/act/")
    assert payment.reference in look(staff, "paymenttransaction/review/")
    assert "/dressed/tenant_billing/subscription/numbers/" in look(staff, "subscription/")
    assert "What a month brings" in look(staff, "subscription/numbers/")
    look(staff, "paymenttransaction/record/")


def test_an_act_is_done_in_it_and_comes_back_to_it(
    site: UnfoldAdminSite, staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    address = f"/dressed/tenant_billing/paymenttransaction/{payment.pk}/"
    answer = staff.post(f"{address}act/", {"act": "verify", "reason": "asked by telephone"})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{address}change/")
    assert PaymentTransaction.objects.get().status == "paid"
    subscription = Subscription.objects.get()
    address = f"/dressed/tenant_billing/subscription/{subscription.pk}/change/"
    chosen = {"act": "cancel", "plan": "PRO", "reason": "closing down"}
    shown = staff.get(address).content.decode()
    for name in ("period_end_0", "period_end_1"):
        (chosen[name],) = re.findall(rf'name="{name}" value="([^"]*)"', shown)
    assert staff.post(address, chosen).status_code == 302
    subscription.refresh_from_db()
    assert subscription.canceled_at is not None
