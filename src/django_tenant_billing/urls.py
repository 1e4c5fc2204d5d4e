"""Include these: ``path("billing/", include("django_tenant_billing.urls"))``."""

from __future__ import annotations

from django.urls import path, re_path

from .views import api, callbacks, changing, history, pages, receipts, subscription_api
from .views.acts import ACTS

app_name = "tenant_billing"

# Ours, whatever its case: what else is typed or forged there is no address at all.
REFERENCE = r"(?P<reference>[A-Za-z0-9-]{1,20})"
ACT = f"(?P<act>{'|'.join(ACTS)})"

page_urlpatterns = [
    path("", pages.overview, name="overview"),
    path("plans/", pages.plans, name="plans"),
    path("checkout/", changing.checkout, name="checkout"),
    re_path(rf"^change/{ACT}/$", changing.change, name="change"),
    path("history/", history.history, name="history"),
    path("history.csv", history.history_csv, name="history_csv"),
    path("payments/", pages.payment_list, name="payments"),
    re_path(rf"^payments/{REFERENCE}/receipt/$", receipts.receipt, name="receipt"),
    re_path(rf"^payments/{REFERENCE}/(?P<token>[0-9a-f]{{64}})/$", pages.result, name="result"),
]

api_urlpatterns = [
    path("usage/", api.usage, name="usage"),
    path("subscription/", subscription_api.subscription, name="subscription"),
    path("subscription/preview/", subscription_api.quotation, name="subscription_preview"),
    re_path(rf"^subscription/{ACT}/$", subscription_api.act, name="subscription_act"),
    path("<slug:gateway>/init/", api.init, name="gateway_init"),
    path("<slug:gateway>/verify/", api.verify, name="gateway_verify"),
]

RETURNS = {"callback": callbacks.callback, "success": callbacks.callback, "failure": callbacks.failure}

callback_urlpatterns = [
    url
    for name, view in RETURNS.items()
    for url in (
        path(f"<slug:gateway>/{name}/", view, name=f"gateway_{name}"),
        re_path(rf"^(?P<gateway>[-\w]+)/{name}/{REFERENCE}/$", view, name=f"gateway_{name}"),
    )
]

urlpatterns = [*page_urlpatterns, *api_urlpatterns, *callback_urlpatterns]
