"""The tables: what the database itself refuses, what a log row refuses, and how rows read and sort."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.utils import translation
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from django_tenant_billing import clock, signals
from django_tenant_billing.catalogue import MAX_LIMIT
from django_tenant_billing.exceptions import AppendOnly, CatalogueMissing, NotProven, UnknownFeature
from django_tenant_billing.models import (
    Activation,
    Breaker,
    Feature,
    Heartbeat,
    Hold,
    IdempotencyKey,
    LimitOverride,
    PaymentEvent,
    PaymentTransaction,
    Plan,
    PlanLimit,
    PlanPrice,
    Receipt,
    ReceiptSequence,
    Subscription,
    Throttle,
    TrialMark,
    Usage,
    UsageCounter,
    UsageEntry,
)
from django_tenant_billing.models.payments import REFERENCE_ALPHABET, new_purchase, new_reference
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import Terms
from django_tenant_billing.models.statements import CONSUME, LOOK_ALL, OPEN
from django_tenant_billing.periods import FOREVER, Interval, Period
from django_tenant_billing.states import SETTLED, PaymentState
from django_tenant_billing.testing import clock_moved, set_used, subscribe
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_log]  # payments are made by hand here

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=28)
INSTANT = timedelta(microseconds=1)
OURS = list(apps.get_app_config("tenant_billing").get_models())


def payment(organization: Organization | None, **changes: Any) -> PaymentTransaction:
    values: dict[str, Any] = {
        "organization": organization,
        "organization_key": str(organization.pk if organization else "gone"),
        "organization_name": str(organization),
        "reference": new_reference(),
        "purchase": new_purchase(),
        "gateway": "khalti",
        "plan_id": "PRO",
        "amount_minor": 390000,
        "currency": "NPR",
        "interval": "month",
        "interval_count": 1,
        "created_at": NOW,
    }
    return PaymentTransaction.objects.create(**values | changes)


def paid(organization: Organization | None, **changes: Any) -> PaymentTransaction:
    return payment(organization, status=PaymentState.PAID, paid_at=NOW, **changes)


def event(payment: PaymentTransaction | None = None, **changes: Any) -> PaymentEvent:
    values: dict[str, Any] = {"gateway": "khalti", "kind": "claim", "at": NOW}
    return PaymentEvent.objects.create(payment=payment, **values | changes)


def counter(organization: Organization, **changes: Any) -> UsageCounter:
    values = {"feature_id": "invoices", "period_start": NOW, "period_end": LATER, "updated_at": NOW}
    return UsageCounter.objects.create(organization=organization, **values | changes)


def activation(payment: PaymentTransaction, **changes: Any) -> Activation:
    values = {"purchase": payment.purchase, "at": NOW, "starts_at": NOW, "ends_at": LATER, "value_minor": 390000}
    rest = {"price_minor": 100, "interval": "month", "interval_count": 1, "before": {}}
    return Activation.objects.create(payment=payment, plan="PRO", currency="NPR", **rest | values | changes)


def one_activation(organization: Organization, **changes: Any) -> Activation:
    return activation(payment(organization), **changes)


def receipt(payment: PaymentTransaction, **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "number": 1, "issued_at": NOW, "currency": "NPR", "net_minor": 100, "vat_minor": 13, "total_minor": 113,
        "vat_percent": 13,
    }  # fmt: skip
    return Receipt.objects.create(payment=payment, **values | changes)


# What must never be


def one_receipt(organization: Organization, **changes: Any) -> None:
    receipt(paid(organization), **changes)


def two_receipts(organization: Organization, **changes: Any) -> None:
    first = receipt(paid(organization))
    receipt(**{"payment": paid(organization), "number": first.number + 1, **changes})


def one_payment_receipted_twice(organization: Organization) -> None:
    first = receipt(paid(organization))
    receipt(first.payment, number=2)


def sequences(*names: str) -> None:
    for name in names:
        ReceiptSequence.objects.create(name=name)


def price(**values: Any) -> PlanPrice:
    return PlanPrice.objects.create(plan_id="PRO", **{"amount_minor": 1, "interval": "year", **values})


def change_limit(_organization: Organization, value: int | None) -> None:
    assert PlanLimit.objects.filter(plan="FREE", feature="invoices").update(limit_value=value) == 1


def change_trial(_organization: Organization, **values: Any) -> None:
    assert PlanLimit.objects.filter(plan="FREE", feature="invoices").update(**values) == 1


def overriding(organization: Organization, **changes: Any) -> None:
    values = {"feature_id": "invoices", "limit_value": 1, "reason": "a deal", "actor": "staff", "starts_at": NOW}
    LimitOverride.objects.create(organization=organization, **values | changes)


def hold(organization: Organization, **changes: Any) -> None:
    values = {"key": "k", "feature_id": "invoices", "amount": 1, "at": NOW, "expires_at": LATER}
    Hold.objects.create(organization=organization, **values | changes)


def two_holds(organization: Organization, **changes: Any) -> None:
    hold(organization)
    hold(organization, **changes)


def two_keys(organization: Organization, **changes: Any) -> None:
    values: dict[str, Any] = {
        "organization_id": organization.pk,
        "key": "k",
        "body": {},
        "answer": {},
        "created_at": NOW,
    }
    IdempotencyKey.objects.create(**values)
    IdempotencyKey.objects.create(**values | changes)


def change_price(_organization: Organization, **values: Any) -> None:
    assert PlanPrice.objects.filter(plan="PRO").update(**values) == 1


def change_subscription(organization: Organization, **values: Any) -> None:
    assert Subscription.objects.filter(organization=organization).update(period_start=NOW, **values) == 1


def two_payments(organization: Organization, first: dict[str, Any], second: dict[str, Any]) -> None:
    payment(organization, **first)
    payment(organization, **second)


def two_activations(organization: Organization, **changes: Any) -> None:
    activation(paid(organization, purchase="a"))
    activation(paid(organization, purchase="b"), **changes)


def one_payment_activated_twice(organization: Organization) -> None:
    first = paid(organization)
    activation(first)
    activation(first, purchase="another")


def two_counters(organization: Organization, **changes: Any) -> None:
    counter(organization)
    counter(organization, **changes)


def other_organization() -> Organization:
    return Organization.objects.create(name="Pahad Foods")


Act = Callable[[Organization], object]


def breakers(*gateways: str) -> None:
    for gateway in gateways:
        Breaker.objects.create(gateway=gateway)


def throttles(*names: str) -> None:
    for name in names:
        Throttle.objects.create(name=name, started_at=NOW, count=1)


NEVER: dict[str, tuple[list[Act], list[Act]]] = {
    "tb_limit_unique": (
        [lambda o: PlanLimit.objects.create(plan_id="FREE", feature_id="invoices", limit_value=11)],
        [lambda o: PlanLimit.objects.create(plan=Plan.objects.create(code="MAX"), feature_id="invoices")],
    ),
    "tb_limit_in_range": (
        [lambda o: change_limit(o, -1), lambda o: change_limit(o, MAX_LIMIT + 1)],
        [lambda o: change_limit(o, 0), lambda o: change_limit(o, MAX_LIMIT), lambda o: change_limit(o, None)],
    ),
    "tb_limit_trial_in_range": (
        [
            lambda o: change_trial(o, trial_limit_value=5),
            lambda o: change_trial(o, trial_differs=True, trial_limit_value=-1),
            lambda o: change_trial(o, trial_differs=True, trial_limit_value=MAX_LIMIT + 1),
        ],
        [
            lambda o: change_trial(o, trial_differs=True, trial_limit_value=0),
            lambda o: change_trial(o, trial_differs=True, trial_limit_value=None),
        ],
    ),
    "tb_override_in_range": (
        [lambda o: overriding(o, limit_value=-1), lambda o: overriding(o, limit_value=MAX_LIMIT + 1)],
        [lambda o: overriding(o, limit_value=0), lambda o: overriding(o, limit_value=None)],
    ),
    "tb_override_ordered": (
        [lambda o: overriding(o, ends_at=NOW - INSTANT)],
        [lambda o: overriding(o, ends_at=NOW), lambda o: overriding(o, ends_at=None)],
    ),
    "tb_override_reason": ([lambda o: overriding(o, reason="")], [overriding]),
    "tb_hold_unique": (
        [lambda o: two_holds(o)],
        [lambda o: two_holds(o, key="other"), lambda o: two_holds(o, feature_id="customers")],
    ),
    "tb_hold_not_negative": ([lambda o: hold(o, amount=-1)], [lambda o: hold(o, amount=0)]),
    "tb_key_unique": (
        [lambda o: two_keys(o)],
        [lambda o: two_keys(o, key="other"), lambda o: two_keys(o, organization_id=other_organization().pk)],
    ),
    "tb_price_one_default": (
        [lambda o: price(is_default=True)],
        [lambda o: price(), lambda o: price(interval_count=2)],
    ),
    "tb_price_unique": (
        [lambda o: price(interval="month")],
        [lambda o: price(interval="month", currency="USD"), lambda o: price(interval="month", interval_count=3)],
    ),
    "tb_price_not_negative": (
        [lambda o: change_price(o, amount_minor=-1)],
        [lambda o: change_price(o, amount_minor=0)],
    ),
    "tb_price_interval_in_range": (
        [lambda o: change_price(o, interval_count=0), lambda o: change_price(o, interval_count=1001)],
        [lambda o: change_price(o, interval_count=1), lambda o: change_price(o, interval_count=1000)],
    ),
    "tb_price_default_or_null": (
        [lambda o: change_price(o, is_default=False)],
        [lambda o: change_price(o, is_default=None), lambda o: change_price(o, is_default=True)],
    ),
    "tb_subscription_period_ordered": (
        [lambda o: change_subscription(o, period_end=NOW), lambda o: change_subscription(o, period_end=NOW - INSTANT)],
        [lambda o: change_subscription(o, period_end=NOW + INSTANT), lambda o: change_subscription(o, period_end=None)],
    ),
    "tb_subscription_next_ordered": (
        [
            lambda o: change_subscription(o, period_end=LATER, next_plan="PRO", next_period_end=LATER),
            lambda o: change_subscription(o, period_end=LATER, next_period_end=LATER + INSTANT),
        ],
        [lambda o: change_subscription(o, period_end=LATER, next_plan="PRO", next_period_end=LATER + INSTANT)],
    ),
    "tb_subscription_next_comes": (
        [lambda o: change_subscription(o, next_plan="PRO")],
        [lambda o: change_subscription(o, period_end=LATER, next_plan="PRO")],
    ),
    "tb_subscription_credit_not_negative": (
        [lambda o: change_subscription(o, credit_minor=-1)],
        [lambda o: change_subscription(o, credit_minor=0)],
    ),
    "tb_activation_ordered": (
        [lambda o: one_activation(o, ends_at=NOW)],
        [lambda o: one_activation(o, ends_at=NOW + INSTANT)],
    ),
    "tb_activation_credited": (
        [lambda o: one_activation(o, credited_minor=-1), lambda o: one_activation(o, credited_minor=390001)],
        [lambda o: one_activation(o, credited_minor=0), lambda o: one_activation(o, credited_minor=390000)],
    ),
    "tb_payment_refunded_in_range": (
        [lambda o: payment(o, refunded_minor=-1), lambda o: payment(o, refunded_minor=390001)],
        [lambda o: payment(o, refunded_minor=0), lambda o: payment(o, refunded_minor=390000)],
    ),
    "tb_payment_credit_not_negative": (
        [lambda o: payment(o, credit_minor=-1)],
        [lambda o: payment(o, credit_minor=0)],
    ),
    "tb_counter_unique": (
        [lambda o: two_counters(o, period_end=LATER + INSTANT)],
        [
            lambda o: two_counters(o, period_start=LATER, period_end=LATER + INSTANT),
            lambda o: two_counters(o, feature_id="customers"),
            lambda o: counter(other_organization()),
        ],
    ),
    "tb_counter_used_not_negative": ([lambda o: counter(o, used=-1)], [lambda o: counter(o, used=0)]),
    "tb_counter_held_not_negative": ([lambda o: counter(o, held=-1)], [lambda o: counter(o, held=0)]),
    "tb_counter_period_ordered": (
        [lambda o: counter(o, period_end=NOW), lambda o: counter(o, period_end=NOW - INSTANT)],
        [lambda o: counter(o, period_end=NOW + INSTANT)],
    ),
    "tb_payment_gateway_reference": (
        [lambda o: two_payments(o, {"gateway_reference": "pidx"}, {"gateway_reference": "pidx"})],
        [
            lambda o: two_payments(o, {"gateway_reference": "a"}, {"gateway_reference": "a", "gateway": "esewa"}),
            lambda o: two_payments(o, {"gateway_reference": None}, {"gateway_reference": None}),
        ],
    ),
    "tb_payment_gateway_txn": (
        [lambda o: two_payments(o, {"gateway_transaction_id": "txn"}, {"gateway_transaction_id": "txn"})],
        [
            lambda o: two_payments(
                o, {"gateway_transaction_id": "a"}, {"gateway_transaction_id": "a", "gateway": "esewa"}
            ),
            lambda o: two_payments(o, {"gateway_transaction_id": None}, {"gateway_transaction_id": None}),
        ],
    ),
    "tb_payment_amount_positive": (
        [lambda o: payment(o, amount_minor=0), lambda o: payment(o, amount_minor=-1)],
        [lambda o: payment(o, amount_minor=1)],
    ),
    "tb_payment_status_known": (
        [lambda o: payment(o, status="settled"), lambda o: payment(o, status="")],
        [lambda o: payment(o, status="created")],
    ),
    "tb_payment_paid_at_iff_settled": (
        [
            *(lambda o, s=status: payment(o, status=s) for status in sorted(SETTLED)),
            *(
                lambda o, s=status: payment(o, status=s, paid_at=NOW)
                for status in sorted(set(PaymentState) - SETTLED)
            ),
        ],
        [
            *(lambda o, s=status: payment(o, status=s, paid_at=NOW) for status in sorted(SETTLED)),
            *(lambda o, s=status: payment(o, status=s) for status in sorted(set(PaymentState) - SETTLED)),
        ],
    ),
    "paymenttransaction.reference": (
        [lambda o: two_payments(o, {"reference": "TB-1"}, {"reference": "TB-1", "gateway": "esewa"})],
        [lambda o: two_payments(o, {"reference": "TB-1"}, {"reference": "TB-2"})],
    ),
    "breaker.gateway": ([lambda o: breakers("khalti", "khalti")], [lambda o: breakers("khalti", "esewa")]),
    "throttle.name": ([lambda o: throttles("a", "a")], [lambda o: throttles("a", "b")]),
    "activation.payment": ([one_payment_activated_twice], [two_activations]),
    "activation.purchase": ([lambda o: two_activations(o, purchase="a")], [two_activations]),
    "receipt.number": ([lambda o: two_receipts(o, number=1)], [two_receipts]),
    "receipt.payment": ([one_payment_receipted_twice], [two_receipts]),
    "receiptsequence.name": ([lambda o: sequences("a", "a")], [lambda o: sequences("a", "b")]),
    "tb_receipt_adds_up": (
        [lambda o: one_receipt(o, vat_minor=14), lambda o: one_receipt(o, total_minor=112)],
        [lambda o: one_receipt(o, net_minor=113, vat_minor=0)],
    ),
    "tb_receipt_numbered_from_one": ([lambda o: one_receipt(o, number=0)], [one_receipt]),
    "subscription.organization": (
        [lambda o: Subscription.objects.create(organization=o, plan_id="PRO", anchor=NOW, period_start=NOW)],
        [lambda o: other_organization()],
    ),
    "usage.organization": (
        [lambda o: Usage.objects.create(organization=o)],
        [lambda o: other_organization()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER)
def test_the_database_refuses_what_must_never_be_and_allows_what_may(organization: Organization, name: str) -> None:
    refused, allowed = NEVER[name]
    for act in allowed:
        with transaction.atomic():
            act(organization)
            transaction.set_rollback(True)
    for act in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            act(organization)


def test_every_constraint_is_tried_out_above() -> None:
    named = {constraint.name for model in OURS for constraint in model._meta.constraints}
    unique = {
        f"{model._meta.model_name}.{field.name}"
        for model in OURS
        for field in model._meta.local_fields
        if field.unique and not field.primary_key
    }
    assert named | unique == set(NEVER)


def test_a_plan_and_a_feature_are_known_by_their_key(catalogue: None) -> None:
    for model, key in ((Plan, {"code": "FREE"}), (Feature, {"slug": "invoices"})):
        with pytest.raises(IntegrityError), transaction.atomic():
            model._default_manager.create(**key)
        model._default_manager.create(**dict.fromkeys(key, "NEW"))


def test_what_money_stands_on_cannot_be_deleted(organization: Organization) -> None:
    made = paid(organization)
    event(made)
    counter(organization)
    for protected in (
        Plan.objects.get(pk="PRO"),
        Plan.objects.get(pk="FREE"),
        Feature.objects.get(pk="invoices"),
        made,
    ):
        with pytest.raises(ProtectedError):
            protected.delete()
    assert Plan.objects.get(pk="BASIC").delete()[0] == 7  # with its price and five limits
    assert Feature.objects.get(pk="reports").delete()[0] == 3


def test_a_payment_outlives_its_organization(organization: Organization) -> None:
    made, key = paid(organization), str(organization.pk)
    counter(organization)
    event(made, organization_key=key)
    organization.delete()
    made.refresh_from_db()
    assert (made.organization_id, made.organization_key, made.organization_name) == (None, key, "Himal Traders")
    assert PaymentEvent.objects.get().organization_key == key
    assert not UsageCounter.objects.exists()
    assert not Subscription.objects.exists()
    assert not Usage.objects.exists()


# The log


def test_a_line_of_the_log_is_written_once_and_never_changed(organization: Organization) -> None:
    line = event(payment(organization), detail="as it was")
    line.detail = "as somebody wished"
    for change in (
        line.save,
        lambda: line.save(update_fields=["detail"]),
        line.delete,
        lambda: PaymentEvent.objects.update(detail="x"),
        lambda: PaymentEvent.objects.filter(pk=line.pk).update(detail="x"),
        lambda: line.payment.events.update(detail="x") if line.payment else None,
        lambda: PaymentEvent.objects.filter(pk=line.pk).delete(),
        lambda: PaymentEvent.objects.all().delete(),
        lambda: PaymentEvent.objects.bulk_update([line], ["detail"]),
        lambda: PaymentEvent.objects.update_or_create(pk=line.pk, defaults={"detail": "x"}),
        lambda: PaymentEvent.objects.bulk_create(
            [line], update_conflicts=True, update_fields=["detail"], unique_fields=["pk"]
        ),
        lambda: PaymentEvent(pk=line.pk, gateway="khalti", kind="claim", at=NOW).save(),
    ):
        with pytest.raises(AppendOnly, match="This log is append-only: write a new event instead"):
            change()
    assert PaymentEvent.objects.get().detail == "as it was"


def test_the_async_ways_to_change_a_line_are_closed_too() -> None:
    line = event()
    changes: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (line.asave, {}),
        (line.adelete, {}),
        (PaymentEvent.objects.aupdate, {"detail": "x"}),
        (PaymentEvent.objects.all().adelete, {}),
        (PaymentEvent.objects.abulk_update, {"objs": [line], "fields": ["detail"]}),
    ]

    async def change_it(change: Callable[..., Any], arguments: dict[str, Any]) -> None:
        await change(**arguments)

    for change, arguments in changes:
        with pytest.raises(AppendOnly):
            async_to_sync(change_it)(change, arguments)
    assert PaymentEvent.objects.get().detail == ""


def test_new_lines_are_written_one_by_one_or_many_at_once() -> None:
    event()
    PaymentEvent(gateway="khalti", kind="claim", at=NOW).save()
    PaymentEvent.objects.bulk_create(PaymentEvent(gateway="khalti", kind="claim", at=NOW) for _number in range(2))
    assert PaymentEvent.objects.count() == 4


# How rows read and sort


def test_every_row_reads_as_what_it_is(organization: Organization) -> None:
    with translation.override("en"):
        made = paid(organization, reference="TB-1", amount_minor=123456750)
        limits = [str(limit) for limit in PlanLimit.objects.filter(feature="customers")]
        assert limits == ["FREE - customers: 5", "BASIC - customers: 50", "PRO - customers: unlimited"]
        assert repr(PlanLimit.objects.first()) == "<PlanLimit: FREE - invoices: 10>"
        assert [str(plan) for plan in Plan.objects.all()] == ["FREE", "BASIC", "PRO"]
        assert str(Feature.objects.first()) == "invoices"
        assert str(PlanPrice.objects.get(plan="PRO")) == "PRO - NPR 3,900 / 1 month"
        assert str(Subscription.objects.get()) == f"{organization.pk} - FREE"
        assert str(Usage.objects.get()) == "Himal Traders"
        assert str(counter(organization, used=3)) == f"{organization.pk} - invoices: 3"
        assert str(made) == "TB-1 - PRO - paid"
        assert (made.amount, made.formatted_amount) == (Decimal("1234567.50"), "NPR 12,34,567.50")
        assert PlanPrice.objects.get(plan="PRO").amount == 3900
        assert str(activation(made)) == "PRO - 2026-01-31 - " + f"{LATER:%Y-%m-%d}"
        assert str(event(made, reference="TB-1", to_status="paid")) == "TB-1 - claim paid"
        assert str(event()) == "? - claim"
        change_limit(organization, None)
        change_trial(organization, trial_differs=True, trial_limit_value=50, grace_days=3)
        limit = PlanLimit.objects.get(plan="FREE", feature="invoices")
        assert str(limit) == "FREE - invoices: unlimited, 50 on trial, 3 days of grace"
        overriding(organization)
        overriding(organization, limit_value=None)
        texts = [str(override) for override in LimitOverride.objects.order_by("pk")]
        assert texts == [f"{organization.pk} - invoices: 1", f"{organization.pk} - invoices: unlimited"]
        Heartbeat.objects.beat("run_billing", NOW)
        assert str(Heartbeat.objects.get()) == "run_billing - 2026-01-31 12:00 UTC"
        assert TrialMark.objects.mark(["a"], "PRO", NOW)
        assert str(TrialMark.objects.get()) == "ca978112 - PRO"
        hold(organization)
        assert str(Hold.objects.get()) == f"{organization.pk} - invoices: 1 held"
        two_keys(organization, key="other")
        assert [str(key) for key in IdempotencyKey.objects.all()] == ["other", "k"]
        entries = [UsageEntry(organization=organization, feature_id="invoices", change=change) for change in (3, -3, 0)]
        assert [str(entry) for entry in entries] == [f"{organization.pk} - invoices: {c}" for c in ("+3", "-3", "+0")]


def test_plans_limits_and_features_keep_the_order_of_the_catalogue(catalogue: None) -> None:
    slugs = ["invoices", "customers", "team_members", "api_calls", "reports"]
    codes = ["FREE", "BASIC", "PRO"]
    assert list(Plan.objects.values_list("pk", flat=True)) == codes
    assert list(Feature.objects.values_list("pk", flat=True)) == slugs
    assert list(PlanLimit.objects.values_list("plan", "feature")) == [(code, slug) for code in codes for slug in slugs]
    Plan.objects.filter(pk="PRO").update(position=0)
    Plan.objects.filter(pk="FREE").update(position=2)
    assert list(Plan.objects.values_list("pk", flat=True)) == ["PRO", "BASIC", "FREE"]
    first = PlanLimit.objects.first()
    assert first is not None
    assert first.plan_id == "PRO"


def test_rows_of_money_come_newest_first_and_the_log_in_the_order_it_was_written(organization: Organization) -> None:
    old, new = payment(organization, created_at=NOW), payment(organization, created_at=LATER)
    newest = payment(organization, created_at=LATER)
    assert list(PaymentTransaction.objects.all()) == [newest, new, old]
    lines = [event(at=LATER), event(at=NOW)]
    assert list(PaymentEvent.objects.all()) == lines


def test_prices_subscriptions_and_usage_have_an_order_too(organization: Organization) -> None:
    other = other_organization()
    yearly = price(amount_minor=10)
    assert list(PlanPrice.objects.filter(plan="PRO")) == [yearly, PlanPrice.objects.get(plan="PRO", is_default=True)]
    keys = [organization.pk, other.pk]
    assert list(Subscription.objects.values_list("organization", flat=True)) == keys
    assert list(Usage.objects.values_list("organization", flat=True)) == keys
    early, late = counter(other), counter(other, period_start=LATER, period_end=LATER + INSTANT)
    assert list(UsageCounter.objects.all()) == [late, early]


def test_every_model_has_an_order_and_is_named_in_the_admin() -> None:
    for model in OURS:
        assert model._meta.ordering
        assert str(model._meta.verbose_name)
        assert str(model._meta.verbose_name_plural)


def test_the_default_price_is_what_a_buyer_pays_who_names_none(catalogue: None) -> None:
    plan = Plan.objects.get(pk="PRO")
    price(amount_minor=1)
    found = plan.default_price()
    assert found is not None
    assert found.amount_minor == 390000
    PlanPrice.objects.filter(plan=plan).delete()
    assert plan.default_price() is None


def test_references_are_unique_short_and_read_without_mistakes() -> None:
    made = {new_reference() for _number in range(200)}
    assert len(made) == 200
    for reference in made:
        assert len(reference) == 20
        assert set(reference.removeprefix("TB-")) <= set(REFERENCE_ALPHABET)
    assert not set("IO01") & set(REFERENCE_ALPHABET)
    assert len({new_purchase() for _number in range(200)}) == 200
    assert len(new_purchase()) == 32


def test_no_model_points_to_a_user_and_keys_are_what_they_say() -> None:
    for model in OURS:
        related = {str(f.related_model) for f in model._meta.get_fields() if f.related_model}
        assert not any("auth" in name for name in related)
        key = model._meta.pk
        assert isinstance(
            key, models.CharField if model in (Plan, Feature, Heartbeat, TrialMark) else models.BigAutoField
        )


# Usage


def test_usage_answers_as_in_the_guide(organization: Organization) -> None:
    usage = Usage.objects.get()
    for ask, feature in (
        (usage.can_create_invoice, "invoices"),
        (usage.can_add_customer, "customers"),
        (usage.can_add_team_member, "team_members"),
    ):
        limit = PlanLimit.objects.get(plan="FREE", feature=feature).limit_value or 0
        set_used(organization, feature, limit - 1)
        assert ask() == (True, None)
        set_used(organization, feature, limit)
        singular = Feature.objects.get(pk=feature).singular
        assert ask() == (False, f"Reached {singular} limit ({limit}). Upgrade your plan.")
    set_used(organization, "api_calls", 42)
    assert (usage.invoices_created, usage.customers_created) == (10, 5)
    assert (usage.team_members_added, usage.api_calls_used) == (1, 42)


def test_a_new_period_counts_from_nothing_and_keeps_what_exists(organization: Organization) -> None:
    usage = Usage.objects.get()
    set_used(organization, "invoices", 10)
    set_used(organization, "customers", 5)
    with clock_moved(timedelta(days=32)):
        assert (usage.invoices_created, usage.customers_created) == (0, 5)
        assert usage.can_create_invoice() == (True, None)
        assert not usage.can_add_customer()[0]


def test_a_decision_is_one_query_and_counts_nothing(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    usage = Usage.objects.get()
    with django_assert_num_queries(1):
        decision = usage.decide("invoices", 11)
    assert (decision.allowed, decision.limit, decision.used, decision.plan) == (False, 10, 0, "FREE")
    assert usage.decide("invoices", 10)
    assert not UsageCounter.objects.exists()
    with pytest.raises(UnknownFeature, match="There is no feature 'invoice'"):
        usage.decide("invoice")


def test_without_a_catalogue_usage_says_what_to_run() -> None:
    usage = Usage(organization=Organization.objects.create(name="Himal Traders"))
    with pytest.raises(CatalogueMissing, match=r"Run: manage\.py init_plan_limits"):
        usage.can_create_invoice()


def test_the_loop_of_the_guide_over_usage_and_plans_is_one_query(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    subscribe(other_organization(), "PRO")
    with django_assert_num_queries(1):
        rows = Usage.objects.select_related("organization__subscription")
        assert [str(usage.organization.subscription.plan) for usage in rows] == ["FREE", "PRO"]
    for rows, queries in (
        (Usage.objects.select_related("organization"), 1),
        (Usage.objects.select_related(None), 1 + 2),
    ):
        with django_assert_num_queries(queries):
            assert [str(usage.organization) for usage in rows] == ["Himal Traders", "Pahad Foods"]


# Counters


def test_counting_stops_at_the_limit_and_giving_back_at_zero(organization: Organization) -> None:
    rows, key = UsageCounter.objects, organization.pk
    assert not rows.consume(key, "invoices", 1, NOW)  # no row of this moment yet
    anchor = Subscription.objects.ensure(key, NOW).anchor
    assert not rows.open_period(key, "invoices", Period(NOW, LATER), anchor + INSTANT, NOW)  # a purchase moved it
    assert rows.open_period(key, "invoices", Period(NOW, LATER), anchor, NOW)
    rows.update(used=8)
    assert not rows.open_period(key, "invoices", Period(NOW, LATER + INSTANT), anchor, NOW)  # left as it is
    assert not rows.consume(key, "invoices", 3, NOW)
    assert rows.consume(key, "invoices", 2, NOW)
    assert not rows.consume(key, "invoices", 1, LATER - INSTANT)
    assert not rows.give_back(key, "invoices", 11, NOW)
    assert rows.give_back(key, "invoices", 10, LATER - INSTANT)
    assert not rows.give_back(key, "invoices", 1, NOW)
    assert not rows.give_back(key, "invoices", 1, LATER)
    row = UsageCounter.objects.get()
    assert (row.used, row.period_end) == (0, LATER)


def test_looking_at_everything_keeps_the_catalogues_order(organization: Organization) -> None:
    counter(organization, period_start=NOW, period_end=LATER, used=3)
    looks = UsageCounter.objects.look(organization.pk, NOW, UTC)
    assert [look.decision.feature for look in looks] == list(Feature.objects.values_list("pk", flat=True))
    assert [look.counted for look in looks] == [True, False, False, False, False]
    first = looks[0].decision
    assert (first.used, first.period_start, first.period_end) == (3, NOW, LATER)
    assert [look.decision.period_start is None for look in looks] == [False, True, True, False, True]


def test_a_new_period_never_overlaps_another(organization: Organization) -> None:
    rows, key = UsageCounter.objects, organization.pk
    anchor = Subscription.objects.ensure(key, NOW).anchor
    month, day = Period(NOW, LATER), timedelta(days=1)
    counter(organization, period_start=NOW - day, period_end=NOW + 2 * day)
    counter(organization, period_start=NOW + 9 * day, period_end=NOW + 10 * day)
    assert not rows.open_period(key, "invoices", month, anchor, NOW + day)  # covered
    assert rows.open_period(key, "invoices", month, anchor, NOW + 5 * day)
    assert rows.open_period(key, "invoices", month, anchor, NOW + 10 * day)
    assert rows.open_period(key, "api_calls", month, anchor, NOW + day)
    spans = rows.order_by("feature", "period_start").values_list("feature", "period_start", "period_end")
    assert list(spans) == [
        ("api_calls", NOW, LATER),
        ("invoices", NOW - day, NOW + 2 * day),
        ("invoices", NOW + 2 * day, NOW + 9 * day),
        ("invoices", NOW + 9 * day, NOW + 10 * day),
        ("invoices", NOW + 10 * day, LATER),
    ]


def test_closing_ends_what_resets_and_drops_what_would_be_empty(organization: Organization) -> None:
    day = timedelta(days=1)
    running = counter(organization)
    empty = counter(organization, feature_id="api_calls", period_start=NOW + day)
    over = counter(organization, period_start=NOW - 2 * day, period_end=NOW - day)
    forever = counter(organization, feature_id="customers", period_start=FOREVER.start, period_end=FOREVER.end)
    other = counter(other_organization())
    UsageCounter.objects.close(organization.pk, NOW + day)
    assert not UsageCounter.objects.filter(pk=empty.pk).exists()
    ends = {row.pk: row.period_end for row in UsageCounter.objects.all()}
    assert ends == {running.pk: NOW + day, over.pk: NOW - day, forever.pk: FOREVER.end, other.pk: LATER}


# Subscriptions


def bought(
    row: Subscription, plan: str, now: datetime, interval: Interval = Interval.MONTH, intervals: int = 1
) -> Activation:
    with transaction.atomic():
        return buy(row, Terms(plan, 100, "NPR", interval, intervals), now, paid_minor=100, actor="test")


def test_what_was_bought_holds_while_its_period_lasts_and_the_fallback_after(organization: Organization) -> None:
    subscription = subscribe(organization, "PRO", until=LATER)
    assert subscription.plan_in_force(LATER - INSTANT) == "PRO"
    assert subscription.plan_in_force(LATER) == "FREE"
    assert subscribe(organization, "PRO").plan_in_force(LATER) == "PRO"


def test_buying_from_free_starts_a_period_now_and_renewing_early_only_moves_its_end(organization: Organization) -> None:
    counter(organization, period_start=NOW - timedelta(days=3), used=10)
    subscription = Subscription.objects.get()
    bought(subscription, "PRO", NOW)
    subscription.refresh_from_db()
    assert (subscription.plan_id, subscription.anchor, subscription.period_start) == ("PRO", NOW, NOW)
    assert subscription.period_end == datetime(2026, 2, 28, 12, 0, tzinfo=UTC)
    assert UsageCounter.objects.get().period_end == NOW
    bought(subscription, "PRO", NOW + timedelta(days=5))
    subscription.refresh_from_db()
    assert (subscription.anchor, subscription.period_start) == (NOW, NOW)
    assert subscription.period_end == datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("first", "plan", "days"), [("PRO", "PRO", 30), ("BASIC", "PRO", 5)], ids=["late", "higher"])
def test_renewing_late_or_upgrading_starts_a_period_now(
    organization: Organization, first: str, plan: str, days: int
) -> None:
    subscription = Subscription.objects.get()
    bought(subscription, first, NOW)
    then = NOW + timedelta(days=days)
    bought(subscription, plan, then, Interval.DAY, 10)
    subscription.refresh_from_db()
    assert (subscription.plan_id, subscription.anchor, subscription.period_start) == (plan, then, then)
    assert subscription.period_end == then + timedelta(days=10)


@pytest.mark.parametrize(
    ("zone", "ends"),
    [
        # At this moment it is the 30th in New York and the 31st in Kathmandu, which is the zone of these tests.
        (None, ("2026-02-27T20:00", "2026-03-30T20:00")),
        ("Asia/Kathmandu", ("2026-02-27T20:00", "2026-03-30T20:00")),
        ("America/New_York", ("2026-02-28T20:00", "2026-03-30T19:00")),
    ],
)
def test_bought_months_follow_the_calendar_of_the_organization(
    organization: Organization, settings: Any, zone: str | None, ends: tuple[str, str]
) -> None:
    zones = {organization.pk: zone}
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = zone and (lambda organization: zones[organization.pk])
    for end in ends:
        subscription = Subscription.objects.get()
        bought(subscription, "PRO", datetime(2026, 1, 30, 20, 0, tzinfo=UTC))
        subscription.refresh_from_db()
        assert subscription.period_end == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_the_organization_is_read_for_its_zone_only_where_the_setting_asks(
    organization: Organization, settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for function, queries in ((None, 0), (lambda _organization: "UTC", 1)):
        settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = function
        subscription = Subscription.objects.get()
        with django_assert_num_queries(queries):
            assert subscription.zone is not None


def test_a_zone_that_is_none_extends_nothing(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda _organization: None
    counter(organization, used=3)
    before = Subscription.objects.values().get()
    with pytest.raises(ImproperlyConfigured, match="returned None for <Organization"):
        bought(Subscription.objects.get(), "PRO", NOW)
    assert Subscription.objects.values().get() == before
    assert UsageCounter.objects.get().period_end == LATER


def test_locking_finds_the_subscription_or_makes_it(organization: Organization) -> None:
    locked = Subscription.objects.lock(organization.pk, NOW)
    assert locked == Subscription.objects.get()
    locked.delete()
    made = Subscription.objects.lock(organization.pk, NOW)
    assert (made.plan_id, made.anchor, made.period_start, made.period_end) == ("FREE", NOW, NOW, None)


# Activation


def test_a_paid_payment_puts_its_organization_on_its_plan_once(
    organization: Organization, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    told: list[PaymentTransaction] = []

    def listener(payment: PaymentTransaction, **_kwargs: Any) -> None:
        told.append(payment)

    before = Subscription.objects.get()
    made = paid(organization)
    signals.plan_activated.connect(listener)
    with django_capture_on_commit_callbacks(execute=True):
        first = made.activate_plan()
        assert told == []  # after the commit, not before
    with django_capture_on_commit_callbacks(execute=True) as nothing:
        assert made.activate_plan() == first
    signals.plan_activated.disconnect(listener)
    assert (told, nothing) == ([made], [])
    after = Subscription.objects.get()
    assert (after.plan_id, after.period_start, after.period_end) == ("PRO", first.starts_at, first.ends_at)
    assert after.period_start > before.period_start
    assert (first.plan, first.value_minor, first.spent_credit_minor) == ("PRO", made.amount_minor, 0)
    assert Activation.objects.get() == first
    assert made.status == "paid"


@pytest.mark.parametrize("status", sorted(set(PaymentState) - {PaymentState.PAID}))
def test_only_a_paid_payment_activates(organization: Organization, status: str) -> None:
    made = payment(organization, status=status, paid_at=NOW if status in SETTLED else None)
    with pytest.raises(NotProven, match=f"Payment {made.reference} is '{status}', not 'paid'"):
        made.activate_plan()
    assert Subscription.objects.get().plan_id == "FREE"
    assert not Activation.objects.exists()


def test_what_was_activated_stays_so_when_the_money_went_back(organization: Organization) -> None:
    made = paid(organization)
    done = made.activate_plan()
    PaymentTransaction.objects.filter(pk=made.pk).update(status="refunded")
    end = Subscription.objects.get().period_end
    with clock.moved(timedelta(days=1)):
        assert made.activate_plan() == done
    assert Subscription.objects.get().period_end == end


def test_the_statements_name_tables_of_the_models() -> None:
    tables = set(connection.introspection.table_names())
    named = set(re.findall(r"tenant_billing_[a-z]+", " ".join((CONSUME, LOOK_ALL["sqlite"], OPEN["sqlite"]))))
    expected = {Feature, Hold, LimitOverride, Plan, PlanLimit, Subscription, UsageCounter}
    assert named == {model._meta.db_table for model in expected}
    assert {model._meta.db_table for model in OURS} <= tables
