"""Include these: ``path("billing/", include("django_tenant_billing.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import api, callbacks, pages

app_name = "tenant_billing"

page_urlpatterns = [
    path("", pages.overview, name="overview"),
    path("plans/", pages.plans, name="plans"),
    path("payments/", pages.payment_list, name="payments"),
    path("payments/<str:reference>/<str:token>/", pages.result, name="result"),
]

api_urlpatterns = [
    path("usage/", api.usage, name="usage"),
    path("<slug:gateway>/init/", api.init, name="gateway_init"),
    path("<slug:gateway>/verify/", api.verify, name="gateway_verify"),
]

callback_urlpatterns = [
    path("<slug:gateway>/callback/", callbacks.callback, name="gateway_callback"),
    path("<slug:gateway>/callback/<str:reference>/", callbacks.callback, name="gateway_callback"),
]

urlpatterns = [*page_urlpatterns, *api_urlpatterns, *callback_urlpatterns]
