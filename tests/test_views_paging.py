"""Long lists, a page at a time, as each of them is read to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock
from django_tenant_billing.models import Feature, PaymentTransaction, Plan, UsageCounter
from tests.members import member
from tests.testapp.models import Organization

LISTS = ("plans", "payments", "usage/history")


@pytest.fixture
def client(organization: Organization, user: User) -> Client:
    return member(organization, user)


def attempt(organization: Organization, number: int, hours: int) -> PaymentTransaction:
    """An attempt to pay that failed so many hours from now."""
    return PaymentTransaction.objects.create(
        organization=organization, organization_key=str(organization.pk), organization_name=organization.name,
        reference=f"TB-{number:05}", purchase=str(number), gateway="khalti", plan_id="PRO", amount_minor=390_000,
        currency="NPR", interval="month", interval_count=1, status="created",
        created_at=clock.now() + timedelta(hours=hours),
    )  # fmt: skip


def counter(organization: Organization, feature: str, days: int, used: int = 1) -> UsageCounter:
    """The counter of a day so many days from now."""
    start = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return UsageCounter.objects.create(
        organization=organization, feature_id=feature, period_start=start, period_end=start + timedelta(days=1),
        used=used, updated_at=start,
    )  # fmt: skip


def fill(organization: Organization, number: int) -> None:
    """So many rows of each list, two of each moment."""
    for row in range(number):
        Plan.objects.create(code=f"MORE-{row:02}", name=f"More {row}", position=10 + row // 2)
        attempt(organization, row, -(row // 2))
        counter(organization, ("api_calls", "invoices")[row % 2], -(row // 2))


def name_of(row: dict[str, Any]) -> str:
    return str(row.get("code") or row.get("reference") or (row.get("feature"), row.get("period_start")))


def read(client: Client, path: str, limit: int = 2) -> list[list[str]]:
    """The pages of a list, from the first to the last."""
    pages, url = [], f"/billing/api/{path}/?limit={limit}"
    while url:
        body = client.get(url).json()
        assert set(body) == {"results", "next"}
        pages.append([name_of(row) for row in body["results"]])
        url = body["next"]
    return pages


@pytest.mark.breaks_the_log
@pytest.mark.parametrize("path", LISTS)
def test_a_list_read_by_pages_is_the_list_read_at_once(client: Client, organization: Organization, path: str) -> None:
    fill(organization, 7)
    (whole,) = read(client, path, 100)
    assert len(whole) == len(set(whole)) == (10 if path == "plans" else 7)
    for limit in (1, 2, 3, 6, 7, 99):
        pages = read(client, path, limit)
        assert [name for page in pages for name in page] == whole
        assert {len(page) for page in pages[:-1]} <= {limit}
        assert 1 <= len(pages[-1]) <= limit


@pytest.mark.breaks_the_log
@pytest.mark.parametrize("path", LISTS[1:])
def test_what_is_added_in_front_moves_nothing_of_what_follows(
    client: Client, organization: Organization, path: str
) -> None:
    fill(organization, 6)
    (whole,) = read(client, path, 100)
    first = client.get(f"/billing/api/{path}/?limit=3").json()
    attempt(organization, 99, 1)
    counter(organization, "invoices", 1)
    rest = client.get(first["next"]).json()
    assert [name_of(row) for row in first["results"] + rest["results"]] == whole
    assert rest["next"] is None
    assert len(read(client, path, 100)[0]) == 7


@pytest.mark.breaks_the_log
def test_a_page_goes_on_after_a_row_that_is_gone(client: Client, organization: Organization) -> None:
    fill(organization, 4)
    first = client.get("/billing/api/usage/history/?limit=1").json()
    UsageCounter.objects.filter(feature=first["results"][0]["feature"]).delete()
    assert len(client.get(first["next"]).json()["results"]) == 1


@pytest.mark.breaks_the_log
@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=", "limit=1.0", "limit=ten", "limit=1e1", "limit=%201", "limit=%00",
        "limit=%D9%A1", "limit=%C2%B2", "limit=+1", "limit=9" + "9" * 5000, "limit=0x1", "limit=null",
        "after=", "after=0", "after=%00", "after=TB-00001", "after=e30:x", "after=%FF%FE", "after=" + "9" * 5000,
        "limit=1&limit=0", "after=WzFd:abc",
    ],
)  # fmt: skip
def test_a_limit_or_an_after_that_nobody_gave_is_a_400(
    client: Client, organization: Organization, path: str, query: str
) -> None:
    answer = client.get(f"/billing/api/{path}/?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert f'"{query[:5]}'.rstrip("=") in answer.json()["error"]
    assert client.get(f"/billing/api/{path}/?limit=100&color=red&page=x").status_code == 200


@pytest.mark.breaks_the_log
def test_the_after_of_one_list_is_none_of_another(client: Client, organization: Organization) -> None:
    fill(organization, 3)
    given = {path: client.get(f"/billing/api/{path}/?limit=1").json()["next"].partition("?")[2] for path in LISTS}
    answers = {
        (path, other): client.get(f"/billing/api/{path}/?{given[other]}").status_code
        for path in LISTS
        for other in LISTS
    }
    assert answers == {(path, other): 200 if path == other else 400 for path in LISTS for other in LISTS}


@pytest.mark.breaks_the_log
def test_an_after_shows_another_organization_nothing(client: Client, organization: Organization, user: User) -> None:
    fill(organization, 3)
    url = client.get("/billing/api/payments/?limit=1").json()["next"]
    other = member(Organization.objects.create(name="Other"), user)
    assert other.get(url).json() == {"results": [], "next": None}


@pytest.mark.breaks_the_log
@pytest.mark.parametrize(("path", "number"), [("plans", 5), ("payments", 1), ("usage/history", 1)])
def test_a_list_costs_as_many_queries_with_many_rows_as_with_few(
    client: Client, organization: Organization, path: str, number: int
) -> None:
    counts = []
    for rows in (2, 30):
        Plan.objects.filter(code__startswith="MORE").delete()
        PaymentTransaction.objects.all().delete()
        UsageCounter.objects.all().delete()
        for slug in range(rows):
            Feature.objects.get_or_create(
                slug=f"f{slug}", defaults={"singular": "f", "plural": "fs", "kind": "happens"}
            )
        fill(organization, rows)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/billing/api/{path}/").status_code == 200
        counts.append(len([query for query in queries if "tenant_billing" in query["sql"]]))
    assert counts == [number, number]
