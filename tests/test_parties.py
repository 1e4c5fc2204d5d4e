"""Seller and buyer, as the site's settings tell them: what is malformed is nobody, and nothing is stopped by it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError
from django.utils.translation import gettext_lazy

from django_tenant_billing.parties import Party, buyer_of, party_of, seller
from tests.testapp.models import Organization

WHOLE = {"name": "Himal Traders Pvt. Ltd.", "address": "New Road\nKathmandu", "pan": "301234567"}


@pytest.mark.parametrize(
    ("given", "party"),
    [
        (WHOLE, Party(**WHOLE)),
        ({}, Party()),
        ({"name": None, "pan": " 301234567 "}, Party(pan="301234567")),
        ({"name": gettext_lazy("seller")}, Party(name="seller")),
        ({"name": "a\x00b\ud800"}, Party(name="ab?")),
        ({"name": "n" * 300, "address": "a" * 600, "pan": "1" * 30}, Party("n" * 200, "a" * 500, "1" * 20)),
        ({"names": "Himal"}, None),
        ({"pan": 301234567}, None),
        ("Himal Traders", None),
        (None, None),
        ([], None),
    ],
)
def test_a_party_is_a_mapping_of_three_names_to_texts(given: Any, party: Party | None) -> None:
    assert party_of(given) == party


def test_a_malformed_seller_is_nobody(settings: Any) -> None:
    assert seller() == Party()
    settings.TENANT_BILLING_SELLER = WHOLE
    assert seller() == Party(**WHOLE)
    settings.TENANT_BILLING_SELLER = "Himal Traders"
    assert seller() == Party()


def named_after(organization: Organization) -> dict[str, str]:
    return {"name": f"{organization} Pvt. Ltd.", "address": "", "pan": "301234567"}


def test_the_buyer_is_what_the_site_says_of_the_organization(settings: Any) -> None:
    organization = Organization(pk=7, name="Himal Traders")
    assert buyer_of(organization) == {}
    for named in (named_after, f"{__name__}.named_after"):
        settings.TENANT_BILLING_BUYER = named
        assert buyer_of(organization) == {"name": "Himal Traders Pvt. Ltd.", "pan": "301234567"}


@pytest.mark.parametrize(
    "error", [Organization.DoesNotExist, DatabaseError, AttributeError, KeyError, IndexError, TypeError, ValueError]
)
def test_a_function_that_does_not_find_what_it_looks_for_leaves_the_name_and_is_logged(
    settings: Any, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    def failing(organization: Organization) -> dict[str, str]:
        raise error("no profile")

    settings.TENANT_BILLING_BUYER = failing
    assert buyer_of(Organization(pk=7)) == {}
    assert caplog.messages == ["TENANT_BILLING_BUYER failed for organization 7: receipts have its name."]
    assert "no profile" in caplog.text


def test_a_function_that_answers_something_else_leaves_the_name_and_is_logged_without_the_answer(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TENANT_BILLING_BUYER = lambda organization: {"name": "Himal", "phone": "9800000001"}
    assert buyer_of(Organization(pk=7)) == {}
    assert "for organization 7: receipts have its name" in caplog.text
    assert "98000" not in caplog.text


def test_any_other_error_is_a_bug_that_shows_where_nothing_was_paid_yet(settings: Any) -> None:
    def broken(organization: Organization) -> dict[str, str]:
        raise RuntimeError("half deployed")

    settings.TENANT_BILLING_BUYER = broken
    with pytest.raises(RuntimeError, match="half deployed"):
        buyer_of(Organization(pk=7))
