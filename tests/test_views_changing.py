"""Choosing a plan on the pages, and what people do there to their subscription beside paying."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.lifecycle import State
from django_tenant_billing.models import PaymentTransaction, Plan, PlanPrice, SubscriptionEvent, TrialMark
from django_tenant_billing.testing import set_used
from tests.members import member
from tests.quota_tools import at
from tests.sales import START, on, pay, row, yearly
from tests.test_views_pages import text
from tests.testapp.models import Organization


@pytest.fixture
def browser(sold: Organization, simulator: Server, user: User) -> Client:
    return member(sold, user, Accept="text/html")


def seen(browser: Client, path: str, day: datetime) -> str:
    with at(day):
        answer = browser.get(f"/billing/{path}")
    assert answer.status_code == 200
    return text(answer)


def do(browser: Client, act: str, day: datetime, **form: str) -> Any:
    with at(day):
        return browser.post(f"/billing/change/{act}/", form)


def test_every_price_of_a_plan_is_shown_and_can_be_chosen(browser: Client) -> None:
    page = seen(browser, "plans/", START)
    assert "<strong>NPR 3,900</strong> / month" in page
    assert "or NPR 39,000 / year" in page
    assert 'href="/billing/checkout/?plan=PRO">Choose Pro</a>' in page
    assert 'href="?term=month" aria-current="true">Month</a> <a href="?term=year">Year</a>' in page
    page = seen(browser, "plans/?term=year", START)
    assert "<strong>NPR 39,000</strong> / year" in page
    assert "or NPR 3,900 / month" in page
    assert 'href="/billing/checkout/?plan=PRO&amp;term=year">Choose Pro</a>' in page
    # What has no such price is shown at its own.
    assert "<strong>NPR 1,000</strong> / month" in page
    assert 'href="?term=month">Month</a> <a href="?term=year" aria-current="true">Year</a>' in page
    PlanPrice.objects.create(plan_id="PRO", amount_minor=1_000_000, interval="month", interval_count=3)
    assert "<strong>NPR 10,000</strong> / 3 months" in seen(browser, "plans/?term=3-month", START)
    page = seen(browser, "checkout/?plan=PRO&term=3-month", START)
    for shown in ("The plan begins at once.", "April 30, 2026", "Pay NPR 10,000 with Khalti", 'value="3-month"'):
        assert shown in page


def test_a_term_that_nothing_is_sold_for_changes_nothing(browser: Client) -> None:
    assert seen(browser, "plans/?term=week", START) == seen(browser, "plans/", START)


def test_without_a_choice_of_terms_none_is_offered(browser: Client) -> None:
    PlanPrice.objects.filter(interval="year").delete()
    assert "?term=" not in seen(browser, "plans/", START)
    PlanPrice.objects.all().delete()
    assert "NPR" not in seen(browser, "plans/", START)


def test_a_year_is_paid_for_at_the_price_of_a_year(browser: Client) -> None:
    with at(START):
        answer = browser.post("/billing/checkout/", {"plan": "PRO", "term": "year", "gateway": "khalti"})
    assert answer.status_code == 303
    payment = PaymentTransaction.objects.get()
    assert (payment.amount_minor, payment.interval, payment.interval_count) == (3_900_000, "year", 1)


def test_the_checkout_says_what_an_upgrade_costs_after_credit(browser: Client, sold: Organization) -> None:
    pay(sold, "BASIC", START)
    page = seen(browser, "checkout/?plan=PRO", on(10, 2))
    # 28 days from 31 January; 10 were had. 1,000 * 18 / 28 = 642.85 comes back, to the paisa below.
    for shown in (
        "What you have paid for and not used is taken off the price.",
        "<dd>NPR 3,900</dd>", "18 of 28 days of BASIC: NPR 642.85", "<strong>NPR 3,257.15</strong>",
        "Pay NPR 3,257.15 with Khalti",
    ):  # fmt: skip
        assert shown in page
    with at(on(10, 2)):
        browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "khalti"})
    assert PaymentTransaction.objects.get().amount_minor == 325_715


def test_the_checkout_tells_renewing_converting_and_waiting_apart(browser: Client, sold: Organization) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    with at(START):
        subscriptions.start_trial(sold, "PRO", actor="user 1")
    assert "the time you pay for follows your trial" in seen(browser, "checkout/?plan=PRO", on(2, 2))
    assert "Change then, and pay then" not in seen(browser, "checkout/?plan=BASIC", on(2, 2))
    pay(sold, "PRO", on(2, 2))
    page = seen(browser, "checkout/?plan=PRO", on(20, 2))
    assert "No day that you have paid for is lost." in page
    assert "Change then, and pay then" not in page
    assert "<h1>Renew Pro</h1>" in page
    assert "Your plan now" not in page
    page = seen(browser, "checkout/?plan=BASIC", on(20, 2))
    assert "<h1>Change to Basic</h1>" in page
    assert "<dt>Your plan now</dt><dd>Pro</dd> <dt>New plan</dt><dd>Basic</dd>" in page
    assert "The plan begins when the time you have paid for ends." in page
    assert "Change then, and pay then" in page
    with at(on(20, 2)):
        subscriptions.schedule_change(sold, "BASIC", actor="user 1")
    assert "Change then, and pay then" not in seen(browser, "checkout/?plan=BASIC", on(20, 2))


def test_the_checkout_names_what_exists_beyond_the_limits_of_the_plan(browser: Client, sold: Organization) -> None:
    pay(sold, "PRO", START)
    set_used(sold, "customers", 60)
    page = seen(browser, "checkout/?plan=BASIC", on(1, 2))
    assert "Nothing is deleted, but nothing can be added there:" in page
    assert "<li>Customers: 60 of 50</li>" in page
    assert "Nothing is deleted" not in seen(browser, "checkout/?plan=PRO", on(1, 2))


def test_where_credit_pays_for_all_the_wallet_is_not_asked(browser: Client, sold: Organization) -> None:
    pay(sold, "PRO", START, yearly())
    with at(on(1, 2)):
        subscriptions.set_by_staff(sold, "BASIC", on(5, 2), actor="anna", reason="a mistake")
    assert "Your credit: NPR 38,893.15." in seen(browser, "", on(1, 2))
    page = seen(browser, "checkout/?plan=PRO", on(1, 2))
    for shown in ("<strong>NPR 0</strong>", "<dd>NPR 38,893.15</dd>", "<dd>NPR 34,993.15</dd>", "Use your credit"):
        assert shown in page
    assert "with Khalti" not in page
    answer = do(browser, "buy-with-credit", on(1, 2), plan="PRO", term="")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/")
    with at(on(1, 2)):
        assert (row().plan_id, row().credit_minor) == ("PRO", 3_499_315)
    assert not PaymentTransaction.objects.exists()
    with at(on(1, 2)):
        subscriptions.set_by_staff(sold, "PRO", None, actor="anna", reason="a gift")
    page = text(do(browser, "buy-with-credit", on(1, 2), plan="PRO"))
    assert "the organization has PRO already, without an end" in page


def test_a_plan_that_is_not_sold_so_is_told_with_the_plans(browser: Client) -> None:
    for query in ("", "?plan=GOLD", "?plan=PRO&term=week", "?plan=PRO%00"):
        answer = browser.get(f"/billing/checkout/{query}")
        assert answer.status_code == 400
        assert "cannot be bought: " in text(answer)
        assert "<h1>Plans</h1>" in text(answer)


def test_a_trial_is_offered_once_and_starts_with_a_button(browser: Client) -> None:
    assert "Try " not in seen(browser, "plans/", START)
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    assert "Try Pro for 14 days" in seen(browser, "plans/", START)
    assert do(browser, "start-trial", START, plan="PRO").status_code == 303
    page = seen(browser, "", START)
    assert "Your trial ends: Feb. 14, 2026" in page
    assert "Keep it" in page
    for day in (START, on(20, 2)):
        assert "Try " not in seen(browser, "plans/", day)
    answer = do(browser, "start-trial", on(20, 2), plan="PRO")
    assert answer.status_code == 409
    assert "the one trial was had" in text(answer)
    assert TrialMark.objects.count() == 1


def test_the_plan_is_canceled_resumed_and_changed_from_the_overview(browser: Client, sold: Organization) -> None:
    assert "change/" not in seen(browser, "", START)
    pay(sold, "PRO", START)
    day = on(10, 2)
    assert 'href="/billing/cancel/"' in seen(browser, "", day)
    assert 'href="/billing/checkout/?plan=PRO">Renew Pro</a>' in seen(browser, "", day)
    assert 'href="/billing/checkout/?plan=PRO">Renew Pro</a>' in seen(browser, "plans/", day)
    assert do(browser, "cancel", day).status_code == 303
    page = seen(browser, "", day)
    assert "It is canceled and ends: " in page
    assert "/cancel/" not in page
    assert do(browser, "resume", day).status_code == 303
    assert do(browser, "schedule-change", day, plan="BASIC").status_code == 303
    assert "Do not change to Basic" in seen(browser, "", day)
    assert do(browser, "undo-change", day).status_code == 303
    with at(day):
        assert (row().state(), row().next_plan_id) == (State.ACTIVE, None)
    actors = set(SubscriptionEvent.objects.exclude(actor="payer").values_list("actor", flat=True))
    assert len(actors) == 1
    assert actors.pop().endswith(": samir")


@pytest.mark.parametrize("act", ["start-trial", "schedule-change", "buy-with-credit"])
@pytest.mark.parametrize("plan", ["", "GOLD", "pro", "PRO\x00"])
def test_a_plan_that_is_none_to_the_letter_is_a_bad_request_of_every_act(browser: Client, act: str, plan: str) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    before = row().snapshot()
    answer = do(browser, act, START, plan=plan)
    assert answer.status_code == 400
    assert "there is no such plan" in text(answer)
    assert row().snapshot() == before


def test_what_is_not_possible_is_explained_and_changes_nothing(browser: Client, sold: Organization) -> None:
    pay(sold, "PRO", START)
    before = row().snapshot()
    answer = do(browser, "resume", on(10, 2))
    assert answer.status_code == 409
    assert "Cannot resume a subscription that is active: it was not canceled." in text(answer)
    answer = do(browser, "schedule-change", on(10, 2), plan="GOLD")
    assert answer.status_code == 400
    assert "there is no such plan" in text(answer)
    assert row().snapshot() == before


def test_whoever_may_only_look_changes_nothing(browser: Client, sold: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_AUTHORIZE = lambda _request, _organization, action: action == "view"
    pay(sold, "PRO", START)
    assert "To pay now" in seen(browser, "checkout/?plan=PRO", START)
    assert do(browser, "cancel", START).status_code == 403
    assert browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "khalti"}).status_code == 403
    assert row().canceled_at is None
    assert not PaymentTransaction.objects.exists()
    assert Client().post("/billing/change/cancel/").status_code == 302


def test_an_act_nobody_defined_has_no_address(browser: Client) -> None:
    assert browser.post("/billing/change/delete/").status_code == 404
