"""``billing`` in every template of a site: right when it is asked, free when it is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock, quotas
from django_tenant_billing.context_processors import billing
from django_tenant_billing.models import Feature, Plan, PlanLimit, Subscription
from django_tenant_billing.shown import forget
from django_tenant_billing.testing import seed_catalogue, set_used, subscribe
from tests.members import member, request_of
from tests.testapp.models import Organization

EVERYTHING = (
    "{{ billing.plan }}|{{ billing.state }}|{{ billing.usage.invoices.used }}|"
    "{% for near in billing.near_limit %}{{ near.feature }} {% endfor %}|{{ billing.upgrade_url }}|"
    "{{ billing.organization }}"
)


@pytest.fixture
def request_(organization: Organization, user: User) -> HttpRequest:
    """Of somebody who is logged in, in this organization."""
    return request_of(organization, user)


def rendered(request: HttpRequest, source: str = EVERYTHING) -> str:
    return Template(source).render(Context(billing(request)))


def test_a_template_finds_plan_state_usage_what_is_near_its_limit_and_where_plans_are_sold(
    request_: HttpRequest, organization: Organization
) -> None:
    set_used(organization, "invoices", 8)
    set_used(organization, "customers", 3)
    assert rendered(request_) == "FREE|active|8|invoices |/billing/plans/|Himal Traders"


def test_the_plan_is_the_one_in_force_and_the_state_that_of_the_subscription(
    request_: HttpRequest, organization: Organization
) -> None:
    subscribe(organization, "PRO", until=clock.now() + timedelta(days=3))
    assert rendered(request_, "{{ billing.plan }} {{ billing.state }}") == "PRO active"
    forget(request_)
    with clock.moved(timedelta(days=4)):
        assert rendered(request_, "{{ billing.plan }} {{ billing.state }}") == "FREE expired"


@pytest.mark.parametrize(
    ("used", "limit", "near"),
    [(7, 10, False), (8, 10, True), (10, 10, True), (12, 10, True), (9, None, False), (1, 0, False)],
)
def test_near_is_from_eighty_percent_on(
    request_: HttpRequest, organization: Organization, used: int, limit: int | None, near: bool
) -> None:
    set_used(organization, "invoices", used)
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=limit)
    assert [decision.feature for decision in billing(request_)["billing"].near_limit] == ["invoices"] * near


def test_what_is_on_is_never_near_its_limit(request_: HttpRequest, organization: Organization) -> None:
    subscribe(organization, "BASIC")
    shown = billing(request_)["billing"]
    assert shown.usage["reports"].allowed
    assert shown.near_limit == []


def test_a_page_that_does_not_use_it_pays_nothing_and_one_that_does_pays_once(request_: HttpRequest) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert rendered(request_, "nothing of billing") == "nothing of billing"
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        rendered(request_, EVERYTHING + EVERYTHING)
    assert len(queries) == 2, "one for all features, one for the subscription"


def test_it_is_asked_when_it_is_rendered_and_kept_for_this_request_until_it_is_told_to_forget(
    request_: HttpRequest, organization: Organization
) -> None:
    forget(request_)
    before = billing(request_)
    quotas.consume(organization, "invoices")
    source = Template("{{ billing.usage.invoices.used }}")
    assert source.render(Context(before)) == "1"
    quotas.consume(organization, "invoices")
    assert source.render(Context(before)) == source.render(Context(billing(request_))) == "1"
    forget(request_)
    assert source.render(Context(billing(request_))) == "2"


@pytest.mark.parametrize("user", [AnonymousUser(), None], ids=["anonymous", "no user"])
def test_without_a_user_it_is_empty_and_asks_nothing(organization: Organization, user: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert rendered(request_of(organization, user)) == "||||/billing/plans/|None"
    assert len(queries) == 0


def test_without_an_organization_it_is_empty(user: User) -> None:
    assert rendered(request_of(None, user)) == "||||/billing/plans/|None"
    assert billing(request_of(None, user))["billing"].zone is None


def test_a_request_that_never_met_an_authentication_is_one_of_nobody(organization: Organization) -> None:
    assert rendered(RequestFactory().get("/")) == "||||/billing/plans/|None"


def test_a_site_that_includes_no_urls_of_ours_has_no_address_for_plans(request_: HttpRequest, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.testapp.urls_without_billing"
    assert billing(request_)["billing"].upgrade_url == ""


def test_a_catalogue_that_is_missing_is_told_in_the_log_and_breaks_no_page(
    request_: HttpRequest, caplog: pytest.LogCaptureFixture
) -> None:
    Subscription.objects.all().delete()
    Feature.objects.all().delete()
    Plan.objects.all().delete()
    assert rendered(request_) == "||||/billing/plans/|Himal Traders"
    assert caplog.messages == ["There are no plans and features yet. Run: manage.py init_plan_limits"] * 2
    seed_catalogue()
    assert rendered(request_of(request_.organization, request_.user)).startswith("FREE|active|0|")  # type: ignore[attr-defined]


def test_our_own_pages_work_with_it(organization: Organization, user: User, settings: Any) -> None:
    (engine,) = settings.TEMPLATES
    options = engine["OPTIONS"]
    processors = [*options["context_processors"], "django_tenant_billing.context_processors.billing"]
    settings.TEMPLATES = [{**engine, "OPTIONS": {**options, "context_processors": processors}}]
    for client in (Client(), member(organization, user)):
        assert client.get("/billing/", follow=True).status_code == 200
