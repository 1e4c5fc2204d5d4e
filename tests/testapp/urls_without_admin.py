"""A site that has no admin."""

from __future__ import annotations

from django.urls import include, path

from . import views

urlpatterns = [path("billing/", include("django_tenant_billing.urls")), *views.urlpatterns]
