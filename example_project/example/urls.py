"""Every address of the example site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import TemplateView

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("", include("invoicing.urls")),
    path("", include("orgs.urls")),
    path("billing/", include("django_tenant_billing.urls")),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", TemplateView.as_view(template_name="api.html"), name="api"),
    path("admin/", admin.site.urls),
]
