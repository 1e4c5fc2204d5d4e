"""Include these: ``path("billing/", include("django_tenant_billing.urls"))``."""

from __future__ import annotations

from django.urls import path, re_path

from .views import api, callbacks, pages

app_name = "tenant_billing"

# Ours, whatever its case: what else is typed or forged there is no address at all.
REFERENCE = r"(?P<reference>[A-Za-z0-9-]{1,20})"

page_urlpatterns = [
    path("", pages.overview, name="overview"),
    path("plans/", pages.plans, name="plans"),
    path("payments/", pages.payment_list, name="payments"),
    re_path(rf"^payments/{REFERENCE}/(?P<token>[0-9a-f]{{64}})/$", pages.result, name="result"),
]

api_urlpatterns = [
    path("usage/", api.usage, name="usage"),
    path("<slug:gateway>/init/", api.init, name="gateway_init"),
    path("<slug:gateway>/verify/", api.verify, name="gateway_verify"),
]

callback_urlpatterns = [
    path("<slug:gateway>/callback/", callbacks.callback, name="gateway_callback"),
    re_path(rf"^(?P<gateway>[-\w]+)/callback/{REFERENCE}/$", callbacks.callback, name="gateway_callback"),
]

urlpatterns = [*page_urlpatterns, *api_urlpatterns, *callback_urlpatterns]
