from django.urls import path

from . import api, views

urlpatterns = [
    path("invoices/", views.invoice_list, name="invoice_list"),
    path("invoices/new/", views.create_invoice, name="invoice_create"),
    path("customers/", views.customer_list, name="customer_list"),
    path("customers/new/", views.CreateCustomer.as_view(), name="customer_create"),
    path("customers/<int:pk>/delete/", views.DeleteCustomer.as_view(), name="customer_delete"),
    path("report/", views.report, name="report"),
    path("api/invoices/", api.invoices, name="api_invoices"),
]
