"""The receipt as a page: for its organization alone, to be printed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.formats import date_format

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction, PlanPrice
from django_tenant_billing.views.shared import result_url
from tests.manual import begin, came, use_bank
from tests.members import member
from tests.test_payments import pay, start
from tests.test_receipts import BUYER, SELLER
from tests.test_views_pages import text
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    return member(organization, user, Accept="text/html")


@pytest.fixture
def paid(organization: Organization, settings: Any) -> PaymentTransaction:
    use_bank(settings)
    settings.TENANT_BILLING_SELLER, settings.TENANT_BILLING_BUYER = SELLER, lambda organization: BUYER
    settings.TENANT_BILLING_VAT = "inclusive"
    return came(begin(organization))


def address(payment: PaymentTransaction) -> str:
    return f"/billing/payments/{payment.reference}/receipt/"


def test_it_tells_who_paid_whom_for_what_how_much_of_it_is_tax_and_how(
    browser: Client, paid: PaymentTransaction
) -> None:
    answer = browser.get(address(paid))
    page = text(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    for told in (
        "<h1>Receipt 1</h1>", date_format(timezone.localtime(paid.receipt.issued_at), "DATE_FORMAT"),
        SELLER["name"], SELLER["address"], "PAN 301234567", BUYER["name"], BUYER["address"], "PAN 609876543",
        "PRO plan: 1 month", "NPR 3,451.33", "VAT 13 %", "NPR 448.67", "<strong>NPR 3,900</strong>", "Bank transfer",
        "SLIP-1", paid.reference,
    ):  # fmt: skip
        assert told in page
    assert "Sent back" not in page


def test_without_seller_buyer_and_tax_it_names_the_organization_and_says_exempt(
    browser: Client, organization: Organization, settings: Any
) -> None:
    use_bank(settings)
    page = text(browser.get(address(came(begin(organization)))))
    for told in ("<strong>Himal Traders</strong>", "exempt", "<strong>NPR 3,900</strong>"):
        assert told in page
    for absent in ("Seller", "PAN", "13 %", '<th scope="row">Net'):
        assert absent not in page


def test_what_the_site_tells_of_people_is_text_and_no_html(
    browser: Client, organization: Organization, settings: Any
) -> None:
    use_bank(settings)
    settings.TENANT_BILLING_SELLER = {"name": "<b>Himal & Sons</b>", "address": "New Road\nKathmandu"}
    page = text(browser.get(address(came(begin(organization)))))
    assert "&lt;b&gt;Himal &amp; Sons&lt;/b&gt;" in page
    assert "New Road<br>Kathmandu" in page


def test_what_went_back_since_is_told_with_its_day(browser: Client, paid: PaymentTransaction) -> None:
    payments.refund(paid, 100_000, actor="anna", reason="asked for")
    with clock.moved(timedelta(days=3)):
        payments.refund(paid, actor="anna", reason="asked for")
        last = date_format(timezone.localtime(clock.now()), "DATE_FORMAT")
    page = text(browser.get(address(paid)))
    assert "Sent back since" in page
    assert f"NPR 2,900: {last}" in page
    assert "NPR 1,000: " in page
    assert "<h1>Receipt 1</h1>" in page


def test_a_part_of_which_nobody_told_how_much_it_was_is_told_as_that(
    browser: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = payments.settle(payment)
    simulator.khalti.refund("simulated_secret_key", str(payment.gateway_transaction_id), {"amount": 1000})
    payments.verify(payment)
    assert "A part of it: " in text(browser.get(address(payment)))


def test_a_gateway_that_is_no_longer_there_is_called_by_its_alias(
    browser: Client, paid: PaymentTransaction, settings: Any
) -> None:
    settings.TENANT_BILLING_GATEWAYS = {}
    assert "<dd>bank</dd>" in text(browser.get(address(paid)))


def test_refusals_come_in_the_ruled_order(browser: Client, paid: PaymentTransaction, user: User, settings: Any) -> None:
    login = Client().get(address(paid))
    assert (login.status_code, login.headers["Location"].partition("?")[0]) == (302, "/accounts/login/")
    nowhere = Client()
    nowhere.force_login(user)
    assert "Organization not found" in text(refused := nowhere.get(address(paid)))
    assert refused.status_code == 403
    stranger = member(Organization.objects.create(name="Pahad Foods"), user, Accept="text/html")
    unpaid = begin(Organization.objects.get(name="Himal Traders"))
    for client, path in (
        (stranger, address(paid)), (browser, address(unpaid)), (browser, address(paid).lower()),
        (browser, "/billing/payments/TB-NOBODYS/receipt/"),
    ):  # fmt: skip
        answer = client.get(path)
        assert (answer.status_code, "There is no such receipt." in text(answer)) == (404, True)
    asked = []

    def nobody(request: HttpRequest, organization: Organization, action: str) -> bool:
        asked.append(action)
        return False

    settings.TENANT_BILLING_AUTHORIZE = nobody
    assert browser.get(address(paid)).status_code == 403
    assert asked == ["view"]
    assert browser.post(address(paid)).status_code == 405


def test_the_list_of_payments_links_to_it_and_to_none_where_there_is_none(
    browser: Client, paid: PaymentTransaction, organization: Organization
) -> None:
    unpaid = begin(organization)
    page = text(browser.get("/billing/payments/"))
    assert f'<a href="{address(paid)}">1</a>' in page
    assert address(unpaid) not in page


def test_the_result_page_links_to_it_for_its_members_alone(
    browser: Client, paid: PaymentTransaction, user: User, settings: Any
) -> None:
    stranger = member(Organization.objects.create(name="Pahad Foods"), user)
    nowhere = Client()
    nowhere.force_login(user)
    unpaid = begin(Organization.objects.get(name="Himal Traders"))
    for client, payment, linked in (
        (browser, paid, True), (browser, unpaid, False), (Client(), paid, False), (stranger, paid, False),
        (nowhere, paid, False),
    ):  # fmt: skip
        assert (f'href="{address(payment)}"' in text(client.get(result_url(payment)))) is linked
    settings.TENANT_BILLING_AUTHORIZE = lambda request, organization, action: False
    assert address(paid) not in text(browser.get(result_url(paid)))


@pytest.mark.breaks_the_log
def test_a_payment_from_before_there_were_receipts_is_linked_to_none(browser: Client, paid: PaymentTransaction) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenant_billing_receipt")
    assert address(paid) not in text(browser.get(result_url(paid)))
    assert browser.get(address(paid)).status_code == 404


def test_it_costs_a_constant_number_of_queries(
    browser: Client, paid: PaymentTransaction, organization: Organization
) -> None:
    def queries_of(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(path).status_code == 200
        return len([query for query in queries if "tenant_billing" in query["sql"]])

    paths = address(paid), "/billing/payments/", result_url(paid)
    payments.refund(paid, 50_000, actor="anna", reason="asked for")
    before = [queries_of(path) for path in paths]
    assert before == [2, 2, 1]
    for number in range(5):
        came(begin(organization), number=f"SLIP-{number + 2}")
    payments.refund(paid, 100_000, actor="anna", reason="asked for")
    payments.refund(paid, 100_000, actor="anna", reason="asked for")
    assert [queries_of(path) for path in paths] == before


@pytest.mark.parametrize(
    ("word", "beside_price", "to_pay", "beside_total"),
    [
        ("exempt", "", "NPR 3,900", ""),
        ("inclusive", "includes 13 % VAT", "NPR 3,900", "includes 13 % VAT"),
        ("exclusive", "plus 13 % VAT", "NPR 4,407", "includes 13 % VAT"),
    ],
)
def test_prices_say_what_becomes_of_the_tax_before_anything_is_paid(
    browser: Client, settings: Any, word: str, beside_price: str, to_pay: str, beside_total: str
) -> None:
    settings.TENANT_BILLING_VAT = word
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    note = f" <small>{beside_price}</small>" if word != "exempt" else ""
    cards = text(browser.get("/billing/plans/"))
    assert f"<strong>NPR 3,900</strong> / month{note}</p>" in cards
    assert f"/ year{note}</p>" in cards
    assert cards.count("VAT") == (0 if word == "exempt" else 3)
    checkout = text(browser.get("/billing/checkout/?plan=PRO"))
    assert f"<dt>Price</dt><dd>{to_pay}{f' <small>{beside_total}</small>' if beside_total else ''}</dd>" in checkout
    assert f"<strong>{to_pay}</strong>" in checkout
