"""The test site: our URLs under the guide's prefix, a login page, the admin, and guarded views."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from . import views

urlpatterns = [
    path("billing/", include("django_tenant_billing.urls")),
    path("admin/", admin.site.urls),
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    *views.urlpatterns,
]
