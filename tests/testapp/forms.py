"""Forms in the shapes a site writes them."""

from __future__ import annotations

from typing import Any

from django import forms

from django_tenant_billing.forms import QuotaFormMixin

from .models import Customer, Invoice, Project


class CustomerForm(QuotaFormMixin, forms.ModelForm):
    quota_feature = "customers"

    class Meta:
        model = Customer
        fields = ("name",)

    def save(self, commit: bool = True) -> Any:
        self.instance.organization = self.organization
        return super().save(commit)


class ImportForm(QuotaFormMixin, forms.Form):
    """Not of a model, and counts by threes."""

    quota_feature = "invoices"
    quota_amount = 3
    number = forms.CharField()

    def save(self, breaks: bool = False) -> int:
        for index in range(3):
            Invoice.objects.create(organization=self.organization, number=f"{self.cleaned_data['number']}-{index}")
        if breaks:
            raise ZeroDivisionError
        return 3


class ProjectForm(QuotaFormMixin, forms.ModelForm):
    """Of a model that counts its own rows."""

    class Meta:
        model = Project
        fields = ("organization", "code")
