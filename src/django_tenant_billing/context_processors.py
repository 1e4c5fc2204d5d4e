"""Billing in every template of the site, at no cost where none uses it.

Add ``"django_tenant_billing.context_processors.billing"`` to the context processors of ``TEMPLATES``.
"""

from __future__ import annotations

from django.http import HttpRequest

from .shown import Shown, shown_on


def billing(request: HttpRequest) -> dict[str, Shown]:
    """``billing``: plan, state, usage, near_limit and upgrade_url of the request's organization; see shown.py."""
    return {"billing": shown_on(request)}
