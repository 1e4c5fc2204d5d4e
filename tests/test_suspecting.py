"""What looks forged is noted, told and announced, and what is honest is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentEvent, PaymentTransaction
from django_tenant_billing.payments.claims import LONG_AGO
from django_tenant_billing.payments.suspecting import OF_PROOFS, REASONS, suspect, suspect_review
from django_tenant_billing.signals import suspicious_payment
from tests.folding import assert_log_folds_to_state
from tests.test_esewa import booked, data, decide
from tests.test_payments import pay, start, tamper
from tests.test_views_callbacks import come_back
from tests.testapp.models import Organization

Told = Callable[[], list[tuple[str, str, str]]]


@pytest.fixture
def told() -> Iterator[Told]:
    """What was announced after commit: reference, gateway and reason. Nothing commits in these tests but by asking."""
    announced: list[tuple[str, str, str]] = []

    def listen(payment: Any, gateway: str, reference: str, reason: str, **_kwargs: Any) -> None:
        assert payment is None or payment.reference == reference
        announced.append((reference, gateway, reason))

    def committed() -> list[tuple[str, str, str]]:
        while connection.run_on_commit:
            connection.run_on_commit.pop(0)[1]()
        return announced

    suspicious_payment.connect(listen)
    yield committed
    suspicious_payment.disconnect(listen)
    assert_log_folds_to_state()


def suspicion(payment: PaymentTransaction) -> str:
    payment.refresh_from_db()
    return payment.suspicion


def esewa_returns(payment: PaymentTransaction, text: str, way: str = "success") -> int:
    return Client().get(f"/billing/esewa/{way}/{payment.reference}/", {"data": text}).status_code


def test_an_honest_payer_is_never_suspected(simulator: Server, organization: Organization, told: Told) -> None:
    payment = start(organization)
    come_back(payment, status="User canceled")
    pay(simulator, payment)
    come_back(payment)
    Client().get(f"/billing/khalti/callback/{payment.reference}/")
    signed = booked(organization)
    back = decide(simulator, signed)
    for _time in range(3):
        assert Client().get(back).status_code == 303
    Client().get(f"/billing/esewa/failure/{signed.reference}/")
    assert (suspicion(payment), suspicion(signed), told()) == ("", "", [])


@pytest.mark.parametrize("changes", [{"pidx": "bZQLD9wRVWo4CdESSfuSsB"}, {"purchase_order_id": "TB-OTHER"}])
def test_a_return_that_names_another_payment_is_a_mismatch(
    simulator: Server, organization: Organization, told: Told, changes: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    payment = start(organization)
    come_back(payment, **changes)
    assert (suspicion(payment), told()) == ("mismatch", [(payment.reference, "khalti", "mismatch")])
    assert f"Suspicious (mismatch) at gateway khalti: payment {payment.reference}." in caplog.messages
    pay(simulator, payment)
    come_back(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.suspicion) == ("paid", "mismatch")


@pytest.mark.parametrize("way", ["success", "failure"])
def test_a_wrong_signature_is_noted_on_the_payment_it_came_for(
    simulator: Server, organization: Organization, told: Told, way: str
) -> None:
    payment = booked(organization)
    esewa_returns(payment, data("another secret", transaction_uuid=payment.reference), way)
    assert (suspicion(payment), told()) == ("bad_signature", [(payment.reference, "esewa", "bad_signature")])
    assert PaymentEvent.objects.get(kind="refused").reference == payment.reference


def test_a_signature_that_covers_too_little_is_a_wrong_one_and_what_cannot_be_read_is_only_refused(
    simulator: Server, organization: Organization, told: Told
) -> None:
    payment = booked(organization)
    assert esewa_returns(payment, "no base64!") == 400
    assert suspicion(payment) == ""
    short = data(names="total_amount,transaction_uuid,product_code", transaction_uuid=payment.reference)
    assert esewa_returns(payment, short) == 400
    assert suspicion(payment) == "bad_signature"


def test_forgeries_that_name_no_payment_are_announced_once_a_minute_and_logged_each_time(
    simulator: Server, organization: Organization, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    forged = data("another secret", transaction_uuid="TB-NOBODY")
    for path in ("success/", "success/TB-NOBODY/", "success/TB-NOBODY/"):
        assert Client().get(f"/billing/esewa/{path}", {"data": forged}).status_code == 400
    assert told() == [("", "esewa", "bad_signature")]
    assert sum("Suspicious (bad_signature)" in message for message in caplog.messages) == 3
    assert PaymentEvent.objects.filter(kind="refused").count() == 3
    with clock.moved(timedelta(minutes=2)):
        Client().get("/billing/esewa/success/TB-NOBODY/", {"data": forged})
    assert told()[1:] == [("TB-NOBODY", "esewa", "bad_signature")]


def test_a_genuine_return_of_another_order_is_a_replay(
    simulator: Server, organization: Organization, told: Told
) -> None:
    cheap, dear = booked(organization, "BASIC"), booked(Organization.objects.create(name="Dear"))
    text = decide(simulator, cheap).partition("data=")[2]
    answer = Client().get(f"/billing/esewa/success/{dear.reference}/?data={text}")
    assert answer.headers["Location"] == "/billing/payments/"
    assert (suspicion(dear), suspicion(cheap), dear.status) == ("replay", "", "pending")
    assert told() == [(dear.reference, "esewa", "replay")]


def test_p3_a_genuine_return_comes_again_at_once_and_after_a_day_and_changes_nothing_but_the_suspicion(
    simulator: Server, organization: Organization, told: Told
) -> None:
    payment = booked(organization)
    back = decide(simulator, payment)
    Client().get(back)
    assert payments.settle(payment).status == "paid"
    payment.refresh_from_db()
    before = payment.paid_at
    for offset, expected in ((timedelta(minutes=1), ""), (LONG_AGO - timedelta(hours=1), ""), (LONG_AGO, "replay")):
        with clock.moved(offset):
            claims = PaymentEvent.objects.filter(kind="claim").count()
            assert Client().get(back).status_code == 303
            assert PaymentEvent.objects.filter(kind="claim").count() == claims + 1
        assert suspicion(payment) == expected
        assert (payment.status, payment.paid_at) == ("paid", before)
    assert len(told()) == 1


def test_a_burst_is_logged_and_answered_but_asks_nobody_and_the_sweep_finds_what_it_hid(
    simulator: Server, organization: Organization, told: Told
) -> None:
    payment = start(organization)
    for _time in range(6):
        come_back(payment)
    assert suspicion(payment) == ""
    pay(simulator, payment)
    asked = payment.events.filter(kind="asked").count()
    answers = [come_back(payment) for _time in range(4)]
    assert {(answer.status_code, "/payments/TB-" in answer.headers["Location"]) for answer in answers} == {(303, True)}
    page = Client().get(answers[0].headers["Location"]).content.decode()
    assert "We are confirming your payment" in page
    assert payment.events.filter(kind="asked").count() == asked == 6
    assert payment.events.filter(kind="claim").count() == 10
    assert (suspicion(payment), told()) == ("burst", [(payment.reference, "khalti", "burst")])
    with clock.moved(timedelta(minutes=5)):
        assert payments.reconcile().paid == 1


@pytest.mark.parametrize(("detail", "reason"), OF_PROOFS.items())
def test_a_proof_that_does_not_fit_is_suspected_by_its_detail(
    simulator: Server, organization: Organization, told: Told, detail: str, reason: str
) -> None:
    payment = start(organization)
    payment.detail = detail
    suspect_review(payment)
    assert (suspicion(payment), told()) == (reason, [(payment.reference, "khalti", reason)])


def test_a_review_for_an_innocent_reason_is_not(simulator: Server, organization: Organization, told: Told) -> None:
    payment = start(organization)
    payment.detail = "superseded"
    suspect_review(payment)
    assert (suspicion(payment), told()) == ("", [])


def test_a_payment_keeps_the_gravest_reason_and_each_rise_is_announced(
    simulator: Server, organization: Organization, told: Told
) -> None:
    payment = start(organization)
    for reason in ("mismatch", "burst", "mismatch", "amount", "replay", "transaction_reused", *REASONS):
        suspect(payment, "khalti", reason)
    assert payment.suspicion == "transaction_reused"
    assert suspicion(payment) == "transaction_reused"
    assert [reason for *_where, reason in told()] == ["mismatch", "amount", "transaction_reused"]
    assert all(len(reason) <= 30 for reason in REASONS)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_raises_hides_nothing_and_stops_no_other(
    simulator: Server, organization: Organization, request: pytest.FixtureRequest
) -> None:
    def broken(**_kwargs: Any) -> None:
        raise RuntimeError("the mail server is down")

    suspicious_payment.connect(broken)
    told: Told = request.getfixturevalue("told")  # connected after the broken one, so called after it
    payment = start(organization)
    try:
        assert come_back(payment, pidx="other").status_code == 303
    finally:
        suspicious_payment.disconnect(broken)
    assert told() == [(payment.reference, "khalti", "mismatch")]


def test_the_admin_lists_and_filters_by_suspicion(simulator: Server, organization: Organization) -> None:
    quiet, loud = start(organization), start(organization, "BASIC")
    come_back(loud, pidx="other")
    tamper(simulator, quiet, total_amount=390000)
    staff = Client()
    staff.force_login(User.objects.create_superuser("asha"))
    page = staff.get("/admin/tenant_billing/paymenttransaction/?suspicion=mismatch").content.decode()
    assert loud.reference in page
    assert quiet.reference not in page
    assert 'field-suspicion">mismatch<' in page
