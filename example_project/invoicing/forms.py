"""One form for the page and for the JSON endpoint."""

from __future__ import annotations

from typing import Any

from django import forms

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
        self.fields["customer"] = forms.ModelChoiceField(organization.customers.all())

    def issue(self) -> Invoice:
        return Invoice.objects.issue(self.organization, self.cleaned_data["customer"], self.cleaned_data["amount"])
