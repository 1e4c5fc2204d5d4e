"""One form for the page and for the JSON endpoint."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from orgs.models import Organization

from .models import Invoice


class InvoiceForm(forms.ModelForm):
    """Offers, and accepts, the organization's own customers only."""

    class Meta:
        model = Invoice
        fields = ("customer", "amount")

    def __init__(self, data: Any = None, *, organization: Organization) -> None:
        super().__init__(data)
        self.organization = organization
        self.fields["customer"] = forms.ModelChoiceField(organization.customers.all(), label=_("Customer"))

    def issue(self) -> Invoice:
        return Invoice.objects.issue(self.organization, self.cleaned_data["customer"], self.cleaned_data["amount"])
