"""Guarded views, through the whole stack: decorator, mixin, middleware, sync and async."""

from __future__ import annotations

import asyncio
import threading
from inspect import iscoroutinefunction
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import quotas
from django_tenant_billing.testing import set_used, subscribe
from tests.members import member
from tests.testapp.models import Customer, Organization
from tests.testapp.views import ViewBroke, create_invoice, create_invoice_async

JSON = {"Accept": "application/json"}


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    return member(organization, user)


def used(organization: Organization, feature: str = "invoices") -> int:
    return quotas.check(organization, feature).used


# --- the decorator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/invoices/new/", "/plain/"])
def test_unsafe_methods_consume_and_safe_ones_only_check(
    browser: Client, organization: Organization, path: str
) -> None:
    assert browser.get(path).status_code == 200
    assert used(organization) == 0
    assert browser.post(path).status_code == 200
    assert used(organization) == 1


@pytest.mark.parametrize("path", ["/invoices/new/", "/plain/", "/invoices/new-async/", "/async/"])
def test_a_view_that_answers_400_gives_the_unit_back_and_shows_its_own_answer(
    browser: Client, organization: Organization, path: str
) -> None:
    assert browser.post(f"{path}?status=400").status_code == 400
    assert used(organization) == 0
    assert browser.post(f"{path}?status=201").status_code == 201
    assert used(organization) == 1


@pytest.mark.parametrize("path", ["/invoices/new/", "/plain/", "/invoices/new-async/"])
def test_a_view_that_raises_gives_the_unit_back_and_shows_its_own_error(
    browser: Client, organization: Organization, path: str
) -> None:
    with pytest.raises(ViewBroke):
        browser.post(f"{path}?raise")
    assert used(organization) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/invoices/new/", "/plain/"])
@pytest.mark.parametrize("how", ["break&status=400", "break&raise"])
def test_a_view_that_breaks_its_transaction_gives_the_unit_back(
    browser: Client, organization: Organization, path: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    if how == "break&raise":
        with pytest.raises(ViewBroke):
            browser.post(f"{path}?break&raise")
    else:
        assert browser.post(f"{path}?{how}").status_code == 400
    assert used(organization) == 0


def test_methods_and_keep_are_the_sites_to_choose(browser: Client, organization: Organization) -> None:
    assert browser.get("/api/").status_code == 200
    assert used(organization, "api_calls") == 1
    assert browser.get("/api/?status=304").status_code == 304
    assert browser.get("/api/?status=404").status_code == 404
    assert used(organization, "api_calls") == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PURGE"])
def test_naming_a_method_widens_what_is_counted_and_frees_nothing(
    browser: Client, organization: Organization, method: str
) -> None:
    assert browser.generic(method, "/api/").status_code == 200
    assert used(organization, "api_calls") == 1
    assert browser.options("/api/").status_code == 200
    assert used(organization, "api_calls") == 1


def test_a_keep_that_raises_gives_the_unit_back(browser: Client, organization: Organization) -> None:
    for path in ("/keep-breaks/", "/keep-breaks-async/"):
        with pytest.raises(ViewBroke):
            browser.post(path)
    assert used(organization) == 0


def test_an_async_class_based_view_is_guarded_by_the_decorator_too(browser: Client, organization: Organization) -> None:
    assert browser.post("/async-decorated/").status_code == 200
    assert browser.post("/async-decorated/?status=400").status_code == 400
    assert used(organization) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [0, 10])
def test_a_client_that_leaves_while_its_unit_is_counted_or_refused_leaves_no_trace(
    organization: Organization, user: User, settings: Any, before: int
) -> None:
    set_used(organization, "invoices", before)
    arrived, go_on = threading.Event(), threading.Event()

    def slow_resolver(request: Any) -> Organization:
        arrived.set()
        go_on.wait(10)
        return organization

    settings.TENANT_BILLING_ORGANIZATION_RESOLVER = slow_resolver

    async def story() -> None:
        request = RequestFactory().post("/invoices/new-async/", headers=JSON)
        request.user = user
        leaving = asyncio.ensure_future(create_invoice_async(request))
        await asyncio.to_thread(arrived.wait, 10)
        leaving.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await sync_to_async(connections.close_all)()

    asyncio.run(story())
    assert used(organization) == before


def test_a_feature_that_is_off_refuses_reading_too(browser: Client, organization: Organization) -> None:
    assert browser.get("/report/").status_code == 403
    subscribe(organization, "BASIC")
    assert browser.get("/report/").status_code == 200


def test_over_the_limit_a_client_gets_json_and_a_browser_a_page(browser: Client, organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    answer = browser.post("/invoices/new/", headers=JSON)
    assert answer.status_code == 403
    body = answer.json()
    assert body.pop("resets_at") == body.pop("retry_at") == quotas.check(organization, "invoices").facts()["resets_at"]
    assert body == {
        "error": "Reached invoice limit (10). Upgrade your plan.",
        "code": "limit_reached",
        "feature": "invoices",
        "used": 10,
        "limit": 10,
        "plan": "FREE",
        "upgrade_url": "/billing/plans/",
        "unlocks": ["BASIC", "PRO"],
    }
    page = browser.post("/invoices/new/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 403
    text = page.content.decode()
    assert "Reached invoice limit (10). Upgrade your plan." in text
    assert 'href="/billing/plans/"' in text
    assert "10 of 10" in text
    assert browser.get("/invoices/new/").status_code == 403


def test_a_bearer_token_or_a_json_body_asks_for_json_too(browser: Client, organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    by_token = browser.post("/invoices/new/", headers={"Authorization": "Bearer token", "Accept": "text/html"})
    by_body = browser.post("/invoices/new/", "{}", content_type="application/json", headers={"Accept": "text/html"})
    assert by_token.json() == by_body.json()


def test_a_safe_request_that_fails_has_nothing_to_give_back(browser: Client, organization: Organization) -> None:
    quotas.consume(organization, "invoices")
    assert browser.get("/invoices/new/?status=404").status_code == 404
    assert browser.get("/plain/").status_code == 200
    with pytest.raises(ViewBroke):
        browser.get("/invoices/new/?raise")
    assert used(organization) == 1


def test_refusals_come_in_the_ruled_order(organization: Organization, user: User) -> None:
    client = Client()
    assert client.post("/invoices/new/", headers=JSON).status_code == 401
    page = client.post("/invoices/new/")
    assert (page.status_code, page.headers["Location"]) == (302, "/accounts/login/?next=/invoices/new/")
    client.force_login(user)
    answer = client.post("/invoices/new/", headers=JSON)
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "Organization not found", "code": "organization_not_found"},
    )
    page = client.post("/invoices/new/")
    assert page.status_code == 403
    assert "Organization not found" in page.content.decode()


def test_a_guarded_view_costs_at_most_two_queries_more(browser: Client, organization: Organization) -> None:
    browser.post("/invoices/new/")
    with CaptureQueriesContext(connection) as queries:
        browser.post("/invoices/new/")
    billing = [query for query in queries if "tenant_billing" in query["sql"]]
    assert len(billing) == 1


def test_the_guard_keeps_the_name_and_the_kind_of_its_view() -> None:
    assert (create_invoice.__name__, iscoroutinefunction(create_invoice)) == ("create_invoice", False)
    assert (create_invoice_async.__name__, iscoroutinefunction(create_invoice_async)) == ("create_invoice_async", True)


@pytest.mark.django_db(transaction=True)
def test_async_views_are_guarded_under_asgi(organization: Organization, user: User) -> None:
    async def story() -> list[int]:
        client, headers = AsyncClient(), {"X-Organization": str(organization.pk)}
        await client.aforce_login(user)
        paths = ["/invoices/new-async/?status=200", "/invoices/new-async/?status=400", "/async/"]
        statuses = [(await client.post(path, headers=headers)).status_code for path in paths]
        await sync_to_async(connections.close_all)()
        return statuses

    assert asyncio.run(story()) == [200, 400, 200]
    assert used(organization) == 2


def test_an_async_view_over_its_limit_does_not_run(browser: Client, organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    assert browser.post("/invoices/new-async/?raise", headers=JSON).status_code == 403


# --- the mixin -------------------------------------------------------------------------------------------------------


def test_a_form_view_counts_one_for_a_valid_post_and_nothing_else(browser: Client, organization: Organization) -> None:
    assert browser.get("/customers/new/").status_code == 200
    assert browser.post("/customers/new/", {"name": ""}).status_code == 200
    assert (used(organization, "customers"), Customer.objects.count()) == (0, 0)
    assert browser.post("/customers/new/", {"name": "Sita"}).status_code == 302
    assert (used(organization, "customers"), Customer.objects.count()) == (1, 1)


def test_a_form_view_shows_what_it_made(browser: Client, organization: Organization) -> None:
    browser.post("/customers/new/", {"name": "Sita"})
    assert str(Customer.objects.get()) == "Sita"


def test_a_form_view_that_fails_takes_row_and_count_back(browser: Client, organization: Organization) -> None:
    with pytest.raises(ViewBroke):
        browser.post("/customers/new/?raise", {"name": "Sita"})
    answer = browser.post("/customers/new/?status=409", {"name": "Sita"})
    assert (answer.status_code, answer.content) == (409, b"the site's own answer")
    assert (used(organization, "customers"), Customer.objects.count()) == (0, 0)
    assert browser.post("/customers/new/?status=201", {"name": "Sita"}).status_code == 201
    assert (used(organization, "customers"), Customer.objects.count()) == (1, 1)


def test_a_form_valid_with_more_than_a_form_is_counted_too(browser: Client, organization: Organization) -> None:
    assert browser.post("/customers/new-with-formset/", {"name": "Sita"}).status_code == 302
    assert (used(organization, "customers"), Customer.objects.count()) == (1, 1)


def test_a_form_view_over_its_limit_shows_the_page_already_on_get(browser: Client, organization: Organization) -> None:
    set_used(organization, "customers", 5)
    page = browser.get("/customers/new/")
    assert page.status_code == 403
    assert "Reached customer limit (5)" in page.content.decode()
    assert browser.post("/customers/new/", {"name": "Sita"}, headers=JSON).json()["feature"] == "customers"
    assert not Customer.objects.exists()


def test_a_form_view_refuses_strangers(organization: Organization) -> None:
    assert Client().get("/customers/new/", headers=JSON).status_code == 401


def test_a_view_without_its_feature_says_what_is_missing(browser: Client) -> None:
    with pytest.raises(ImproperlyConfigured, match="quota_feature"):
        browser.get("/forgetful/")


# --- the middleware --------------------------------------------------------------------------------------------------


def test_the_middleware_turns_a_deep_refusal_into_the_contracts_403(
    browser: Client, organization: Organization, settings: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django_tenant_billing.middleware.QuotaExceededMiddleware"]
    browser.handler.load_middleware()
    assert browser.get("/deep/").status_code == 200
    set_used(organization, "invoices", 10)
    assert browser.get("/deep/", headers=JSON).json()["code"] == "limit_reached"
    assert "Reached invoice limit" in browser.get("/deep/").content.decode()
    with pytest.raises(ViewBroke):
        browser.get("/deep/?raise")


def test_without_the_middleware_a_deep_refusal_is_djangos_403(browser: Client, organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    assert browser.get("/deep/").status_code == 403
