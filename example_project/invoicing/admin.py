"""Rows in the admin. What is added or deleted here is not counted: ``recount_usage`` sets that right."""

from django.contrib import admin

from .models import Customer, Invoice


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["name", "organization"]
    list_select_related = ["organization"]
    search_fields = ["name"]


@admin.register(Invoice)
class InvoiceAdmin(admin.ModelAdmin):
    list_display = ["__str__", "organization", "customer", "amount", "created_at"]
    list_select_related = ["organization", "customer"]
