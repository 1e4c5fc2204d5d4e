"""The page of numbers: who sees it, what it says in words and tables, and what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, payments, subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Heartbeat, Plan, Subscription
from tests.manual import begin, came, use_bank
from tests.test_admin_payments import staff
from tests.test_payments import pay as pay_at
from tests.test_payments import start, tamper
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

NUMBERS = "/admin/tenant_billing/subscription/numbers/"


@pytest.fixture
def bank(settings: Any) -> None:
    use_bank(settings)


def paid(organization: Organization, plan: str = "PRO") -> None:
    payment = begin(organization, plan)
    came(payment, number=f"SLIP-{payment.pk}")


def read(client: Client) -> str:
    answer = client.get(NUMBERS)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def told(page: str) -> str:
    """The words of the page."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_it_takes_the_right_to_see_subscriptions_and_payments_and_only_then_is_there_a_link(
    organization: Organization,
) -> None:
    looker = User.objects.create_user("bina", is_staff=True)
    client = Client()
    client.force_login(looker)
    for name in ("view_subscription", "view_paymenttransaction"):
        assert client.get(NUMBERS).status_code == 403
        looker.user_permissions.add(Permission.objects.get(codename=name))
        address = f"/admin/tenant_billing/{name.removeprefix('view_')}/"
        assert (NUMBERS in client.get(address).content.decode()) is (name == "view_paymenttransaction")
    assert client.get(NUMBERS).status_code == 200
    assert client.post(NUMBERS).status_code == 403
    for address in ("subscription", "paymenttransaction"):
        assert NUMBERS in client.get(f"/admin/tenant_billing/{address}/").content.decode()


def test_a_site_without_customers_is_told_in_words(staff: Client, catalogue: None) -> None:
    page = told(read(staff))
    for text in (
        "No paid time is in force.", "None.", "Nothing waits for a person.", "None was begun.",
        "reconcile_payments never Nothing to do for it yet", "FREE 0 0 0 0 0 0",
    ):  # fmt: skip
        assert text in page


def test_plans_money_and_takings_stand_in_tables_and_the_chart_has_a_table_of_the_same(
    staff: Client, bank: None, organization: Organization
) -> None:
    paid(organization)
    paid(Organization.objects.create(name="Everest Crafts"), "BASIC")
    begin(organization)
    page = read(staff)
    words = told(page)
    for text in (
        "BASIC NPR 1,000", "PRO NPR 3,900", "All NPR 4,900", "FREE 0 0 0 0 0 0", "PRO 0 1 0 0 0 1", "created 1",
        "paid 2", "Payments of the last 30 days", "NPR 4,900 came in 2 payments.",
    ):  # fmt: skip
        assert text in words
    assert page.count("<rect") == 30
    assert page.count('height="0"') == 29
    assert words.count("1 NPR") == 0
    assert words.count("2 NPR 4,900") == 1
    tables = re.findall(r"<table.*?</table>", page.partition('class="tb-admin"')[2])
    assert len(tables) == 5
    assert all("<caption>" in table and 'scope="col"' in table and 'scope="row"' in table for table in tables)
    assert "style=" not in page.partition('class="tb-admin"')[2]


def test_trials_about_to_end_are_named_up_to_ten_and_lead_to_all_of_them(
    staff: Client, organization: Organization
) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=5)
    for number in range(11):
        subscriptions.start_trial(Organization.objects.create(name=f"Trial {number:02}"), "PRO", actor="user 1")
    page = read(staff)
    assert "Trials that end within 7 days" in page
    assert ("Trial 09" in page, "Trial 10" in page) == (True, False)
    assert "/admin/tenant_billing/subscription/?state=trialing" in page
    listed = staff.get("/admin/tenant_billing/subscription/?state=trialing").content.decode()
    assert "11 subscriptions" in listed
    assert "Himal Traders" not in listed
    subscriptions.extend_trial(Organization.objects.get(name="Trial 00"), 30, actor="anna", reason="a holiday")
    assert "?state=trialing" not in read(staff)


def test_what_waits_for_a_person_leads_to_the_inbox_with_the_age_of_the_oldest(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay_at(simulator, payment)
    tamper(simulator, payment, total_amount=1)
    payments.settle(payment)
    page = read(staff)
    assert "/admin/tenant_billing/paymenttransaction/review/" in page
    assert "One payment waits for a person The first of them since: " in told(page)


def test_a_command_that_has_stopped_is_called_late_with_what_to_run(staff: Client, organization: Organization) -> None:
    Heartbeat.objects.beat("run_billing", clock.now() - timedelta(days=2))
    Heartbeat.objects.beat("reconcile_payments", clock.now())
    page = told(read(staff))
    assert "Late. Run: manage.py run_billing" in page
    assert "Late. Run: manage.py reconcile_payments" not in page
    assert "On time" in page


def test_the_page_costs_the_same_however_many_organizations_payments_and_trials_there_are(
    staff: Client, bank: None, organization: Organization
) -> None:
    def cost() -> int:
        read(staff)
        with CaptureQueriesContext(connection) as queries:
            read(staff)
        return len(queries)

    few = cost()
    Plan.objects.filter(pk="PRO").update(trial_days=5)
    for number in range(8):
        paid(another := Organization.objects.create(name=f"Another {number}"))
        begin(another)
        subscriptions.start_trial(Organization.objects.create(name=f"Trial {number}"), "PRO", actor="user 1")
    assert Subscription.objects.count() == 17
    assert cost() == few == 13
