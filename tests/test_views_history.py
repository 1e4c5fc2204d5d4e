"""Usage by period: the page for people, and the file for their spreadsheets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.utils import translation

from django_tenant_billing import quotas, usage_history
from django_tenant_billing.models import Feature, Plan, PlanLimit, Subscription
from django_tenant_billing.periods import Reset
from tests.members import member
from tests.quota_tools import at, statements
from tests.sales import START, on, pay
from tests.test_views_pages import text
from tests.testapp.models import Customer, Organization

PATHS = ("/billing/history/", "/billing/history.csv")


@pytest.fixture
def browser(organization: Organization, user: User) -> Client:
    Subscription.objects.update(anchor=START, period_start=START)
    return member(organization, user, Accept="text/html")


@pytest.fixture
def used(browser: Client, organization: Organization) -> Iterator[None]:
    """3, 10 and 4 invoices from the end of January on, none in the fourth month, 2 in the fifth, which it is."""
    for amount, moment in ((3, on(1, 2)), (10, on(1, 3)), (4, on(5, 4)), (2, on(1, 6))):
        with at(moment):
            quotas.consume(organization, "invoices", amount)
    with at(on(2, 6)):
        yield


def section(page: str, heading: str) -> str:
    """What stands under this heading of the page."""
    (found,) = re.findall(rf"<section[^>]*>\s*<h2[^>]*>{heading}</h2>.*?</section>", page)
    return str(found)


def told(part: str) -> list[tuple[str, str]]:
    """The table's rows."""
    return re.findall(r'<tr><th scope="row">(.*?)</th><td[^>]*>(.*?)</td></tr>', part)


def rows_of(answer: Any) -> list[list[str]]:
    """The lines of a download as a spreadsheet reads them."""
    return list(csv.reader(StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def test_the_page_tells_the_periods_of_a_feature_newest_first(used: None, browser: Client) -> None:
    part = section(text(browser.get(PATHS[0])), "Invoices")
    assert told(part) == [
        ("May 31, 2026 to June 30, 2026, so far", "2 of 10"),
        ("March 31, 2026 to April 30, 2026", "4"),
        ("Feb. 28, 2026 to March 31, 2026", "10"),
        ("Jan. 31, 2026 to Feb. 28, 2026", "3"),
    ]
    assert '<caption class="tb-hidden">Usage by period: invoices</caption>' in part


def test_the_chart_has_the_same_numbers_oldest_first_and_says_the_highest_and_the_lowest(
    used: None, browser: Client
) -> None:
    part = section(text(browser.get(PATHS[0])), "Invoices")
    assert re.findall(r"<g><title>(.*?)</title><rect [^>]* height=\"(\d+)\"></rect></g>", part) == [
        ("Jan. 31, 2026 to Feb. 28, 2026: 3", "48"),
        ("Feb. 28, 2026 to March 31, 2026: 10", "160"),
        ("March 31, 2026 to April 30, 2026: 4", "64"),
        ("May 31, 2026 to June 30, 2026, so far: 2", "32"),
    ]
    assert (
        '<desc id="tb-chart-1-text">Highest: 10 (Feb. 28, 2026 to March 31, 2026). '
        "Lowest: 2 (May 31, 2026 to June 30, 2026, so far).</desc>"
    ) in part
    assert 'role="img" aria-labelledby="tb-chart-1-title tb-chart-1-text"' in part
    assert part.count("tb-chart-present") == 1


def test_one_period_and_equal_ones_are_told_as_such(browser: Client, organization: Organization) -> None:
    with at(on(1, 2)):
        quotas.consume(organization, "invoices", 5)
        part = section(text(browser.get(PATHS[0])), "Invoices")
        assert ">5 in each period.</desc>" in part
        assert "<span>Jan. 31, 2026</span><span>Feb. 28, 2026</span>" in part
    with at(on(1, 3)):
        quotas.consume(organization, "invoices", 5)
        assert ">5 in each period.</desc>" in section(text(browser.get(PATHS[0])), "Invoices")


def test_a_feature_of_which_nothing_was_used_has_neither_chart_nor_table(browser: Client) -> None:
    part = section(text(browser.get(PATHS[0])), "Invoices")
    assert "Nothing has been counted yet." in part
    assert "<svg" not in part
    assert "<table" not in part


def test_what_exists_is_told_as_it_is_now_and_what_is_on_or_off_not_at_all(
    browser: Client, organization: Organization
) -> None:
    quotas.consume(organization, "customers", 2)
    page = text(browser.get(PATHS[0]))
    assert "<strong>2 of 5</strong>" in section(page, "What there is now")
    assert "eports" not in page


def test_a_site_where_nothing_exists_has_no_part_for_it(browser: Client) -> None:
    Feature.objects.update(kind="happens")
    assert "What there is now" not in text(browser.get(PATHS[0]))


def test_the_page_is_bounded_and_says_so_and_the_file_is_not(browser: Client, organization: Organization) -> None:
    Feature.objects.filter(slug="invoices").update(reset=Reset.DAY.value)
    for day in range(1, 21):
        with at(on(day, 2)):
            quotas.consume(organization, "invoices")
    with at(on(20, 2)):
        page, file = text(browser.get(PATHS[0])), rows_of(browser.get(PATHS[1]))
    assert "What was used in the last 12 periods." in page
    rows = told(section(page, "Invoices"))
    assert (len(rows), rows[0], rows[-1]) == (12, ("Feb. 20, 2026, so far", "1 of 10"), ("Feb. 9, 2026", "1"))
    assert len([row for row in file if row[0] == "invoices"]) == 20


def test_days_are_those_of_the_organizations_own_calendar(
    browser: Client, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: "America/Los_Angeles"
    Feature.objects.filter(slug="invoices").update(reset=Reset.MONTH.value)
    with at(on(15, 3)):
        quotas.consume(organization, "invoices", 6)
        page, file = text(browser.get(PATHS[0])), rows_of(browser.get(PATHS[1]))
    assert told(section(page, "Invoices"))[0][0] == "March 1, 2026 to March 31, 2026, so far"
    assert "time zone America/Los_Angeles" in page
    # Clocks go forward on the 8th.
    assert ["invoices", "invoices", "2026-03-01T00:00:00-08:00", "2026-04-01T00:00:00-07:00", "6"] in file


def test_the_file_has_every_row_with_aware_moments_and_opens_in_excel(
    used: None, browser: Client, organization: Organization
) -> None:
    quotas.consume(organization, "customers", 2)
    answer = browser.get(PATHS[1])
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-history.csv"'
    assert "no-store" in answer.headers["Cache-Control"]
    whole = answer.getvalue()
    assert whole.startswith(b"\xef\xbb\xbffeature,label,period_start,period_end,used\r\n")
    assert rows_of(browser.get(PATHS[1]))[1:] == [
        ["customers", "customers", "", "", "2"],
        ["invoices", "invoices", "2026-01-31T11:45:00+05:45", "2026-02-28T11:45:00+05:45", "3"],
        ["invoices", "invoices", "2026-02-28T11:45:00+05:45", "2026-03-31T11:45:00+05:45", "10"],
        ["invoices", "invoices", "2026-03-31T11:45:00+05:45", "2026-04-30T11:45:00+05:45", "4"],
        ["invoices", "invoices", "2026-05-31T11:45:00+05:45", "2026-06-30T11:45:00+05:45", "2"],
    ]


def test_what_the_site_counts_is_in_the_file_though_no_page_was_looked_at(
    browser: Client, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_CATALOGUE = {
        "features": {
            "customers": {
                "singular": "customer", "plural": "customers", "kind": "exists",
                "count": "tests.testapp.models.count_customers",
            }
        },
        "plans": {"FREE": {"name": "Free", "price": 0, "limits": {"customers": 5}}},
    }  # fmt: skip
    Customer.objects.create(organization=organization, name="Asha")
    assert ["customers", "customers", "", "", "1"] in rows_of(browser.get(PATHS[1]))


def test_a4_a_label_that_is_a_formula_is_text_in_the_file(
    used: None, browser: Client, organization: Organization
) -> None:
    Feature.objects.filter(slug="invoices").update(plural='=HYPERLINK("//evil.example")')
    assert {row[1] for row in rows_of(browser.get(PATHS[1]))[1:]} == {'\'=HYPERLINK("//evil.example")'}


def test_the_file_is_sent_page_by_page_while_it_is_read(
    used: None, browser: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_history, "PAGE", 2)
    answer: Any = browser.get(PATHS[1])
    assert isinstance(answer, StreamingHttpResponse)
    parts = iter(answer)
    assert next(parts).endswith(b"used\r\n")
    with statements() as asked:
        first = next(parts)
    assert (len(asked), first.count(b"\r\n")) == (1, 2)
    with statements() as asked:
        rest = list(parts)
    assert (len(asked), b"".join(rest).count(b"\r\n")) == (2, 2)


def test_under_asgi_it_is_sent_page_by_page_too(
    used: None, organization: Organization, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_history, "PAGE", 2)

    async def download() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        answer: Any = await client.get(PATHS[1], headers={"X-Organization": str(organization.pk)})
        return [part async for part in answer]

    assert [part.count(b"\r\n") for part in async_to_sync(download)()] == [1, 2, 2]


def test_both_cost_a_constant_number_of_queries(used: None, browser: Client, organization: Organization) -> None:
    def cost() -> list[int]:
        found = []
        for path in PATHS:
            with statements() as asked:
                answer: Any = browser.get(path)
                assert b"nvoices" in (answer.getvalue() if answer.streaming else answer.content)
            found.append(len([query for query in asked if "tenant_billing" in query]))
        return found

    before = cost()
    assert before == [2, 2]
    for number in range(5):
        Feature.objects.create(slug=f"f{number}", singular="thing", plural=f"things {number}", kind="happens")
        PlanLimit.objects.create(plan_id="FREE", feature_id=f"f{number}", limit_value=None)
        quotas.consume(organization, f"f{number}", 7)
        quotas.consume(Organization.objects.create(name=f"Other {number}"), "invoices")
    assert cost() == before


@pytest.mark.parametrize("path", PATHS)
def test_both_refuse_in_the_ruled_order(path: str, organization: Organization, user: User, settings: Any) -> None:
    client = Client()
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next={path}")
    client.force_login(user)
    answer = client.get(path)
    assert (answer.status_code, "Organization not found" in text(answer)) == (403, True)
    asked: list[str] = []
    settings.TENANT_BILLING_AUTHORIZE = lambda request, organization, action: asked.append(action)
    answer = member(organization, user).get(path)
    assert (answer.status_code, asked) == (403, ["view"])
    assert "You do not have permission to do this." in text(answer)


@pytest.mark.parametrize("path", PATHS)
def test_both_are_read_only_and_take_a_head(browser: Client, path: str) -> None:
    assert browser.post(path).status_code == 405
    assert browser.head(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_without_a_catalogue_both_say_that_billing_is_not_set_up(browser: Client, path: str) -> None:
    Subscription.objects.all().delete()
    Feature.objects.all().delete()
    Plan.objects.all().delete()
    answer = browser.get(path)
    assert answer.status_code == 503
    assert "Billing is not set up on this site yet." in text(answer)


def test_numbers_with_separators_are_for_people_and_never_in_an_attribute(
    browser: Client, organization: Organization, settings: Any
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    Feature.objects.filter(slug="invoices").update(reset=Reset.DAY.value)
    PlanLimit.objects.update(limit_value=1_000_000)
    for day in range(1, 13):
        with at(on(day, 2)):
            quotas.consume(organization, "invoices", 10_000 * day)
    quotas.consume(organization, "customers", 1234)
    with at(on(12, 2)):
        page = text(browser.get(PATHS[0]))
    assert "<strong>1,234 of 10,00,000</strong>" in page
    assert ("Feb. 11, 2026", "1,10,000") in told(section(page, "Invoices"))
    assert 'viewBox="0 0 624 160"' in page
    assert re.findall(r'(?:width|height|x|y|max|value)="[^"]*,', page) == []


def test_a_reader_of_another_language_gets_its_dates(used: None, browser: Client) -> None:
    with translation.override("ne"):
        assert "फेब्रुअरी" in text(browser.get(PATHS[0], headers={"Accept-Language": "ne"}))


def test_the_history_is_one_click_away(browser: Client) -> None:
    assert '<a href="/billing/history/">History</a>' in text(browser.get("/billing/plans/"))
    assert '<a class="tb-button tb-second" href="/billing/history.csv">' in text(browser.get(PATHS[0]))


def test_a_period_that_a_purchase_cut_short_ends_on_the_day_of_the_purchase(
    browser: Client, organization: Organization
) -> None:
    with at(on(1, 2)):
        quotas.consume(organization, "invoices", 3)
    pay(organization, "PRO", on(10, 2))
    with at(on(11, 2)):
        quotas.consume(organization, "invoices", 8)
        assert told(section(text(browser.get(PATHS[0])), "Invoices")) == [
            ("Feb. 10, 2026 to March 10, 2026, so far", "8 of 3,000"),
            ("Jan. 31, 2026 to Feb. 10, 2026", "3"),
        ]


def test_the_page_names_nothing_that_is_not_there(
    used: None, browser: Client, organization: Organization, settings: Any
) -> None:
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "OPTIONS": {**engine["OPTIONS"], "string_if_invalid": "MISSING %s"}}]
    page = text(browser.get(PATHS[0]))
    assert "Highest: 10" in page
    assert "tb-bar-meter" in page
    assert "MISSING" not in page
