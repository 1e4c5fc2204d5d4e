"""Payments in review, in the admin: what waits, why, since when, and what may be done about it."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import override

from django_tenant_billing import clock, payments
from django_tenant_billing.admin.inbox import ON_A_PAGE, WHY, why
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction
from tests.test_admin_payments import do, staff
from tests.test_payments import pay, start, tamper
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

INBOX = "/admin/tenant_billing/paymenttransaction/review/"


def wait(server: Server, organization: Organization, **changes: object) -> PaymentTransaction:
    """A payment of something else than was asked for."""
    payment = start(organization)
    pay(server, payment)
    tamper(server, payment, **(changes or {"total_amount": 389_900}))
    return payments.settle(payment)


def read(client: Client, query: str = "") -> str:
    answer = client.get(INBOX + query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_nothing_waits_until_something_does(staff: Client, organization: Organization, simulator: Server) -> None:
    assert "Nothing waits for a person." in read(staff)
    payment = wait(simulator, organization)
    page = read(staff)
    for text in (
        "One payment waits for a person.", payment.reference, "Himal Traders", "PRO, NPR 3,900", "NPR 3,899",
        "Another amount came than was asked for.", "Suspicious: amount.",
    ):  # fmt: skip
        assert text in page
    assert date_format(localtime(clock.now()), "DATE_FORMAT") in page


def test_every_act_leads_to_its_form_with_the_act_chosen_and_a_reason_to_give(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = wait(simulator, organization)
    acts = re.findall(r'href="([^"]+/act/\?act=\w+)"', read(staff))
    assert [address.partition("=")[2] for address in acts] == ["apply_review", "refund", "dismiss_review"]
    for address in acts:
        form = staff.get(address).content.decode()
        assert f'<option value="{address.partition("=")[2]}" selected>' in form
        assert "Another amount came than was asked for." in form
        assert 'name="reason"' in form
    do(staff, payment, "apply_review", days="20")
    assert "Nothing waits for a person." in read(staff)


def test_what_is_not_possible_says_why_and_is_no_link(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    wait(simulator, organization, status="Refunded")
    page = read(staff)
    assert "not possible: its money went back already; dismiss it" in page
    assert "?act=apply_review" not in page
    assert "?act=dismiss_review" in page
    PaymentTransaction.objects.update(gateway_transaction_id=None)
    assert "never told its number; refund it in the dashboard" in read(staff)


@pytest.mark.breaks_the_log
def test_a_gateway_that_is_configured_no_more_sends_nothing_back(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    wait(simulator, organization)
    PaymentTransaction.objects.update(gateway="gone")
    assert "There is no gateway" in read(staff)


def test_of_an_organization_that_is_gone_nothing_is_applied(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    organization.delete()
    payments.settle(payment)
    page = read(staff)
    assert "The organization was deleted before the money came." in page
    assert "not possible: its organization was deleted; refund it" in page
    assert "?act=refund" in page


def test_money_that_nobody_told_of_is_said_to_be_so(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    wait(simulator, organization)
    PaymentTransaction.objects.update(received_minor=None)
    assert "not told" in read(staff)


def test_who_may_only_look_is_offered_nothing(organization: Organization, simulator: Server) -> None:
    wait(simulator, organization)
    looker = User.objects.create_user("bina", is_staff=True)
    client = Client()
    client.force_login(looker)
    assert client.get(INBOX).status_code == 403
    looker.user_permissions.add(Permission.objects.get(codename="view_paymenttransaction"))
    page = read(client)
    assert "You may look." in page
    assert "/act/" not in page
    assert client.post(INBOX).status_code == 403


def test_the_oldest_comes_first_in_pages_that_cost_the_same_however_much_waits(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    first = wait(simulator, organization)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(staff)
        return len(queries)

    few = cost()
    second = wait(simulator, Organization.objects.create(name="Everest Crafts"))
    page = read(staff)
    assert page.index(first.reference) < page.index(second.reference)
    copies = [
        PaymentTransaction(
            reference=f"TB-COPY{number}", organization=organization, organization_key=first.organization_key,
            organization_name="Copies", purchase=f"copy{number}", gateway="khalti", plan_id="PRO", amount_minor=1,
            currency="NPR", interval="month", interval_count=1, status="created", created_at=clock.now(),
        )
        for number in range(ON_A_PAGE)
    ]  # fmt: skip
    PaymentTransaction.objects.bulk_create(copies)
    PaymentTransaction.objects.filter(reference__startswith="TB-COPY").update(status="review")
    try:
        assert cost() == few
        assert "Page 1 of 2" in read(staff)
        assert "?page=2" in read(staff)
        assert "?page=1" in read(staff, "?page=2")
    finally:
        PaymentTransaction.objects.filter(reference__startswith="TB-COPY").delete()


@pytest.mark.parametrize("detail", WHY)
def test_every_reason_to_wait_is_a_sentence(detail: str) -> None:
    with override("en"):
        assert why(PaymentTransaction(detail=detail)).endswith(".")


def test_a_reason_that_nobody_has_words_for_is_shown_as_it_is() -> None:
    assert why(PaymentTransaction(detail="news")) == "news"
