"""Everything that a person can be shown: how each page comes about. Looked at, driven by keyboard, read in Nepali."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django_tenant_billing import clock, payments, quotas, subscriptions
from django_tenant_billing.models import (
    Feature,
    PaymentTransaction,
    Plan,
    PlanPrice,
    Receipt,
    Subscription,
    UsageCounter,
)
from django_tenant_billing.states import SETTLED
from django_tenant_billing.testing import set_used, subscribe
from django_tenant_billing.views.shared import result_url
from tests.manual import BANK, begin, came
from tests.sales import pay
from tests.testapp.models import Organization

DAY = timedelta(days=1)
Situation = Callable[[Organization], str]
"""Brings it about for an organization on FREE, and tells where to look."""


def use_wallets_and_bank(settings: Any) -> None:
    """On a site that is configured for the simulator already."""
    settings.TENANT_BILLING_GATEWAYS = {**settings.TENANT_BILLING_GATEWAYS, "bank": BANK}


def free(organization: Organization) -> str:
    set_used(organization, "invoices", 4)
    return "/billing/"


def near_the_limit(organization: Organization) -> str:
    subscribe(organization, "BASIC", until=clock.now() + 20 * DAY)
    set_used(organization, "invoices", 850)
    set_used(organization, "customers", 50)
    return "/billing/"


def without_limits(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "customers", 1234)
    return "/billing/"


def on_trial(organization: Organization) -> str:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    subscriptions.start_trial(organization, "PRO", actor="samir")
    return "/billing/"


def canceled(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    subscriptions.cancel(organization, actor="samir")
    return "/billing/"


def in_grace(organization: Organization) -> str:
    Plan.objects.update(grace_days=3)
    pay(organization, "BASIC", clock.now() - 32 * DAY)
    Subscription.objects.update(period_end=clock.now() - DAY, grace_ends_at=clock.now() + 2 * DAY)
    return "/billing/"


def ended(organization: Organization) -> str:
    subscribe(organization, "PRO", until=clock.now() - DAY)
    return "/billing/"


def changing(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    subscriptions.schedule_change(organization, "BASIC", actor="samir")
    return "/billing/"


def paid_ahead(organization: Organization) -> str:
    now = clock.now()
    pay(organization, "PRO", now)
    pay(organization, "BASIC", now)
    Subscription.objects.update(credit_minor=123_450, credit_currency="NPR")
    return "/billing/"


def plans(organization: Organization) -> str:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    return "/billing/plans/"


def plans_of_a_payer(organization: Organization) -> str:
    pay(organization, "BASIC", clock.now())
    return "/billing/plans/"


def checkout(organization: Organization) -> str:
    return "/billing/checkout/?plan=PRO"


def checkout_of_an_upgrade(organization: Organization) -> str:
    pay(organization, "BASIC", clock.now() - 10 * DAY)
    return "/billing/checkout/?plan=PRO"


def checkout_of_a_year(organization: Organization) -> str:
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    return "/billing/checkout/?plan=PRO&term=year"


def checkout_of_a_lower_plan(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "customers", 60)
    return "/billing/checkout/?plan=BASIC"


def checkout_of_a_renewal(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    return "/billing/checkout/?plan=PRO"


def checkout_with_credit(organization: Organization) -> str:
    Subscription.objects.update(credit_minor=500_000, credit_currency="NPR")
    return "/billing/checkout/?plan=BASIC"


def no_such_plan(organization: Organization) -> str:
    return "/billing/checkout/?plan=GOLD"


def no_payments(organization: Organization) -> str:
    return "/billing/payments/"


def many_payments(organization: Organization) -> str:
    plan_of_each = {"plan_id": "PRO", "gateway": "khalti", "amount_minor": 390_000, "currency": "NPR"}
    for number in range(60):
        status = list(PaymentTransaction._meta.get_field("status").choices or ())[number % 12][0]
        moment = clock.now() - number * DAY
        PaymentTransaction.objects.create(
            organization=organization, organization_key=str(organization.pk), organization_name=str(organization),
            reference=f"TB-{number:017d}", purchase=f"{number:032d}", interval="month", interval_count=1,
            status=status, created_at=moment, paid_at=moment if status in SETTLED else None, **plan_of_each,
        )  # fmt: skip
    return "/billing/payments/"


def stands(organization: Organization, status: str, detail: str = "") -> str:
    """The page of a payment that stands so, whatever led to it."""
    payment = begin(organization)
    paid_at = clock.now() if status in SETTLED else None
    PaymentTransaction.objects.filter(pk=payment.pk).update(
        status=status, detail=detail, paid_at=paid_at, gateway="khalti", received_minor=paid_at and 390_000
    )
    return result_url(payment)


def result_paid(organization: Organization) -> str:
    return result_url(came(begin(organization)))


def result_paid_for_later(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    payment = begin(organization, "BASIC")
    return result_url(came(payment))


def result_by_hand(organization: Organization) -> str:
    return result_url(begin(organization))


def result_confirming(organization: Organization) -> str:
    return stands(organization, "pending")


def result_in_review(organization: Organization) -> str:
    return stands(organization, "review", "amount")


def result_canceled(organization: Organization) -> str:
    return stands(organization, "canceled", "gateway")


def result_expired(organization: Organization) -> str:
    return stands(organization, "expired", "horizon")


def result_failed(organization: Organization) -> str:
    return stands(organization, "failed", "gateway")


def result_not_received(organization: Organization) -> str:
    return stands(organization, "expired", "not_received")


def result_refunded(organization: Organization) -> str:
    return stands(organization, "refunded")


def result_refunded_in_part(organization: Organization) -> str:
    return stands(organization, "partially_refunded")


def result_being_refunded(organization: Organization) -> str:
    return stands(organization, "refund_pending", "asked")


def result_dismissed(organization: Organization) -> str:
    return stands(organization, "dismissed", "duplicate")


def receipt(organization: Organization) -> str:
    payment = came(begin(organization))
    return f"/billing/payments/{payment.reference}/receipt/"


def receipt_with_tax_of_what_went_back(organization: Organization) -> str:
    path, paid = receipt(organization), PaymentTransaction.objects.get()
    payments.refund(paid, 100_000, actor="anna", reason="asked for")
    # As it is issued where the settings say so.
    Receipt._base_manager.update(
        seller_name="Himal Software Pvt. Ltd.", seller_address="New Road\nKathmandu", seller_pan="301234567",
        buyer_address="Pokhara", buyer_pan="609876543", net_minor=345_133, vat_minor=44_867, vat_percent=13,
    )  # fmt: skip
    return path


def over_the_limit(organization: Organization) -> str:
    set_used(organization, "customers", 5)
    return "/customers/new/"


def not_in_the_plan(organization: Organization) -> str:
    Plan.objects.get(pk="FREE").limits.filter(feature="customers").update(limit_value=0)
    return "/customers/new/"


def history(organization: Organization) -> str:
    """A year and a half of months, one without an invoice; the present one is under way."""
    now = clock.now()
    Subscription.objects.update(anchor=now)
    UsageCounter.objects.bulk_create(
        UsageCounter(
            organization=organization, feature_id="invoices", used=37 * number % 11, updated_at=now,
            period_start=now - (18 - number) * 30 * DAY, period_end=now - (17 - number) * 30 * DAY - DAY,
        )
        for number in range(17)
    )  # fmt: skip
    quotas.consume(organization, "invoices", 4)
    quotas.reserve(organization, "customers", 1)
    set_used(organization, "customers", 3)
    set_used(organization, "team_members", 2)
    return "/billing/history/"


def history_of_the_first_day(organization: Organization) -> str:
    quotas.consume(organization, "api_calls", 7)
    return "/billing/history/"


def not_found(organization: Organization) -> str:
    return "/billing/khalti/callback/?pidx=nobody"


def plans_by_the_year(_organization: Organization) -> str:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    PlanPrice.objects.create(plan_id="BASIC", amount_minor=1_000_000, interval="year")
    return "/billing/plans/?term=year"


def checkout_after_a_trial(organization: Organization) -> str:
    on_trial(organization)
    return "/billing/checkout/?plan=PRO"


def cancel(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "customers", 60)
    return "/billing/cancel/"


def over_a_limit_that_starts_again(organization: Organization) -> str:
    set_used(organization, "api_calls", 100)
    return "/api/"


def not_configured(_organization: Organization) -> str:
    Subscription.objects.all().delete()
    Feature.objects.all().delete()
    Plan.objects.all().delete()
    return "/billing/"


SITUATIONS: tuple[Situation, ...] = (
    free, near_the_limit, without_limits, on_trial, canceled, in_grace, ended, changing, paid_ahead, plans,
    plans_of_a_payer, checkout, checkout_of_an_upgrade, checkout_of_a_year, checkout_of_a_lower_plan,
    checkout_of_a_renewal, checkout_with_credit, no_such_plan, no_payments, many_payments, result_paid,
    result_paid_for_later, result_by_hand, result_confirming, result_in_review, result_canceled, result_expired,
    result_failed, result_not_received, result_refunded, result_refunded_in_part, result_being_refunded,
    result_dismissed, receipt, receipt_with_tax_of_what_went_back, history, history_of_the_first_day, over_the_limit,
    not_in_the_plan, not_found, cancel, checkout_after_a_trial, not_configured, over_a_limit_that_starts_again,
    plans_by_the_year,
)  # fmt: skip
