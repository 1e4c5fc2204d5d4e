"""``{{ invoice.amount|rupees }}``: money as the package writes it, "NPR 12,34,567.50"."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django_tenant_billing.money import format_money, to_minor

register = template.Library()


@register.filter
def rupees(amount: Decimal | None) -> str:
    """None, the sum of no rows, is nothing."""
    return format_money(to_minor(amount or 0), "NPR")
