"""VAT: whole paisa, rounded half up, and what was added comes back to the paisa."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_tenant_billing import vat
from django_tenant_billing.models import PaymentTransaction, PlanPrice
from django_tenant_billing.models.quotes import is_sold, price_of, terms_of
from django_tenant_billing.vat import Vat
from tests.manual import begin, use_bank
from tests.testapp.models import Organization

AMOUNTS = st.integers(min_value=0, max_value=10**13)


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@given(AMOUNTS)
def test_inclusive_prices_are_paid_as_they_are_and_split_by_decimal_arithmetic(amount: int) -> None:
    with override_settings(TENANT_BILLING_VAT="inclusive"):
        net, tax = vat.split(amount)
        assert vat.to_pay(amount) == amount == net + tax
        assert net == rounded(Decimal(amount) * 100 / 113)


@given(AMOUNTS)
def test_what_is_added_to_an_exclusive_price_comes_back_to_the_paisa(price: int) -> None:
    with override_settings(TENANT_BILLING_VAT="exclusive"):
        assert vat.to_pay(price) == price + rounded(Decimal(price) * 13 / 100)
        assert vat.split(vat.to_pay(price)) == (price, vat.to_pay(price) - price)


@pytest.mark.parametrize(
    ("word", "to_pay", "split", "percent", "beside_price", "beside_total"),
    [
        ("exempt", 390_000, (390_000, 0), 0, "", ""),
        ("inclusive", 390_000, (345_133, 44_867), 13, "includes 13 % VAT", "includes 13 % VAT"),
        ("exclusive", 440_700, (345_133, 44_867), 13, "plus 13 % VAT", "includes 13 % VAT"),
    ],
)
def test_each_word_says_what_is_paid_what_of_it_is_tax_and_what_stands_beside_it(
    settings: Any, word: str, to_pay: int, split: tuple[int, int], percent: int, beside_price: str, beside_total: str
) -> None:
    settings.TENANT_BILLING_VAT = word
    assert (vat.to_pay(390_000), vat.split(390_000), vat.percent()) == (to_pay, split, percent)
    assert (vat.note_of_price(), vat.note_of_total()) == (beside_price, beside_total)


@pytest.mark.parametrize("word", ["Inclusive", "", None, 13, ["inclusive"]])
def test_what_is_no_word_of_ours_counts_as_exempt(settings: Any, word: Any) -> None:
    settings.TENANT_BILLING_VAT = word
    assert vat.in_force() is Vat.EXEMPT


def test_half_a_paisa_is_rounded_up(settings: Any) -> None:
    settings.TENANT_BILLING_VAT = "exclusive"
    assert [vat.to_pay(price) for price in (49, 50, 51, 150)] == [55, 57, 58, 170]  # 6.37, 6.5, 6.63 and 19.5 more


def test_an_exclusive_price_is_sold_for_what_is_to_pay(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_VAT = "exclusive"
    price = price_of("PRO")
    assert (price.formatted_amount, price.formatted_to_pay, price.vat_note) == (
        "NPR 3,900", "NPR 4,407", "plus 13 % VAT",
    )  # fmt: skip
    assert terms_of(price).price_minor == 440_700
    use_bank(settings)
    payment = begin(organization)
    assert PaymentTransaction.objects.get().amount_minor == 440_700
    assert is_sold(payment.terms)
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=389_999)
    assert is_sold(payment.terms)
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=390_001)
    assert not is_sold(payment.terms)
    assert not is_sold(payment.terms._replace(currency="USD"))
