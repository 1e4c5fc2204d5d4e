"""What stands below a subscription and a payment: logs, payments, refunds, and what no post can change of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, payments, quotas, subscriptions
from django_tenant_billing.admin.inlines import LATEST
from django_tenant_billing.models import PaymentTransaction, Subscription, SubscriptionEvent
from django_tenant_billing.testing import set_used
from tests.manual import begin, came, use_bank
from tests.test_admin_payments import staff
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bank(settings: Any) -> None:
    use_bank(settings)


def address() -> str:
    return f"/admin/tenant_billing/subscription/{Subscription.objects.order_by('pk')[0].pk}/change/"


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def cost(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_a_subscription_shows_what_is_used_of_every_limit_as_the_gate_decides(
    staff: Client, organization: Organization
) -> None:
    set_used(organization, "invoices", 12)
    set_used(organization, "api_calls", 90)
    quotas.reserve(organization, "api_calls", 4)
    page = read(staff, address())
    for text in ("invoices 12 (2 over) 10 120 %", "API calls 90 (4 held) 100 94 %", "reports 0 not included -"):
        assert text in page
    came(begin(organization))
    assert "customers 0 no limit - -" in read(staff, address())


def test_a_subscription_shows_its_own_payments_and_its_own_latest_events(
    staff: Client, organization: Organization
) -> None:
    payment = came(begin(organization))
    other = begin(Organization.objects.create(name="Everest Crafts"), "BASIC")
    for number in range(LATEST):
        subscriptions.extend(organization, 1, actor="anna", reason=f"day {number:02}")
    page = read(staff, address())
    assert f"{payment.reference} " in page
    assert other.reference not in page
    assert f"/paymenttransaction/{payment.pk}/change/" in staff.get(address()).content.decode()
    assert page.index("day 19") < page.index("day 00")
    assert page.count("extended by staff") == LATEST
    assert " started " not in page.partition("Latest events")[2]


def test_nothing_below_a_subscription_is_written_whatever_is_posted(staff: Client, organization: Organization) -> None:
    payment = came(begin(organization))
    end = Subscription.objects.values_list("period_end", flat=True).get()
    assert end is not None
    page = staff.get(address()).content.decode()
    form = dict(re.findall(r'<input type="hidden" name="([a-z]+-[\w-]+)" value="([^"]*)"', page))
    assert form["subscriptionevent-TOTAL_FORMS"] == "1"
    forged = {
        **form, "act": "extend", "plan": "PRO", "days": "2", "reason": "an outage",
        **{f"period_end_{n}": value for n, value in re.findall(r'name="period_end_(\d)" value="([^"]*)"', page)},
        "subscriptionevent-0-actor": "nobody", "subscriptionevent-0-DELETE": "on", "subscriptionevent-0-id": "999999",
        "paymenttransaction-0-status": "refunded", "paymenttransaction-0-DELETE": "on",
        "paymenttransaction-TOTAL_FORMS": "7", "paymenttransaction-INITIAL_FORMS": "nonsense",
    }  # fmt: skip
    # What came since the page was made is no reason to fail either.
    subscriptions.extend(organization, 1, actor="anna", reason="another outage")
    Subscription.objects.update(period_end=end)
    assert staff.post(address(), forged).status_code == 302
    assert list(SubscriptionEvent.objects.values_list("change", "actor")) == [
        ("started", payment.actor), ("extended", "anna"), ("extended", "asha"),
    ]  # fmt: skip
    payment.refresh_from_db()
    assert payment.status == "paid"


def test_a_refused_act_shows_the_same_rows_again(staff: Client, organization: Organization) -> None:
    payment = came(begin(organization))
    answer = staff.post(address(), {"act": "extend", "plan": "PRO", "days": "2", "reason": ""})
    page = answer.content.decode()
    assert "This field is required." in page
    assert payment.reference in page


def test_a_payment_shows_what_it_gave_what_went_back_its_receipt_and_its_log(
    staff: Client, organization: Organization
) -> None:
    payment = came(begin(organization))
    payments.refund(payment, 50_000, actor="anna", reason="a day was lost")
    page = read(staff, f"/admin/tenant_billing/paymenttransaction/{payment.pk}/change/")
    assert "Refunded: NPR 500" in page
    assert "Received: NPR 3,900" in page
    assert "Term: month" in page
    refunds = page.partition("Refunds")[2].partition("Log")[0]
    assert "refund_pending NPR 500 asked anna a day was lost" in refunds
    assert "partially_refunded - by_hand anna a day was lost" in refunds
    assert "NPR 3,400 NPR 0" in page
    assert "1 - Himal Traders - NPR 3,900" in page
    PaymentTransaction.objects.update(credit_minor=10_000)
    page = read(staff, f"/admin/tenant_billing/paymenttransaction/{payment.pk}/change/")
    assert "Paid by credit: NPR 100" in page
    PaymentTransaction.objects.update(credit_minor=0)


def test_who_may_not_see_payments_usage_or_events_sees_the_subscription_alone(organization: Organization) -> None:
    payment = came(begin(organization))
    looker = User.objects.create_user("bina", is_staff=True)
    client = Client()
    client.force_login(looker)
    looker.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    page = client.get(address()).content.decode()
    assert "Plan in force" in page
    for text in (payment.reference, "Latest events", "What is used", "What to do", 'name="reason"'):
        assert text not in page
    wanted = ("view_paymenttransaction", "view_subscriptionevent", "view_usage")
    looker.user_permissions.add(*Permission.objects.filter(codename__in=wanted))
    page = client.get(address()).content.decode()
    for text in (payment.reference, "Latest events", "What is used"):
        assert text in page
    assert 'name="reason"' not in page


def test_pages_cost_the_same_however_long_the_logs_are(staff: Client, organization: Organization) -> None:
    payment = came(begin(organization))
    pages = [address(), f"/admin/tenant_billing/paymenttransaction/{payment.pk}/change/"]
    few = [cost(staff, page) for page in pages]
    for number in range(LATEST + 5):
        subscriptions.extend(organization, 1, actor="anna", reason=f"day {number}")
    for number in range(3):
        came(begin(organization), number=f"SLIP-{number + 2}")
    for _time in range(5):
        payments.refund(payment, 1_000, actor="anna", reason="a little")
    assert payment.created_at < clock.now()
    assert [cost(staff, page) for page in pages] == few == [8, 7]
