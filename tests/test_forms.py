"""Forms that check with their fields and count with their save()."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template

from django_tenant_billing import quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.forms import QuotaFormMixin
from django_tenant_billing.testing import set_used
from tests.testapp.forms import CustomerForm, ImportForm, ProjectForm
from tests.testapp.models import Customer, Invoice, Organization

pytestmark = pytest.mark.django_db


def used(organization: Organization, feature: str = "customers") -> int:
    return quotas.check(organization, feature).used


def test_a_model_form_counts_what_it_saves(organization: Organization) -> None:
    form = CustomerForm({"name": "Sita"}, organization=organization)
    assert form.is_valid()
    assert used(organization) == 0
    assert form.save().name == "Sita"
    form.save()
    assert (used(organization), Customer.objects.count()) == (1, 1)


def test_a_form_without_room_says_so_beside_its_other_errors(organization: Organization) -> None:
    set_used(organization, "customers", 5)
    form = CustomerForm({"name": ""}, organization=organization)
    assert form.errors == {
        "name": ["This field is required."],
        "__all__": ["Reached customer limit (5). Upgrade your plan."],
    }
    assert form.has_error("__all__", "limit_reached")
    assert used(organization) == 5


def test_a_form_of_a_row_that_exists_neither_checks_nor_counts(organization: Organization) -> None:
    customer = Customer.objects.create(organization=organization, name="Sita")
    set_used(organization, "customers", 5)
    form = CustomerForm({"name": "Gita"}, instance=customer, organization=organization)
    assert form.save().name == "Gita"
    assert used(organization) == 5


@pytest.mark.parametrize("how", [{"args": [False], "kwargs": {}}, {"args": [], "kwargs": {"commit": False}}], ids=str)
def test_saving_without_commit_counts_nothing_and_the_caller_counts(organization: Organization, how: Any) -> None:
    form = CustomerForm({"name": "Sita"}, organization=organization)
    customer = form.save(*how["args"], **how["kwargs"])
    assert used(organization) == 0
    with quotas.consuming(form.organization, "customers"):
        customer.save()
    assert (used(organization), Customer.objects.count()) == (1, 1)


def test_a_plain_form_counts_its_own_save_from_the_first_line_to_the_last(organization: Organization) -> None:
    form = ImportForm({"number": "a"}, organization=organization)
    assert form.is_valid()
    with pytest.raises(ZeroDivisionError):
        form.save(True)
    assert (used(organization, "invoices"), Invoice.objects.count()) == (0, 0)
    assert form.save(False) == 3
    assert (used(organization, "invoices"), Invoice.objects.count()) == (3, 3)
    set_used(organization, "invoices", 8)
    assert not ImportForm({"number": "b"}, organization=organization).is_valid()


def test_a_unit_taken_between_validation_and_save_refuses_the_save(organization: Organization) -> None:
    form = CustomerForm({"name": "Sita"}, organization=organization)
    assert form.is_valid()
    set_used(organization, "customers", 5)
    with pytest.raises(QuotaExceeded):
        form.save()
    assert (used(organization), Customer.objects.count()) == (5, 0)


def test_a_template_cannot_save_a_form(organization: Organization) -> None:
    form = CustomerForm({"name": "Sita"}, organization=organization)
    assert Template("{{ form.save }}").render(Context({"form": form})) == ""
    assert not Customer.objects.exists()


@pytest.mark.parametrize("given", [{}, {"organization": None}, {"organization": Customer()}], ids=str)
def test_a_form_without_its_organization_says_what_to_pass(given: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="needs the organization it counts for"):
        CustomerForm({"name": "Sita"}, **given)


def test_a_form_that_is_not_set_up_says_what_is_missing(organization: Organization) -> None:
    class Nameless(QuotaFormMixin, forms.Form):
        pass

    class Saveless(QuotaFormMixin, forms.Form):
        quota_feature = "customers"

    for form, match in ((Nameless, "quota_feature = "), (Saveless, "save")):
        with pytest.raises(ImproperlyConfigured, match=match):
            form(organization=organization)


@pytest.mark.parametrize(("feature", "twice"), [("projects", True), ("api_calls", False)])
def test_a_form_of_a_model_that_counts_itself_is_refused(
    organization: Organization, guarded: None, feature: str, twice: bool
) -> None:
    form = type("Form", (ProjectForm,), {"quota_feature": feature})
    data = {"organization": organization.pk, "code": "a"}
    if twice:
        with pytest.raises(ImproperlyConfigured, match="Project counts its own rows"):
            form(data, organization=organization)
    else:
        form(data, organization=organization).save()
        assert (used(organization, "projects"), used(organization, "api_calls")) == (1, 1)
