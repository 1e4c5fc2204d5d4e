"""Every address of ours, from the resolver, and every row of every table: what a stranger may not change."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from django.apps import apps
from django.urls import reverse

from django_tenant_billing.models import PaymentEvent, PaymentTransaction, Throttle
from django_tenant_billing.urls import urlpatterns
from django_tenant_billing.views.acts import ACTS

RETURNS = ("gateway_callback", "gateway_success", "gateway_failure")

ASKING = {"leased_until", "next_check_at", "unanswered", "updated_at", "suspicion"}
"""Columns of a payment that say when and why somebody asked about it, and nothing of its money."""

Rows = dict[tuple[str, Any], dict[str, Any]]


def addresses(reference: str, *, token: str = "0" * 64) -> Iterator[tuple[str, str]]:
    """The name and the path of every route, for every gateway and act; in the place of a reference stands this one."""
    values = {"gateway": ("khalti", "esewa"), "reference": (reference,), "token": (token,), "act": tuple(ACTS),
              "number": ("1",)}  # fmt: skip
    for pattern in urlpatterns:
        names = list(pattern.pattern.regex.groupindex)
        for chosen in product(*(values[name] for name in names)):
            keywords = dict(zip(names, chosen, strict=True))
            yield str(pattern.name), reverse(f"tenant_billing:{pattern.name}", kwargs=keywords)


def every_row() -> Rows:
    """All tables of the site as they are, but for the log, the throttles, the sessions and when a payment was asked."""
    rows: Rows = {}
    for model in apps.get_models():
        if model in (PaymentEvent, Throttle) or model._meta.label == "sessions.Session":
            continue
        skipped = ASKING if model is PaymentTransaction else set()
        for row in model._base_manager.values():
            key = (model._meta.label, row[model._meta.pk.attname])
            rows[key] = {name: value for name, value in row.items() if name not in skipped}
    return rows
