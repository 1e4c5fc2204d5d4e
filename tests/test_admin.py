"""The admin beside what the contract asks: overrides with a reason, and what explains a number."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.models import LimitOverride, Subscription, Usage
from django_tenant_billing.testing import set_used
from tests.sales import pay
from tests.testapp.models import Organization

OVERRIDES = "/admin/tenant_billing/limitoverride/"


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("asha", password="secret"))
    return client


def form(organization: Organization, **changes: str) -> dict[str, Any]:
    now = clock.now()
    values = {
        "organization": str(organization.pk), "feature": "invoices", "limit_value": "50", "reason": "festival",
        "starts_at_0": f"{now - timedelta(days=2):%Y-%m-%d}", "starts_at_1": "00:00:00",
        "ends_at_0": "", "ends_at_1": "",
    }  # fmt: skip
    return values | changes


def test_an_override_given_in_the_admin_counts_from_the_next_request_and_names_its_giver(
    staff: Client, organization: Organization
) -> None:
    assert staff.post(f"{OVERRIDES}add/", form(organization)).status_code == 302
    given = LimitOverride.objects.get()
    assert (given.actor, given.reason, quotas.check(organization, "invoices").limit) == ("asha", "festival", 50)


def test_an_override_without_a_reason_or_with_an_end_before_its_start_is_refused(
    staff: Client, organization: Organization
) -> None:
    for changes in ({"reason": ""}, {"ends_at_0": "2020-01-01", "ends_at_1": "00:00:00"}, {"limit_value": "-1"}):
        assert staff.post(f"{OVERRIDES}add/", form(organization, **changes)).status_code == 200
    assert not LimitOverride.objects.exists()


def test_an_override_is_ended_and_never_changed_or_deleted(staff: Client, organization: Organization) -> None:
    given = quotas.override(organization, "invoices", 50, reason="festival", actor="asha")
    page = staff.post(f"{OVERRIDES}{given.pk}/change/", form(organization, limit_value="9999"))
    assert page.status_code == 403
    assert staff.post(f"{OVERRIDES}{given.pk}/delete/", {"post": "yes"}).status_code == 403
    assert quotas.check(organization, "invoices").limit == 50
    done = staff.post(OVERRIDES, {"action": "end_now", "_selected_action": [given.pk]}, follow=True)
    assert "1 overrides ended." in done.content.decode()
    assert quotas.check(organization, "invoices").limit == 10
    again = staff.post(OVERRIDES, {"action": "end_now", "_selected_action": [given.pk]}, follow=True)
    assert "0 overrides ended." in again.content.decode()


def test_who_may_only_look_cannot_end_an_override(organization: Organization) -> None:
    given = quotas.override(organization, "invoices", 50, reason="festival", actor="asha")
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_limitoverride"))
    client = Client()
    client.force_login(viewer)
    client.post(OVERRIDES, {"action": "end_now", "_selected_action": [given.pk]})
    assert quotas.check(organization, "invoices").limit == 50


def test_the_usage_page_says_where_a_limit_comes_from_what_is_held_and_what_is_over(
    staff: Client, organization: Organization
) -> None:
    set_used(organization, "invoices", 12)
    set_used(organization, "api_calls", 90)
    quotas.reserve(organization, "api_calls", 4)
    quotas.override(organization, "customers", 7, reason="festival", actor="asha")
    page = staff.get(f"/admin/tenant_billing/usage/{Usage.objects.get().pk}/change/").content.decode()
    for text in ("invoices: 12 / 10 (2 over)", "API calls: 90 / 100 (4 held)", "customers: 0 / 7 (override)"):
        assert text in page
    assert "team members: 0 / 1<br>" in page


def test_reservations_and_the_ledger_are_only_read(staff: Client, organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={})
    settings.TENANT_BILLING_CATALOGUE["features"]["invoices"]["ledger"] = True
    quotas.consume(organization, "invoices", 2, actor="asha", subject="order 7")
    quotas.reserve(organization, "invoices", 3, subject="export 7")
    pages = {
        "hold": f"{organization.pk} - invoices: 3 held",
        "usageentry": "order 7",
    }
    for name, text in pages.items():
        assert text in staff.get(f"/admin/tenant_billing/{name}/").content.decode()
        assert staff.get(f"/admin/tenant_billing/{name}/add/").status_code == 403
    found, none = (staff.get("/admin/tenant_billing/hold/", {"q": q}).content.decode() for q in ("export 7", "no such"))
    assert "1 hold" in found
    assert "0 holds" in none


def test_an_end_that_staff_did_not_touch_does_not_come_a_moment_earlier(
    staff: Client, organization: Organization
) -> None:
    paid = pay(organization, "PRO", clock.now().replace(microsecond=123456))
    row = Subscription.objects.get()
    shown = timezone.localtime(paid.ends_at)
    values = {
        "act": "set_by_staff",
        "plan": "PRO",
        "period_end_0": f"{shown:%Y-%m-%d}",
        "period_end_1": f"{shown:%H:%M:%S}",
        "reason": "why",
    }
    url = f"/admin/tenant_billing/subscription/{row.pk}/change/"
    assert values["period_end_1"] in staff.get(url).content.decode()
    assert staff.post(url, values).status_code == 302
    row.refresh_from_db()
    assert (row.period_end, row.credit_minor) == (paid.ends_at, 0)
    assert staff.post(url, values | {"period_end_1": "00:00:00"}).status_code == 302
    row.refresh_from_db()
    assert row.credit_minor == paid.value_minor  # cut short: all of it is unused today
