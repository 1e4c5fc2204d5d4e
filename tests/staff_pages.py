"""Every page that staff is shown, for who looks at them, judges them and reads them in Nepali."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Subscription
from tests.manual import begin, came
from tests.situations import on_trial, use_wallets_and_bank
from tests.test_admin_queries import pages, something_of_everything
from tests.test_payments import pay, start, tamper
from tests.testapp.models import Organization

BILLING = "/admin/tenant_billing/"


def staff_pages(organization: Organization, simulator: Server, settings: Any) -> dict[str, str]:
    """Every page that staff has of a site in business, by name."""
    in_review = start(organization)
    pay(simulator, in_review)
    tamper(simulator, in_review, total_amount=1)
    payments.settle(in_review)
    use_wallets_and_bank(settings)
    something_of_everything(organization)
    on_trial(Organization.objects.create(name="Sagarmatha Tours"))
    Subscription.objects.filter(trial_ends_at__isnull=False).update(trial_ends_at=clock.now() + timedelta(days=3))
    paid = came(begin(Organization.objects.create(name="Pokhara Lodge"), "BASIC"), number="SLIP-B")
    found = {}
    for name, (listed, row) in pages().items():
        found[name], found[f"{name}-row"] = listed, row
    transactions = f"{BILLING}paymenttransaction/"
    return found | {
        "index": BILLING,
        "numbers": f"{BILLING}subscription/numbers/",
        "inbox": f"{transactions}review/",
        "record": f"{transactions}record/",
        "act-in-review": f"{transactions}{in_review.pk}/act/",
        "act-paid": f"{transactions}{paid.pk}/act/",
    }
