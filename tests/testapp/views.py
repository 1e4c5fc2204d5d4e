"""Guarded views in the shapes a site writes them."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views import View
from django.views.generic import CreateView

from django_tenant_billing import quotas
from django_tenant_billing.decorators import quota_required
from django_tenant_billing.mixins import QuotaRequiredMixin

from .models import Customer


class ViewBroke(Exception):
    """The site's own error."""


@quota_required("invoices")
def create_invoice(request: HttpRequest) -> HttpResponse:
    return _work(request)


@quota_required("invoices")
async def create_invoice_async(request: HttpRequest) -> HttpResponse:
    if "raise" in request.GET:
        raise ViewBroke
    return JsonResponse({"ok": True}, status=int(request.GET.get("status", 200)))


@quota_required("api_calls", methods=["GET"], keep=lambda response: response.status_code != 304)
def read_api(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=int(request.GET.get("status", 200)))


@quota_required("reports")
def report(request: HttpRequest) -> HttpResponse:
    return HttpResponse("report")


def consume_deep_inside(request: HttpRequest) -> HttpResponse:
    if "raise" in request.GET:
        raise ViewBroke
    quotas.consume(request.organization, "invoices")  # type: ignore[attr-defined]
    return HttpResponse("ok")


class CreateCustomer(QuotaRequiredMixin, CreateView):
    quota_feature = "customers"
    model = Customer
    fields = ("name",)
    template_name = "testapp/form.html"
    success_url = "/done/"

    def form_valid(self, form: Any) -> HttpResponse:
        form.instance.organization = self.request.organization  # type: ignore[attr-defined]
        if "raise" in self.request.GET:
            form.save()
            raise ViewBroke
        if "status" in self.request.GET:
            form.save()
            return HttpResponse("the site's own answer", status=int(self.request.GET["status"]))
        response: HttpResponse = super().form_valid(form)
        return response


class PlainView(QuotaRequiredMixin, View):
    quota_feature = "invoices"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("looked")

    def post(self, request: HttpRequest) -> HttpResponse:
        return _work(request)


class AsyncView(QuotaRequiredMixin, View):
    quota_feature = "invoices"

    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=int(request.GET.get("status", 200)))


class CreateWithFormset(CreateCustomer):
    """The common shape of a parent form with a formset: form_valid takes both."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.object = None
        form = self.get_form()
        form.is_valid()
        return self.form_valid(form, formset=None)

    def form_valid(self, form: Any, formset: Any = "missing") -> HttpResponse:
        assert formset is None
        return super().form_valid(form)


@quota_required("invoices", keep=lambda response: broken())
def keep_breaks(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@quota_required("invoices", keep=lambda response: broken())
async def keep_breaks_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def broken() -> bool:
    raise ViewBroke


class BareAsyncView(View):
    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=int(request.GET.get("status", 200)))


class ForgetfulView(QuotaRequiredMixin, View):
    pass


def _work(request: HttpRequest) -> HttpResponse:
    if "raise" in request.GET:
        raise ViewBroke
    if "break" in request.GET:
        break_transaction()
    return HttpResponse(status=int(request.GET.get("status", 200)))


def break_transaction() -> None:
    """Swallow a database error, as hasty code does: under ATOMIC_REQUESTS the transaction is lost."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO testapp_invoice (organization_id, number) VALUES (NULL, NULL)")
    except IntegrityError:
        pass


urlpatterns = [
    path("invoices/new/", create_invoice),
    path("invoices/new-async/", create_invoice_async),
    path("api/", read_api),
    path("report/", report),
    path("deep/", consume_deep_inside),
    path("customers/new/", CreateCustomer.as_view()),
    path("plain/", PlainView.as_view()),
    path("async/", AsyncView.as_view()),
    path("customers/new-with-formset/", CreateWithFormset.as_view()),
    path("keep-breaks/", keep_breaks),
    path("keep-breaks-async/", keep_breaks_async),
    path("async-decorated/", quota_required("invoices")(BareAsyncView.as_view())),
    path("forgetful/", ForgetfulView.as_view()),
]
