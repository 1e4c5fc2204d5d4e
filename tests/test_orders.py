"""What is asked for and what is granted: amounts, grants that are given back once, and the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.catalogue import MAX_LIMIT
from django_tenant_billing.exceptions import QuotaExceeded, ReleaseTooLarge
from django_tenant_billing.models import UsageCounter, UsageEntry
from django_tenant_billing.quotas.orders import WhenShort, amounts_of, order, text, whole
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import let_expire, numbers, statements, with_ledger
from tests.testapp.models import Customer, Organization


def lines() -> list[tuple[Any, ...]]:
    """The ledger, oldest first."""
    return list(UsageEntry.objects.order_by("pk").values_list("feature", "change", "verb", "actor", "subject"))


# What is asked for


def test_amounts_stand_in_the_order_of_their_slugs_however_they_were_asked_for() -> None:
    assert list(amounts_of({"invoices": 2, "api_calls": 3}, 1).items()) == [("api_calls", 3), ("invoices", 2)]
    assert amounts_of("invoices", 4) == {"invoices": 4}


def test_an_order_for_nothing_is_refused() -> None:
    for asked, amount in (({}, 1), ({"invoices": 1}, 2)):
        with pytest.raises(ValueError, match="Several features carry their amounts: at least one of them"):
            amounts_of(asked, amount)
    assert amounts_of({"invoices": 1}, 1) == {"invoices": 1}


@pytest.mark.parametrize("amount", [0, -1, 2.0, True, "2", None, MAX_LIMIT + 1])
def test_each_amount_of_several_features_is_a_whole_number_from_one(amount: Any) -> None:
    with pytest.raises(ValueError, match=f"whole number from 1 to {MAX_LIMIT}, not"):
        amounts_of({"api_calls": 1, "invoices": amount}, 1)
    assert amounts_of({"api_calls": 1, "invoices": MAX_LIMIT}, 1) == {"api_calls": 1, "invoices": MAX_LIMIT}


def test_a_least_amount_is_told_as_it_is() -> None:
    assert whole(0, least=0) == 0
    with pytest.raises(ValueError, match="whole number from 0 to"):
        whole(-1, least=0)


def test_only_three_words_say_what_to_do_when_there_is_too_little(organization: Organization) -> None:
    assert [WhenShort(word) for word in ("reject", "cap", "allow")] == list(WhenShort)
    with pytest.raises(ValueError, match="'queue' is not a valid WhenShort"):
        quotas.consume(organization, "invoices", when_short="queue")
    with pytest.raises(ValueError, match="'queue' is not a valid WhenShort"):
        quotas.reserve(organization, "invoices", when_short="queue")
    assert not UsageCounter.objects.exists()


def test_two_requests_are_the_same_by_verb_amounts_and_what_to_do_when_short_and_not_by_who_asks() -> None:
    def body(verb: str = "consume", amount: int = 1, when_short: str = "reject", actor: str = "") -> dict[str, Any]:
        return order(verb, {"invoices": amount, "api_calls": 1}, 1, when_short, actor, "").body()

    assert body() == body(actor="sita") == order("consume", {"api_calls": 1, "invoices": 1}, 1, "reject", "", "").body()
    assert body() not in [body("track"), body(amount=2), body(when_short="cap")]


def test_who_and_what_for_is_told_as_text_that_fits_its_column(organization: Organization) -> None:
    assert text(organization, 150) == f"testapp.organization:{organization.pk}"
    assert text(17, 150) == "17"
    assert text("x" * 200, 150) == "x" * 150
    assert text("", 150) == ""


# What is granted


def test_a_grant_of_several_features_gives_all_of_them_back_once(organization: Organization) -> None:
    grant = quotas.consume(organization, {"invoices": 2, "api_calls": 3})
    assert grant.amounts == {"api_calls": 3, "invoices": 2}
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (3, 0))
    quotas.consume(organization, {"invoices": 2, "api_calls": 3})
    assert [grant.release(), grant.release()] == [True, False]
    assert (numbers(organization), numbers(organization, "api_calls")) == ((2, 0), (3, 0))


def test_a_grant_of_several_features_has_no_single_feature_or_amount(organization: Organization) -> None:
    grant = quotas.consume(organization, {"invoices": 2, "api_calls": 3})
    for name in ("feature", "amount"):
        with pytest.raises(ValueError, match="too many values"):
            getattr(grant, name)
    assert quotas.consume(organization, {"invoices": 2}).amount == 2


def test_a_grant_that_is_partly_of_a_feature_that_is_on_gives_back_what_was_counted(organization: Organization) -> None:
    subscribe(organization, "BASIC")
    grant = quotas.consume(organization, {"invoices": 2, "reports": 1})
    assert (grant.counted, grant.uncounted) == (True, frozenset({"reports"}))
    assert numbers(organization) == (2, 0)
    assert [grant.release(), grant.release()] == [True, False]
    assert numbers(organization) == (0, 0)


def test_a_grant_of_nothing_but_features_that_are_on_has_nothing_to_give_back(organization: Organization) -> None:
    subscribe(organization, "BASIC")
    grant = quotas.consume(organization, "reports")
    with statements() as asked:
        assert (grant.counted, grant.release()) == (False, False)
    assert asked == []


def test_giving_back_more_than_is_counted_by_now_gives_nothing_back(organization: Organization) -> None:
    grant = quotas.consume(organization, "invoices", 5)
    both = quotas.consume(organization, {"invoices": 5, "api_calls": 1})
    set_used(organization, "invoices", 4)
    assert grant.release() is False
    assert numbers(organization) == (4, 0)
    # Of several, what is still counted is given back.
    assert both.release() is True
    assert (numbers(organization), numbers(organization, "api_calls")) == ((4, 0), (0, 0))


def test_a_rolled_back_block_leaves_several_features_uncounted(organization: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        quotas.consume(organization, {"invoices": 2, "api_calls": 3})
        raise RuntimeError
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 0), (0, 0))


def test_several_features_are_released_all_or_none(organization: Organization) -> None:
    quotas.consume(organization, {"invoices": 1, "api_calls": 3})
    with pytest.raises(ReleaseTooLarge, match="Cannot release 2 of 'invoices'"):
        quotas.release(organization, {"invoices": 2, "api_calls": 3})
    assert (numbers(organization), numbers(organization, "api_calls")) == ((1, 0), (3, 0))
    quotas.release(organization, {"invoices": 1, "api_calls": 2})
    assert (numbers(organization), numbers(organization, "api_calls")) == ((0, 0), (1, 0))


# The ledger


@pytest.fixture
def ledger(settings: Any, organization: Organization) -> Organization:
    """An organization of a site that keeps a ledger of invoices and customers, and none of API calls."""
    settings.TENANT_BILLING_CATALOGUE = with_ledger("invoices", "customers")
    return organization


def commit(organization: Organization, actor: Any, subject: Any) -> None:
    reservation = quotas.reserve(organization, "invoices", 3, actor=actor, subject=subject)
    assert lines() == []
    reservation.commit(2)


VERBS: list[tuple[str, int, Callable[[Organization, Any, Any], object]]] = [
    ("consume", 2, lambda o, a, s: quotas.consume(o, "invoices", 2, actor=a, subject=s)),
    ("track", 20, lambda o, a, s: quotas.track(o, "invoices", 20, actor=a, subject=s)),
    ("set", 7, lambda o, a, s: quotas.set_usage(o, "invoices", 7, actor=a, subject=s)),
    ("commit", 2, commit),
]


@pytest.mark.parametrize(("verb", "change", "act"), VERBS, ids=[verb for verb, _change, _act in VERBS])
def test_every_change_has_its_line_with_who_and_what_for(
    ledger: Organization, verb: str, change: int, act: Callable[[Organization, Any, Any], object]
) -> None:
    customer = Customer.objects.create(organization=ledger, name="Ram")
    act(ledger, customer, f"invoice {verb}")
    assert lines() == [("invoices", change, verb, f"testapp.customer:{customer.pk}", f"invoice {verb}")]
    assert numbers(ledger) == (change, 0)


def test_what_is_given_back_is_a_line_of_the_same_person_in_the_same_period(ledger: Organization) -> None:
    grant = quotas.consume(ledger, "invoices", 3, actor="sita", subject=ledger)
    with clock.moved(timedelta(days=40)):
        assert grant.release() is True
    assert lines() == [
        ("invoices", 3, "consume", "sita", f"testapp.organization:{ledger.pk}"),
        ("invoices", -3, "release", "sita", f"testapp.organization:{ledger.pk}"),
    ]
    taken, back = UsageEntry.objects.order_by("pk")
    assert taken.at == back.at == grant.at
    assert back.created_at - taken.created_at > timedelta(days=39)


def test_a_bare_release_has_a_line_too(ledger: Organization) -> None:
    quotas.consume(ledger, "customers", 3)
    quotas.release(ledger, "customers", 2, actor="hari", subject="customer 7")
    assert lines()[1:] == [("customers", -2, "release", "hari", "customer 7")]


def test_a_recount_has_a_line_with_the_difference(ledger: Organization, settings: Any) -> None:
    catalogue = with_ledger("customers")
    catalogue["features"]["customers"]["count"] = "tests.testapp.models.count_customers"
    settings.TENANT_BILLING_CATALOGUE = catalogue
    quotas.set_usage(ledger, "customers", 3)
    Customer.objects.create(organization=ledger, name="Ram")
    assert quotas.recount(ledger, "customers") == (3, 1)
    assert lines()[1:] == [("customers", -2, "recount", "recount_usage", "")]


def test_what_changes_nothing_has_no_line(ledger: Organization) -> None:
    quotas.set_usage(ledger, "invoices", 0)
    quotas.reserve(ledger, "invoices").release()
    with pytest.raises(QuotaExceeded):
        quotas.consume(ledger, "invoices", 11)
    with pytest.raises(ReleaseTooLarge):
        quotas.release(ledger, "invoices")
    assert lines() == []
    quotas.consume(ledger, "invoices")
    assert len(lines()) == 1


def test_features_without_a_ledger_have_no_lines_and_cost_no_statement(ledger: Organization) -> None:
    grant = quotas.consume(ledger, {"invoices": 1, "api_calls": 2})
    assert lines() == [("invoices", 1, "consume", "", "")]
    grant.release()
    assert lines()[1:] == [("invoices", -1, "release", "", "")]
    with statements() as asked:
        quotas.consume(ledger, "api_calls")
    assert len(asked) == 1
    with statements() as asked:
        quotas.consume(ledger, "invoices")
    assert len(asked) == 2


def test_the_lines_of_a_feature_add_up_to_its_count(ledger: Organization) -> None:
    quotas.consume(ledger, "invoices", 4)
    quotas.track(ledger, "invoices", 9)
    quotas.set_usage(ledger, "invoices", 6)
    quotas.consume(ledger, "invoices", 9, when_short="cap").release()
    late = quotas.reserve(ledger, "invoices", 2)
    let_expire(late)
    late.commit(3)
    assert sum(UsageEntry.objects.values_list("change", flat=True)) == numbers(ledger)[0] == 9


def test_a_ledger_line_is_lost_with_its_transaction(ledger: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        quotas.consume(ledger, "invoices", actor="sita")
        raise RuntimeError
    assert lines() == []
    assert numbers(ledger) == (0, 0)


def test_a_line_reads_as_its_change(ledger: Organization) -> None:
    quotas.consume(ledger, "invoices", 3).release()
    assert [str(line) for line in UsageEntry.objects.all()] == [
        f"{ledger.pk} - invoices: -3",
        f"{ledger.pk} - invoices: +3",
    ]
