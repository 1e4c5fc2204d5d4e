"""Every page of the portal in every state that it has words for: what is arranged, and the address to open then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django_tenant_billing import clock, subscriptions
from django_tenant_billing.models import Feature, PaymentTransaction, Plan, PlanPrice, Subscription
from django_tenant_billing.states import SETTLED, PaymentState
from django_tenant_billing.testing import set_used, subscribe
from django_tenant_billing.views.outcomes import BY_STATE, IN_REVIEW, NOT_PAID
from django_tenant_billing.views.shared import result_url
from tests.sales import pay
from tests.testapp.models import Organization

Scene = Callable[[Organization], str]
"""Arranges it, and returns the path."""


def ahead(days: float) -> datetime:
    return clock.now() + timedelta(days=days)


def attempt(organization: Organization, status: str, detail: str = "", gateway: str = "khalti") -> PaymentTransaction:
    """A payment that stands so, whatever its log says."""
    number = PaymentTransaction.objects.count()
    return PaymentTransaction.objects.create(
        organization=organization, organization_key=str(organization.pk), organization_name=str(organization),
        reference=f"TB-{number:04}", purchase=f"{number:032}", gateway=gateway, plan_id="PRO", amount_minor=390_000,
        currency="NPR", interval="month", interval_count=1, status=status, detail=detail,
        created_at=ahead(-number), paid_at=ahead(-number) if status in SETTLED else None,
        refunded_minor=100_000 if status == PaymentState.PARTIALLY_REFUNDED else 0,
    )  # fmt: skip


STANDINGS = [
    *((state, "") for state in PaymentState),
    *((PaymentState.REVIEW, detail) for detail in IN_REVIEW),
    *((state, detail) for state in BY_STATE for detail in NOT_PAID),
]
"""Each state of a payment, with each detail that changes what is said."""


def near_its_limits(organization: Organization) -> str:
    set_used(organization, "invoices", 9)
    set_used(organization, "customers", 5)
    set_used(organization, "api_calls", 40)
    return "/billing/"


def paid(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "invoices", 1234)
    Subscription.objects.update(credit_minor=123_450, credit_currency="NPR")
    subscriptions.schedule_change(organization, "BASIC", actor="user 1")
    return "/billing/"


def prepaid(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    pay(organization, "BASIC", clock.now())
    return "/billing/"


def on_trial(organization: Organization) -> str:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    subscriptions.start_trial(organization, "PRO", actor="user 1")
    return "/billing/"


def canceled(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    subscriptions.cancel(organization, actor="user 1")
    return "/billing/"


def in_grace(organization: Organization) -> str:
    subscribe(organization, "PRO", until=ahead(-1))
    Subscription.objects.update(grace_ends_at=ahead(2))
    return "/billing/"


def ended(organization: Organization) -> str:
    subscribe(organization, "PRO", until=ahead(-1))
    return "/billing/"


def plans(organization: Organization) -> str:
    pay(organization, "BASIC", clock.now())
    return "/billing/plans/"


def plans_by_the_year(_organization: Organization) -> str:
    Plan.objects.filter(pk="PRO").update(trial_days=14)
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    PlanPrice.objects.create(plan_id="BASIC", amount_minor=1_000_000, interval="year")
    return "/billing/plans/?term=year"


def checkout(_organization: Organization) -> str:
    return "/billing/checkout/?plan=PRO"


def checkout_of_an_upgrade(organization: Organization) -> str:
    pay(organization, "BASIC", clock.now())
    return "/billing/checkout/?plan=PRO"


def checkout_of_a_renewal(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    return "/billing/checkout/?plan=PRO"


def checkout_after_a_trial(organization: Organization) -> str:
    on_trial(organization)
    return "/billing/checkout/?plan=PRO"


def checkout_of_a_lower_plan(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "customers", 60)
    return "/billing/checkout/?plan=BASIC"


def checkout_by_credit(_organization: Organization) -> str:
    Subscription.objects.update(credit_minor=500_000, credit_currency="NPR")
    return "/billing/checkout/?plan=PRO"


def cancel(organization: Organization) -> str:
    pay(organization, "PRO", clock.now())
    set_used(organization, "customers", 60)
    return "/billing/cancel/"


def payments(organization: Organization) -> str:
    for state in PaymentState:
        attempt(organization, state)
    for _number in range(20):
        attempt(organization, "paid")
    return "/billing/payments/"


def over_the_limit(organization: Organization) -> str:
    set_used(organization, "customers", 5)
    return "/customers/new/"


def over_a_limit_that_starts_again(organization: Organization) -> str:
    set_used(organization, "api_calls", 100)
    return "/api/"


def history(organization: Organization) -> str:
    near_its_limits(organization)
    return "/billing/history/"


def not_configured(_organization: Organization) -> str:
    Subscription.objects.all().delete()
    Feature.objects.all().delete()
    Plan.objects.all().delete()
    return "/billing/"


SCENES: dict[str, Scene] = {
    "overview-free": lambda _organization: "/billing/",
    "overview-near": near_its_limits,
    "overview-paid": paid,
    "overview-prepaid": prepaid,
    "overview-trial": on_trial,
    "overview-canceled": canceled,
    "overview-grace": in_grace,
    "overview-ended": ended,
    "plans": plans,
    "plans-year": plans_by_the_year,
    "checkout": checkout,
    "checkout-upgrade": checkout_of_an_upgrade,
    "checkout-renewal": checkout_of_a_renewal,
    "checkout-trial": checkout_after_a_trial,
    "checkout-lower": checkout_of_a_lower_plan,
    "checkout-credit": checkout_by_credit,
    "checkout-refused": lambda _organization: "/billing/checkout/?plan=GOLD",
    "cancel": cancel,
    "payments-none": lambda _organization: "/billing/payments/",
    "payments": payments,
    "result-paid": lambda organization: result_url(attempt(organization, "paid")),
    "result-review": lambda organization: result_url(attempt(organization, "review", "duplicate")),
    "result-confirming": lambda organization: result_url(attempt(organization, "pending")),
    "result-not-paid": lambda organization: result_url(attempt(organization, "canceled", "gateway")),
    "result-refunded": lambda organization: result_url(attempt(organization, "partially_refunded")),
    "history": history,
    "over-limit": over_the_limit,
    "over-limit-monthly": over_a_limit_that_starts_again,
    "over-limit-not-included": lambda _organization: "/report/",
    "not-found": lambda _organization: "/billing/khalti/callback/TB-NOSUCH/?pidx=none&status=Completed",
    "not-configured": not_configured,
}
