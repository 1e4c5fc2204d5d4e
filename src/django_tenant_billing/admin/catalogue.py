"""Plans, prices, features and limits: edited here, and in force from the next request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from ..models import Feature, Plan, PlanLimit, PlanPrice
from ..money import to_minor


class PlanPriceForm(forms.ModelForm):
    """People type rupees; the column is paisa."""

    amount = forms.DecimalField(label=_("price in rupees"), min_value=0, max_digits=15, decimal_places=2)

    class Meta:
        model = PlanPrice
        fields = ("currency", "interval", "interval_count", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["amount"].initial = self.instance.amount

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        self.instance.amount_minor = to_minor(amount)
        return amount


class PlanPriceInline(admin.TabularInline):
    model = PlanPrice
    form = PlanPriceForm
    fields = ("amount", "currency", "interval", "interval_count", "is_default")
    extra = 0


class PlanLimitFormSet(forms.BaseInlineFormSet):
    """Reads the features once for all rows, not once for each."""

    @cached_property
    def features(self) -> list[Any]:
        field: Any = self.form.base_fields["feature"]
        return list(field.choices)

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["feature"].choices = self.features


class PlanLimitInline(admin.TabularInline):
    model = PlanLimit
    formset = PlanLimitFormSet
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanLimit]:
        return super().get_queryset(request).select_related("feature")


class RowForm(forms.ModelForm):
    """A row that is edited in its list: each field tells by itself whose it is and what, for who does not see both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.visible_fields():
            field.field.widget.attrs["aria-label"] = f"{self.instance}: {field.label}"


class EditedInList:
    """A list whose ``list_editable`` fields have names."""

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=RowForm, **kwargs)  # type: ignore[misc]


@admin.register(Plan)
class PlanAdmin(EditedInList, admin.ModelAdmin):
    list_display = ("code", "name", "position", "is_active", "grace_days", "trial_days")
    list_editable = ("position", "is_active")
    inlines = (PlanPriceInline, PlanLimitInline)


@admin.register(Feature)
class FeatureAdmin(admin.ModelAdmin):
    list_display = ("slug", "singular", "plural", "kind", "reset", "kept_in_grace", "position")

    def get_readonly_fields(self, request: HttpRequest, obj: Feature | None = None) -> tuple[str, ...]:
        # Another kind would count the same feature in other rows.
        return ("slug", "kind") if obj is not None else ()


@admin.register(PlanLimit)
class PlanLimitAdmin(EditedInList, admin.ModelAdmin):
    list_display = ("__str__", "plan", "feature", "limit_value", "trial_limit_value", "grace_days")
    list_editable = ("limit_value",)
    list_filter = ("plan", "feature")
    list_select_related = ("plan", "feature")
