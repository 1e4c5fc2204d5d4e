"""The pages. Every query starts from ``request.organization``; three lines guard three features."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, F, QuerySet, RestrictedError, Sum
from django.forms import ModelForm
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import CreateView, DeleteView
from django_tenant_billing import quotas
from django_tenant_billing.decorators import quota_required
from django_tenant_billing.mixins import QuotaRequiredMixin

from orgs.decorators import organization_required
from orgs.http import OrganizationRequest

from .forms import InvoiceForm
from .models import Customer


@organization_required
def invoice_list(request: OrganizationRequest) -> HttpResponse:
    invoices = request.organization.invoices.select_related("customer")[:100]
    return render(request, "invoicing/invoice_list.html", {"invoices": invoices})


@quota_required("invoices")
def create_invoice(request: OrganizationRequest) -> HttpResponse:
    """A GET checks that there is room, a POST counts one."""
    form = InvoiceForm(request.POST if request.method == "POST" else None, organization=request.organization)
    if form.is_valid():
        messages.success(request, _("%(invoice)s is saved.") % {"invoice": form.issue()})
        return redirect("invoice_list")
    # An answer of 400 gives the unit back: nothing was invoiced.
    return render(request, "invoicing/invoice_form.html", {"form": form}, status=400 if form.is_bound else 200)


@organization_required
def customer_list(request: OrganizationRequest) -> HttpResponse:
    customers = request.organization.customers.annotate(invoice_count=Count("invoices"))
    return render(request, "invoicing/customer_list.html", {"customers": customers})


class CreateCustomer(QuotaRequiredMixin, CreateView):
    """The row and its count are one transaction: both are kept, or neither."""

    quota_feature = "customers"
    request: OrganizationRequest
    model = Customer
    fields = ("name",)
    success_url = reverse_lazy("customer_list")

    def form_valid(self, form: ModelForm) -> HttpResponse:
        form.instance.organization = self.request.organization
        response: HttpResponse = super().form_valid(form)
        return response


@method_decorator(organization_required, name="dispatch")
class DeleteCustomer(DeleteView):
    """Gives the unit back, in the same transaction as the row, and once, however often the button is pressed."""

    request: OrganizationRequest
    success_url = reverse_lazy("customer_list")

    def get_queryset(self) -> QuerySet[Customer]:
        return self.request.organization.customers.all()

    def form_valid(self, form: object) -> HttpResponse:
        try:
            with transaction.atomic():
                deleted, _by_model = self.get_queryset().filter(pk=self.object.pk).delete()
                if deleted:
                    quotas.release(self.request.organization, "customers")
        except RestrictedError:
            messages.error(self.request, _("%(customer)s has invoices and stays.") % {"customer": self.object})
        return redirect(self.get_success_url())


@quota_required("reports")
def report(request: OrganizationRequest) -> HttpResponse:
    """A feature that is on or off: FREE does not have it."""
    rows = request.organization.customers.annotate(invoice_count=Count("invoices"), total=Sum("invoices__amount"))
    return render(request, "invoicing/report.html", {"rows": rows.order_by(F("total").desc(nulls_last=True))})
