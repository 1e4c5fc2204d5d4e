"""What is said of a payment: for every state, and for every detail that changes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from django_tenant_billing import clock
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction
from django_tenant_billing.states import OPEN, SOFT_FAILED, PaymentState
from django_tenant_billing.views.badges import PAYMENT
from django_tenant_billing.views.outcomes import told
from django_tenant_billing.views.shared import result_url
from tests.manual import begin, came, use_bank
from tests.sales import pay
from tests.standings import STANDINGS, attempt
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_log]


@pytest.mark.parametrize(("state", "detail"), STANDINGS)
def test_every_state_and_detail_has_a_headline_and_a_sentence(
    organization: Organization, simulator: Server, state: PaymentState, detail: str
) -> None:
    said = told(attempt(organization, state, detail))
    assert said.title
    assert said.text.endswith(".")
    assert "%(" not in said.text
    assert said.confirming is (state in OPEN or state is PaymentState.CREATED)
    assert said.again is (state in SOFT_FAILED)
    assert said.badge is PAYMENT[state]


def test_no_two_details_say_the_same(organization: Organization, simulator: Server) -> None:
    texts = [told(attempt(organization, state, detail)).text for state, detail in STANDINGS]
    # What the gateway says is told by the state; all other reasons are the same whatever the state is.
    assert len(set(texts)) == len(PaymentState) - 2 + len({detail for _state, detail in STANDINGS}) - 1


def test_where_no_money_can_be_under_way_none_is_promised_back(organization: Organization, simulator: Server) -> None:
    lost = "If money left your wallet all the same, it will be found and applied."
    assert lost in told(attempt(organization, "canceled", "gateway")).text
    refused = told(attempt(organization, "failed", "initiate_failed")).text
    assert refused == "Khalti refused to begin this payment, so you were not sent there."


def test_a_gateway_that_is_gone_is_called_by_its_alias(organization: Organization) -> None:
    said = told(attempt(organization, "canceled", gateway="old-wallet"))
    assert said.text.startswith("It was canceled at old-wallet before it was paid.")


def test_a_plan_that_was_paid_ahead_is_told_with_its_beginning(organization: Organization, settings: Any) -> None:
    use_bank(settings)
    pay(organization, "PRO", clock.now())
    later = told(came(begin(organization, "BASIC")))
    assert later.text.startswith("The Basic plan begins when the time you have paid for ends: ")
    assert told(came(begin(organization, "PRO"), number="SLIP-2")).text == "The Pro plan is active."


def test_a_refund_in_part_names_both_amounts(organization: Organization) -> None:
    assert told(attempt(organization, "partially_refunded")).text == "Of NPR 3,900, NPR 1,000 was sent back to you."


def page_of(payment: PaymentTransaction) -> str:
    return " ".join(Client().get(result_url(payment)).content.decode().split())


def test_the_page_looks_again_only_while_something_can_come_of_it(organization: Organization) -> None:
    url = result_url(attempt(organization, "pending"))
    answer = Client().get(url)
    assert answer.headers["Refresh"] == "30"
    assert f'href="{url}">Look again</a>' in answer.content.decode()
    assert f'href="{url}?still=1">Stop that</a>' in answer.content.decode()
    still = Client().get(f"{url}?still=1")
    assert "Refresh" not in still.headers
    assert "Stop that" not in still.content.decode()
    assert f'href="{url}?still=1">Look again</a>' in still.content.decode()
    paid = Client().get(result_url(attempt(organization, "paid")))
    assert "Refresh" not in paid.headers
    for offered in ("Look again", "Stop that", "Try again"):
        assert offered not in paid.content.decode()


def test_whoever_did_not_pay_can_try_again_for_the_same_term(organization: Organization) -> None:
    payment = attempt(organization, "expired", "horizon")
    assert 'href="/billing/checkout/?plan=PRO&amp;term=month">Try again</a>' in page_of(payment)
    PaymentTransaction.objects.update(interval_count=3, created_at=payment.created_at - timedelta(days=1))
    assert "term=3-month" in page_of(payment)
