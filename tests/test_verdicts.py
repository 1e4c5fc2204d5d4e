"""What proofs and time mean for a payment, at each edge. No gateway: rows, proofs and moments are made here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import models, transaction

from django_tenant_billing.gateways.base import Outcome, Proof
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, PlanPrice, Subscription
from django_tenant_billing.states import (
    DASHBOARD_CHECKS,
    HORIZON,
    LATE_CHECKS,
    NOT_FOUND_AFTER,
    NOT_FOUND_APART,
    REFUND_CHECK,
    REFUND_GIVEN_UP_AFTER,
    SETTLED,
    STALE_AFTER,
    PaymentState,
)
from django_tenant_billing.verdicts import judge, next_question, overdue, refund_asked, refund_of
from tests.sales import pay
from tests.testapp.models import Organization

pytestmark = pytest.mark.breaks_the_log  # payments are made without their log

NOW = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)
S = PaymentState
Kind = PaymentEvent.Kind


def payment(organization: Organization | None = None, **fields: Any) -> PaymentTransaction:
    """An attempt to pay for PRO that was started just now, not saved."""
    status = fields.setdefault("status", S.INITIATED)
    facts: dict[str, Any] = {
        "organization": organization, "organization_key": "1", "organization_name": "Himal", "reference": "TB-1",
        "purchase": "p1", "gateway": "khalti", "gateway_reference": "pidx1", "plan_id": "PRO", "amount_minor": 390_000,
        "currency": "NPR", "interval": "month", "interval_count": 1, "created_at": NOW,
        "initiated_at": NOW, "paid_at": NOW if status in SETTLED else None,
    }  # fmt: skip
    return PaymentTransaction(**{**facts, **fields})


def saved(organization: Organization, **fields: Any) -> PaymentTransaction:
    made = payment(organization, **fields)
    made.save(force_insert=True)
    return made


def proof(outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> Proof:
    facts: dict[str, Any] = {"status": outcome.value, "amount_minor": 390_000, "gateway_reference": "pidx1"}
    return Proof(outcome=outcome, **{**facts, **fields})


def judged(of: PaymentTransaction, said: Proof, now: datetime = NOW) -> tuple[PaymentState, str]:
    with transaction.atomic():
        return judge(of, said, now)


def line(of: PaymentTransaction, kind: Kind, at: datetime, **fields: Any) -> None:
    PaymentEvent.objects.create(payment=of, gateway=of.gateway, kind=kind, at=at, **fields)


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "age", "end"),
    [
        (S.INITIATED, HORIZON - MOMENT, None),
        (S.INITIATED, HORIZON, (S.EXPIRED, "horizon")),
        (S.PENDING, HORIZON, None),
        (S.PENDING, STALE_AFTER - MOMENT, None),
        (S.PENDING, STALE_AFTER, (S.REVIEW, "stale")),
    ],
)
def test_time_ends_what_is_open_on_the_moment(said: PaymentState, age: timedelta, end: object) -> None:
    assert overdue(payment(), said, NOW + age) == end
    # Counted from when the payer could go there, which may be later than the row.
    assert overdue(payment(created_at=NOW - age), said, NOW + age) == end
    assert overdue(payment(initiated_at=None), said, NOW + age) == end
    assert overdue(payment(initiated_at=NOW + MOMENT), said, NOW + age) is None


@pytest.mark.parametrize(
    ("status", "after", "asked_after"),
    [
        (S.INITIATED, timedelta(0), timedelta(minutes=1)),
        (S.PENDING, HORIZON, HORIZON + timedelta(days=1)),
        (S.REFUND_PENDING, timedelta(days=9), timedelta(days=9) + REFUND_CHECK),
        (S.PAID, DASHBOARD_CHECKS[0] - MOMENT, DASHBOARD_CHECKS[0]),
        (S.PAID, DASHBOARD_CHECKS[0], DASHBOARD_CHECKS[1]),
        (S.PARTIALLY_REFUNDED, DASHBOARD_CHECKS[3], DASHBOARD_CHECKS[4]),
        (S.PAID, DASHBOARD_CHECKS[4], None),
        (S.FAILED, timedelta(0), LATE_CHECKS[0]),
        (S.CANCELED, LATE_CHECKS[0], LATE_CHECKS[1]),
        (S.EXPIRED, LATE_CHECKS[1], None),
        (S.REVIEW, timedelta(0), None),
        (S.REFUNDED, timedelta(0), None),
    ],
)
def test_the_next_question_comes_by_the_schedule_of_its_state(
    status: PaymentState, after: timedelta, asked_after: timedelta | None
) -> None:
    now, due = NOW + after, asked_after and NOW + asked_after
    assert next_question(payment(status=status), status, now) == due
    assert next_question(payment(status=status, created_at=NOW - timedelta(days=2)), status, now) == due
    assert next_question(payment(status=status, initiated_at=None), status, now) == due


def test_what_is_paid_just_now_is_looked_at_in_a_week() -> None:
    assert next_question(payment(), S.PAID, NOW + HORIZON) == NOW + HORIZON + DASHBOARD_CHECKS[0]


@pytest.mark.parametrize(
    ("age", "apart", "gone"),
    [
        (NOT_FOUND_AFTER, NOT_FOUND_APART, True),
        (NOT_FOUND_AFTER - MOMENT, NOT_FOUND_APART, False),
        (NOT_FOUND_AFTER, NOT_FOUND_APART - MOMENT, False),
    ],
)
def test_what_is_not_found_is_gone_on_the_moment(
    organization: Organization, age: timedelta, apart: timedelta, *, gone: bool
) -> None:
    started, now, said = saved(organization, created_at=NOW - HORIZON), NOW + age, proof(Outcome.NOT_FOUND)
    for at in (now - apart, now):
        line(started, Kind.PROOF, at, detail=said.status)
    assert judged(started, said, now) == ((S.EXPIRED, "not_found") if gone else (S.INITIATED, ""))
    started.created_at, started.initiated_at = NOW, None
    assert judged(started, said, now)[0] == (S.EXPIRED if gone else S.INITIATED)


# --- money that went back ---------------------------------------------------------------------------------------------


def asked_back(organization: Organization, source: PaymentState = S.PAID) -> PaymentTransaction:
    """A payment whose refund was asked for twice, the second time for 500 paisa."""
    made = saved(organization, status=S.REFUND_PENDING, detail="asked")
    for at, amount in ((NOW - HORIZON, 100), (NOW, 500)):
        line(made, Kind.MOVED, at, from_status=source, to_status=S.REFUND_PENDING, data={"amount_minor": amount})
    return made


def test_of_a_refund_the_last_time_it_was_asked_for_counts(organization: Organization) -> None:
    made = asked_back(organization)
    assert (refund_of(made), refund_asked(made)) == ((S.PAID, NOW), 500)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome.REFUNDED, S.REFUNDED), (Outcome.PARTIALLY_REFUNDED, S.PARTIALLY_REFUNDED)],
)
def test_who_sent_money_back_is_told_apart(organization: Organization, outcome: Outcome, state: PaymentState) -> None:
    assert judged(payment(status=S.PAID), proof(outcome)) == (state, "at_gateway")
    assert judged(asked_back(organization), proof(outcome)) == (state, "")


def test_a_refund_is_given_up_on_the_moment(organization: Organization) -> None:
    made = asked_back(organization, S.PARTIALLY_REFUNDED)
    for still in (Outcome.SUCCEEDED, Outcome.PARTIALLY_REFUNDED):
        assert judged(made, proof(still), NOW + REFUND_GIVEN_UP_AFTER - MOMENT) == (S.REFUND_PENDING, "asked")
        given_up = judged(made, proof(still), NOW + REFUND_GIVEN_UP_AFTER)
        assert given_up == (S.PARTIALLY_REFUNDED, "refund_not_made")
        about_another = proof(still, gateway_reference="pidx2")
        assert judged(made, about_another, NOW + REFUND_GIVEN_UP_AFTER) == (S.REFUND_PENDING, "asked")


def test_what_was_refunded_stays_so(organization: Organization) -> None:
    for outcome in Outcome:
        assert judged(payment(status=S.REFUNDED, detail="at_gateway"), proof(outcome)) == (S.REFUNDED, "at_gateway")


# --- what a gateway says of a payment ---------------------------------------------------------------------------------

GATEWAY = "gateway"
KEPT = "kept"
"""The detail that a payment had before."""


@pytest.mark.parametrize(
    ("outcome", "target"),
    [
        (Outcome.INITIATED, (S.INITIATED, "")),
        (Outcome.PENDING, (S.PENDING, "")),
        (Outcome.FAILED, (S.FAILED, GATEWAY)),
        (Outcome.CANCELED, (S.CANCELED, GATEWAY)),
        (Outcome.EXPIRED, (S.EXPIRED, GATEWAY)),
        (Outcome.REFUNDED, (S.REVIEW, "refunded_before_activation")),
        (Outcome.PARTIALLY_REFUNDED, (S.REVIEW, "refunded_before_activation")),
    ],
)
def test_an_open_payment_follows_the_gateway_and_a_closed_one_only_to_money(
    outcome: Outcome, target: tuple[PaymentState, str]
) -> None:
    for status in (S.INITIATED, S.PENDING):
        assert judged_alone(payment(status=status, detail=KEPT), outcome) == target
    for status in (S.FAILED, S.CANCELED, S.EXPIRED):
        expected = target if target[0] is S.REVIEW else (status, KEPT)
        assert judged_alone(payment(status=status, detail=KEPT), outcome) == expected


@pytest.mark.parametrize("status", [S.CREATED, S.REVIEW, S.DISMISSED])
def test_no_answer_moves_what_a_person_must_decide_or_decided(status: PaymentState) -> None:
    for outcome in Outcome:
        assert judged_alone(payment(status=status, detail=KEPT), outcome) == (status, KEPT)


def test_an_answer_that_it_is_still_open_does_not_stop_the_time() -> None:
    assert judged_alone(payment(), Outcome.INITIATED, NOW + HORIZON) == (S.EXPIRED, "horizon")
    assert judged_alone(payment(), Outcome.PENDING, NOW + STALE_AFTER) == (S.REVIEW, "stale")


def judged_alone(of: PaymentTransaction, outcome: Outcome, now: datetime = NOW) -> tuple[PaymentState, str]:
    """Judged without a look at any row."""
    return judge(of, proof(outcome), now)


# --- money that came --------------------------------------------------------------------------------------------------


def test_money_that_fits_is_paid_also_where_its_own_number_is_known(organization: Organization) -> None:
    said = proof(gateway_transaction_id="txn1")
    assert judged(saved(organization, gateway_transaction_id="txn1"), said) == (S.PAID, "")


def test_the_number_of_another_payment_at_this_gateway_is_no_money(organization: Organization) -> None:
    mine = saved(organization)
    other = saved(
        organization, reference="TB-2", gateway="esewa", gateway_reference="pidx2", gateway_transaction_id="txn1"
    )
    said = proof(gateway_transaction_id="txn1")
    assert judged(mine, said) == (S.PAID, "")
    PaymentTransaction.objects.filter(pk=other.pk).update(gateway="khalti")
    assert judged(mine, said) == (S.REVIEW, "transaction_reused")


def test_the_payment_of_an_organization_without_a_subscription_makes_it_one(organization: Organization) -> None:
    Subscription.objects.all().delete()
    assert judged(saved(organization), proof()) == (S.PAID, "")
    assert Subscription.objects.get().anchor == NOW


@pytest.mark.parametrize(
    ("status", "age", "problem"),
    [
        (S.PENDING, HOUR, ""),
        (S.PENDING, HOUR + MOMENT, "price_gone"),
        (S.CANCELED, timedelta(0), "price_gone"),
    ],
)
def test_a_price_that_is_gone_held_until_the_moment(
    organization: Organization, status: PaymentState, age: timedelta, problem: str
) -> None:
    mine = saved(organization, status=status, created_at=NOW - HORIZON)
    paid_in_time = (S.PAID, "")
    assert judged(mine, proof(), NOW + age) == paid_in_time  # it is still sold
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=400_000)
    assert judged(mine, proof(), NOW + age) == ((S.REVIEW, problem) if problem else paid_in_time)
    mine.created_at, mine.initiated_at = NOW, None
    assert judged(mine, proof(), NOW + age) == ((S.REVIEW, problem) if problem else paid_in_time)


def test_money_for_nobody_or_twice_for_one_purchase_waits_for_a_person(organization: Organization) -> None:
    mine = saved(organization)
    nobodys = payment(None, reference="TB-2", gateway_reference="pidx2")
    nobodys.save(force_insert=True)
    assert judged(nobodys, proof(gateway_reference="pidx2")) == (S.REVIEW, "organization_gone")
    span = pay(organization, "PRO", NOW - timedelta(days=1))
    assert judged(mine, proof()) == (S.PAID, "")
    Activation.objects.filter(pk=span.pk).update(purchase=mine.purchase)
    assert judged(mine, proof()) == (S.REVIEW, "duplicate")


def test_credit_that_is_there_no_more_waits_for_a_person(organization: Organization) -> None:
    mine = saved(organization, amount_minor=340_000, credit_minor=50_000)
    said = proof(amount_minor=340_000)
    Subscription.objects.update(credit_minor=50_000, credit_currency="NPR")
    assert judged(mine, said) == (S.PAID, "")
    Subscription.objects.update(credit_minor=49_999)
    assert judged(mine, said) == (S.REVIEW, "credit_gone")


Change = Callable[[Organization, Activation], Any]


def close(_organization: Organization, span: Activation) -> None:
    Activation.objects.filter(pk=span.pk).update(closed_at=NOW)


def give_to_another(_organization: Organization, span: Activation) -> None:
    another = Organization.objects.create(name="Another")
    Activation.objects.filter(pk=span.pk).update(subscription=Subscription.objects.get(organization=another))


def end(_organization: Organization, span: Activation) -> None:
    Activation.objects.filter(pk=span.pk).update(starts_at=NOW - HORIZON, ends_at=NOW + timedelta(minutes=2))


def pay_with_an_older_payment(organization: Organization, span: Activation) -> None:
    older = saved(
        organization, reference="TB-0", gateway_reference="pidx0", purchase="p0", created_at=NOW - HORIZON,
        status=S.PAID,
    )  # fmt: skip
    Activation.objects.filter(pk=span.pk).update(payment=older)


def buy_before(_organization: Organization, span: Activation) -> None:
    Activation.objects.filter(pk=span.pk).update(at=NOW)


def pay_for_the_same(_organization: Organization, span: Activation) -> None:
    Activation.objects.filter(pk=span.pk).update(plan="PRO")


def nothing(_organization: Organization, _span: Activation) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "superseded"),
    [
        (nothing, True),
        (close, False),
        (give_to_another, False),
        (end, False),
        (pay_with_an_older_payment, False),
        (buy_before, False),
        (pay_for_the_same, False),
    ],
)
def test_only_what_this_organization_bought_later_and_still_has_stands_in_the_way(
    organization: Organization, change: Change, *, superseded: bool
) -> None:
    late = saved(organization)
    change(organization, pay(organization, "BASIC", NOW + timedelta(minutes=1)))
    found = judged(late, proof(), NOW + timedelta(minutes=2))
    assert found == ((S.REVIEW, "superseded") if superseded else (S.PAID, ""))


class Replicated:
    """A router of a site whose replica is gone: whoever reads from it fails."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        assert issubclass(model, models.Model)
        return "default"


def test_no_verdict_reads_a_replica(organization: Organization, settings: Any) -> None:
    made, back = saved(organization, gateway_reference="pidx2", reference="TB-2"), asked_back(organization)
    line(made, Kind.PROOF, NOW, detail="not_found")
    settings.DATABASE_ROUTERS = [Replicated()]
    with pytest.raises(Exception, match="replica"):
        PaymentTransaction.objects.count()
    assert judged(made, proof(Outcome.NOT_FOUND)) == (S.INITIATED, "")
    assert (refund_of(back), refund_asked(back)) == ((S.PAID, NOW), 500)
    assert judged(back, proof(Outcome.REFUNDED)) == (S.REFUNDED, "")
    another: dict[str, Any] = {"gateway_reference": "pidx2", "gateway_transaction_id": "txn1"}
    PaymentTransaction.objects.using("default").filter(pk=back.pk).update(gateway_transaction_id="txn1")
    assert judged(made, proof(**another)) == (S.REVIEW, "transaction_reused")
