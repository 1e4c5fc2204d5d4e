"""The page on which staff records money that came without an attempt to pay."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.utils.translation import gettext_lazy as _

from .. import payments
from ..conf import conf
from ..gateways.registry import usable_gateways
from ..models import PaymentTransaction, Plan
from ..money import to_minor


class RecordNewForm(forms.Form):
    """Who paid, for what, how, and how somebody knows."""

    organization = forms.CharField(label=_("Key of the organization"), max_length=64)
    plan = forms.ModelChoiceField(Plan.objects.filter(is_active=True), label=_("Plan"))
    term = forms.CharField(
        label=_("Term"), max_length=20, required=False, help_text=_("Such as year; empty for the default price.")
    )
    gateway = forms.ChoiceField(label=_("Paid by"))
    amount = forms.DecimalField(label=_("Amount"), min_value=0, decimal_places=2, max_digits=15)
    number = forms.CharField(label=_("Number of the slip or receipt"), max_length=100)
    reason = forms.CharField(label=_("Reason"), max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by_hand = [(alias, gateway.label) for alias, gateway in usable_gateways().items() if gateway.by_hand]
        self.fields["gateway"].choices = by_hand  # type: ignore[attr-defined]

    def clean_organization(self) -> Any:
        """The organization of this key."""
        model = apps.get_model(conf.organization_model)
        try:
            key = model._meta.pk.to_python(self.cleaned_data["organization"])
            return model._default_manager.get(pk=key)
        except (model.DoesNotExist, forms.ValidationError) as error:
            raise forms.ValidationError(_("There is no such organization.")) from error

    def run(self, actor: str) -> PaymentTransaction:
        """Record it. Raises NotRecordable, NotForSale."""
        given = self.cleaned_data
        return payments.record_new(
            given["organization"],
            given["plan"].pk,
            given["gateway"],
            price=given["term"] or None,
            amount_minor=to_minor(given["amount"]),
            number=given["number"],
            actor=actor,
            reason=given["reason"],
        )
