"""``{% load tenant_billing %}`` in a site's own templates, and what docs/template-tags.md says of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import HttpRequest
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import quotas
from django_tenant_billing.context_processors import billing
from django_tenant_billing.exceptions import UnknownFeature
from django_tenant_billing.models import PaymentTransaction, PlanLimit, PlanPrice, Subscription
from django_tenant_billing.shown import forget
from django_tenant_billing.testing import set_used, subscribe
from tests.members import request_of
from tests.quota_tools import at
from tests.sales import START, ZONE, on
from tests.testapp.models import Organization

DOCUMENT = (Path(__file__).parents[1] / "docs" / "template-tags.md").read_text()
SNIPPETS = re.findall(r"^```django\n(.*?)^```", DOCUMENT, re.M | re.S)


@pytest.fixture
def request_(organization: Organization, user: User) -> HttpRequest:
    """Of somebody who is logged in, in this organization."""
    return request_of(organization, user)


def rendered(request: HttpRequest | None, source: str, **context: Any) -> str:
    """On one line, with the tags loaded."""
    template = Template(f"{{% load tenant_billing %}}{source}")
    page = template.render(Context(context) if request is None else RequestContext(request, context))
    return " ".join(page.split())


# --- quota -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feature", "plan", "shown"),
    [
        ("invoices", "FREE", "4 of 10"),
        ("customers", "PRO", "0, no limit"),
        ("reports", "FREE", "not included"),
        ("reports", "BASIC", "included"),
        ("reports", "PRO", "included"),
    ],
)
def test_quota_alone_says_how_much_is_used(
    request_: HttpRequest, organization: Organization, feature: str, plan: str, shown: str
) -> None:
    subscribe(organization, plan)
    set_used(organization, "invoices", 4)
    assert rendered(request_, "{% quota feature %}", feature=feature) == shown


def test_quota_as_gives_the_decision_which_is_true_while_one_more_is_allowed(
    request_: HttpRequest, organization: Organization
) -> None:
    source = '{% quota "invoices" as q %}{{ q.used }} {{ q.limit }} {{ q.remaining }} {{ q.percent }} {{ q.plan }} '
    source += "{% if q %}yes{% else %}no{% endif %}"
    set_used(organization, "invoices", 9)
    assert rendered(request_, source) == "9 10 1 90 FREE yes"
    set_used(organization, "invoices", 10)
    forget(request_)
    assert rendered(request_, source) == "10 10 0 100 FREE no"
    assert rendered(request_, '{% quota "invoices" %}') == "10 of 10"


# --- usage_bar -------------------------------------------------------------------------------------------------------


def test_usage_bar_has_a_label_a_meter_the_numbers_and_when_it_starts_again(
    request_: HttpRequest, organization: Organization
) -> None:
    Subscription.objects.update(anchor=START, period_start=START)
    with at(on(1, 2)):
        quotas.consume(organization, "invoices", 4)
        quotas.reserve(organization, "invoices", 1)
        bar = rendered(request_, '{% usage_bar "invoices" %}')
    assert '<p class="tb-bar-label">Invoices</p>' in bar
    assert 'optimum="0" max="100" value="50" aria-label="invoices">4 of 10</meter>' in bar
    for told in ("<strong>4 of 10</strong>", "5 left", "1 reserved", "Starts again: Feb. 28, 2026"):
        assert told in bar
    assert "tb-bar-full" not in bar


def test_usage_bar_tells_the_day_by_the_organizations_own_calendar(
    request_: HttpRequest, organization: Organization, settings: Any
) -> None:
    Subscription.objects.update(anchor=START, period_start=START)
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: "America/Los_Angeles"
    with at(on(5, 2)):
        end = quotas.check(organization, "invoices").period_end
        assert end is not None
        assert end.astimezone(ZONE).day == 1
        assert "Starts again: Feb. 28, 2026" in rendered(request_, '{% usage_bar "invoices" %}')


@pytest.mark.parametrize(
    ("used", "limit", "told", "full"),
    [
        (0, None, "<strong>0, no limit</strong> <span>Starts again: ", False),
        (10, 10, "<strong>10 of 10</strong> <span>0 left</span>", True),
        (12, 10, "<strong>12 of 10</strong> <span>2 too many</span>", True),
        (0, 0, "<strong>not included</strong></p>", False),
    ],
)
def test_usage_bar_says_in_words_what_it_shows(
    request_: HttpRequest, organization: Organization, used: int, limit: int | None, told: str, full: bool
) -> None:
    set_used(organization, "invoices", used)
    PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=limit)
    bar = rendered(request_, '{% usage_bar "invoices" %}')
    assert told in bar
    assert ("tb-bar-full" in bar) is full
    assert ("<meter" in bar) is bool(limit)


def test_usage_bar_of_what_is_on_has_no_meter_and_no_numbers(request_: HttpRequest, organization: Organization) -> None:
    subscribe(organization, "BASIC")
    bar = rendered(request_, '{% usage_bar "reports" %}')
    assert bar.endswith('<p class="tb-bar-numbers"><strong>included</strong></p></div>')
    assert "<meter" not in bar


def test_usage_bar_needs_no_name_of_the_page_and_changes_none(request_: HttpRequest) -> None:
    page = rendered(request_, '{% usage_bar "customers" %}{{ decision }}{{ q }}', decision="mine", q="too")
    assert page.endswith("</div> minetoo")
    assert "customers" in page


# --- if_feature ------------------------------------------------------------------------------------------------------

IF = "{% if_feature feature %}yes{% else %}no{% endif_feature %}"


@pytest.mark.parametrize(("plan", "feature", "shown"), [("FREE", "reports", "no"), ("BASIC", "reports", "yes")])
def test_if_feature_asks_whether_the_plan_in_force_includes_it(
    request_: HttpRequest, organization: Organization, plan: str, feature: str, shown: str
) -> None:
    subscribe(organization, plan)
    assert rendered(request_, IF, feature=feature) == shown
    assert rendered(request_, "{% if_feature feature %}yes{% endif_feature %}", feature=feature) == (
        "yes" if shown == "yes" else ""
    )


def test_if_feature_asks_whether_one_more_is_allowed(request_: HttpRequest, organization: Organization) -> None:
    set_used(organization, "invoices", 9)
    assert rendered(request_, IF, feature="invoices") == "yes"
    set_used(organization, "invoices", 10)
    forget(request_)
    assert rendered(request_, IF, feature="invoices") == "no"


@pytest.mark.parametrize("tag", ["if_feature", 'if_feature "reports" "invoices"'])
def test_if_feature_that_does_not_name_one_feature_says_how(tag: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=r'must name one feature: {% if_feature "reports" %}'):
        Template(f"{{% load tenant_billing %}}{{% {tag} %}}{{% endif_feature %}}")


def test_the_parts_of_if_feature_may_hold_any_tag_and_are_found_by_django() -> None:
    source = (
        '{% if_feature "a" %}{% block one %}1{% endblock %}{% else %}{% block two %}2{% endblock %}{% endif_feature %}'
    )
    page = Template(f"{{% load tenant_billing %}}{source}")
    assert rendered(None, source) == "2"
    assert page.render(Context()) == "2"


# --- money -----------------------------------------------------------------------------------------------------------


def test_money_says_what_has_an_amount_and_what_is_paisa_of_a_currency(catalogue: None) -> None:
    payment = PaymentTransaction(amount_minor=123_456_750, currency="NPR")
    assert rendered(None, "{{ payment|money }}", payment=payment) == "NPR 12,34,567.50"
    assert rendered(None, "{{ price|money }}", price=PlanPrice.objects.filter(plan="PRO").first()) == "NPR 3,900"
    bill = SimpleNamespace(vat_minor=1300, currency="USD")
    assert rendered(None, "{{ bill.vat_minor|money:bill.currency }}", bill=bill) == "USD 13"
    assert rendered(None, '{{ nothing|money }}{{ none|money:"NPR" }}', none=None) == ""


def test_counts_are_grouped_as_rupees_are_and_what_is_no_count_shows_nothing() -> None:
    assert rendered(None, "{{ used|grouped }}", used=1_234_567) == "12,34,567"
    assert rendered(None, "{{ nothing|grouped }}{{ limit|grouped }}", limit=None) == ""


# --- where there is nothing to show ----------------------------------------------------------------------------------

ALL = '[{% quota "invoices" %}{% quota "invoices" as q %}{% if q %}q{% endif %}{% usage_bar "invoices" %}]' + IF


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(lambda organization, user: None, id="no request"),
        pytest.param(lambda organization, user: request_of(organization, AnonymousUser()), id="anonymous"),
        pytest.param(lambda organization, user: request_of(None, user), id="no organization"),
        pytest.param(lambda organization, user: RequestFactory().get("/"), id="no authentication"),
    ],
)
def test_without_somebody_of_an_organization_there_is_nothing_and_no_query(
    organization: Organization, user: User, where: Any
) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert rendered(where(organization, user), ALL, feature="invoices") == "[]no"
    assert len(queries) == 0
    assert rendered(request_of(organization, user), ALL, feature="invoices") != "[]no"


@pytest.mark.parametrize("tag", ["{% quota feature %}", "{% quota feature as q %}", "{% usage_bar feature %}", IF])
def test_a_feature_that_nobody_defined_is_a_bug(request_: HttpRequest, tag: str) -> None:
    with pytest.raises(UnknownFeature, match=r"There is no feature 'invoicse'\. Check the spelling"):
        rendered(request_, tag, feature="invoicse")


def test_the_request_is_found_where_only_the_context_names_it(request_: HttpRequest) -> None:
    page = Template('{% load tenant_billing %}{% quota "invoices" %}')
    assert page.render(Context({"request": request_})) == "0 of 10"


# --- one query -------------------------------------------------------------------------------------------------------


def test_all_tags_of_a_request_share_one_query_and_two_requests_share_nothing(
    request_: HttpRequest, organization: Organization, user: User
) -> None:
    with CaptureQueriesContext(connection) as queries:
        rendered(request_, ALL * 3 + '{% usage_bar "customers" %}', feature="reports")
        rendered(request_, ALL, feature="reports")
    assert len(queries) == 1
    set_used(organization, "invoices", 7)
    assert rendered(request_, '{% quota "invoices" %}') == "0 of 10"
    assert rendered(request_of(organization, user), '{% quota "invoices" %}') == "7 of 10"


def test_a_page_that_counts_and_then_shows_shows_what_it_counted(
    request_: HttpRequest, organization: Organization
) -> None:
    page = Template('{% load tenant_billing %}{% quota "invoices" %}')
    context = RequestContext(request_)
    quotas.consume(organization, "invoices")
    assert page.render(context) == "1 of 10"


def test_a_decision_reads_nothing_of_what_is_shown(request_: HttpRequest, organization: Organization) -> None:
    assert rendered(request_, IF, feature="invoices") == "yes"
    set_used(organization, "invoices", 10)
    assert rendered(request_, IF, feature="invoices") == "yes"
    assert not quotas.check(organization, "invoices")


# --- the document ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("snippet", "member", "nobody"),
    [
        (snippet, *shown)
        for snippet, shown in zip(
            SNIPPETS,
            [
                ("<p>Invoices this month: 900 of 1,000</p>", "<p>Invoices this month: </p>"),
                ('<a href="/invoices/new/">New invoice</a>', "<p></p>"),
                ('<a href="/reports/">Reports</a>', "<p>Reports are part of the Basic plan.</p>"),
                ("<strong>900 of 1,000</strong>", '<link rel="stylesheet" href="/static/tenant_billing/billing.css">'),
                ("NPR 3,900, of it VAT: NPR 448.67", "NPR 3,900, of it VAT: NPR 448.67"),
                ("900", ""),
                ('Invoices: 900 of 1,000. <a href="/billing/plans/">', ""),
            ],
            strict=True,
        )
    ],
    ids=range(len(SNIPPETS)),
)
def test_the_snippets_of_the_document_render(
    request_: HttpRequest, organization: Organization, snippet: str, member: str, nobody: str
) -> None:
    subscribe(organization, "BASIC")
    set_used(organization, "invoices", 900)
    payment = PaymentTransaction(amount_minor=390_000, currency="NPR")
    assert member in rendered(request_, snippet, payment=payment, vat_minor=44_867, **billing(request_))
    stranger = request_of(organization, AnonymousUser())
    assert rendered(stranger, snippet, payment=payment, vat_minor=44_867, **billing(stranger)) == nobody
