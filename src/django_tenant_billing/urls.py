"""Include these: ``path("billing/", include("django_tenant_billing.urls"))``."""

from __future__ import annotations

from django.urls import path, re_path

from .views import (
    api,
    callbacks,
    catalogue_api,
    changing,
    history,
    history_api,
    openapi,
    pages,
    payments_api,
    plans,
    receipts,
    receipts_api,
    results,
    subscription_api,
)
from .views.acts import ACTS

app_name = "tenant_billing"

# Ours, whatever its case: what else is typed or forged there is no address at all.
REFERENCE = r"(?P<reference>[A-Za-z0-9-]{1,20})"
ACT = f"(?P<act>{'|'.join(ACTS)})"

page_urlpatterns = [
    path("", pages.overview, name="overview"),
    path("plans/", plans.plans, name="plans"),
    path("checkout/", changing.checkout, name="checkout"),
    path("cancel/", pages.cancel, name="cancel"),
    re_path(rf"^change/{ACT}/$", changing.change, name="change"),
    path("history/", history.history, name="history"),
    path("history.csv", history.history_csv, name="history_csv"),
    path("payments/", pages.payment_list, name="payments"),
    re_path(rf"^payments/{REFERENCE}/receipt/$", receipts.receipt, name="receipt"),
    re_path(rf"^payments/{REFERENCE}/(?P<token>[0-9a-f]{{64}})/$", results.result, name="result"),
]

# What these take from the path is any text: the views say in JSON that there is no such thing.
api_urlpatterns = [
    path("usage/", api.usage, name="usage"),
    path("subscription/", subscription_api.subscription, name="subscription"),
    path("subscription/preview/", subscription_api.quotation, name="subscription_preview"),
    path("subscription/<str:act>/", subscription_api.act, name="subscription_act"),
    path("api/plans/", catalogue_api.plans, name="api_plans"),
    path("api/usage/history/", history_api.history, name="api_usage_history"),
    path("api/payments/", payments_api.payment_list, name="api_payments"),
    path("api/payments/<str:reference>/", payments_api.payment, name="api_payment"),
    path("api/receipts/", receipts_api.receipt_list, name="api_receipts"),
    path("api/receipts/<str:number>/", receipts_api.receipt, name="api_receipt"),
    path("api/openapi.json", openapi.openapi, name="api_openapi"),
    path("<str:gateway>/init/", api.init, name="gateway_init"),
    path("<str:gateway>/verify/", api.verify, name="gateway_verify"),
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
