"""SIGKILL before and after each statement and commit: nothing paid is lost, nothing is counted without its row."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import Client

from django_tenant_billing import clock, payments, quotas
from django_tenant_billing.gateways.base import Claim
from django_tenant_billing.models import Activation, PaymentTransaction, Subscription, UsageCounter
from tests.folding import assert_log_folds_to_state
from tests.races.harness import ErrorInProcess, KillPoint, die_at, kill_at, points_of, run_processes, run_together
from tests.races.test_payment_races import act, deliver, owner, paid_at_the_wallet
from tests.testapp.models import Customer, Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]


def lease_is_over() -> None:
    # By the database's clock, wherever ours has been moved.
    PaymentTransaction.objects.exclude(leased_until=None).update(leased_until=clock.now() - timedelta(days=365))


def assert_active_once(payment: PaymentTransaction) -> None:
    payment.refresh_from_db()
    subscription = Subscription.objects.get(organization=owner(payment))
    assert payment.status == "paid"
    assert subscription.plan_in_force(clock.now()) == "PRO"
    assert Activation.objects.filter(payment=payment).count() == 1
    assert subscription.period_end is not None
    assert subscription.period_end - subscription.period_start <= timedelta(days=31)


def sweep_twice() -> None:
    """A worker's claim on a batch is over by the second run, and so is the lease of one that died."""
    for minutes in (2, 5):
        lease_is_over()
        with clock.moved(timedelta(minutes=minutes)):
            payments.reconcile(per_second=1000)


@pytest.mark.parametrize("repair", ["callback", "sweep"])
def test_k1_settle_killed_anywhere_is_finished_by_one_more_callback_or_sweep(wallet: str, repair: str) -> None:
    rehearsal = paid_at_the_wallet(wallet, "rehearsal")
    points = points_of(lambda: payments.settle(rehearsal))
    assert len(points) > 50
    killed = [paid_at_the_wallet(wallet, f"{point}"[:80]) for point in points]
    for point, payment in zip(points, killed, strict=True):
        assert kill_at(point, partial(payments.settle, payment))
    assert_log_folds_to_state()
    lease_is_over()
    if repair == "callback":
        for payment in killed:
            assert deliver(payment) == 303
            assert_active_once(payment)
    sweep_twice()
    for payment in killed:
        assert_active_once(payment)
        claims = [event.detail for event in payment.events.all() if event.kind == "claim"]
        assert claims == ([""] if repair == "callback" else [])
    assert_log_folds_to_state()


def test_k1_a_claim_killed_anywhere_is_logged_whole_or_not_at_all_and_the_payer_comes_again(wallet: str) -> None:
    def bring(payment: PaymentTransaction) -> None:
        claim = Claim(reference=None, gateway_reference=payment.gateway_reference, status="Completed")
        payments.record_claim("khalti", claim, payment)

    seen = set()
    for point in points_of(partial(bring, paid_at_the_wallet(wallet, "rehearsal"))):
        payment = paid_at_the_wallet(wallet, f"{point}"[:80])
        assert kill_at(point, partial(bring, payment))
        logged = payment.events.filter(kind="claim").count()
        assert deliver(payment) == 303
        assert payment.events.filter(kind="claim").count() == logged + 1
        assert_active_once(payment)
        seen.add(logged)
    assert seen == {0, 1}
    sweep_twice()
    assert_log_folds_to_state()


def settle_in_two_commits(payment: PaymentTransaction) -> None:
    """What most code does: confirm, commit, activate; and on re-entry "already confirmed, so return"."""
    payment = PaymentTransaction.objects.get(pk=payment.pk)
    if payment.status == "paid":
        return
    with transaction.atomic():
        PaymentTransaction.objects.filter(pk=payment.pk).update(status="paid", paid_at=clock.now())
    PaymentTransaction.objects.get(pk=payment.pk).activate_plan()


@pytest.mark.breaks_the_log
def test_k1_two_commits_lose_the_activation_when_killed_between_them(wallet: str) -> None:
    rehearsal = paid_at_the_wallet(wallet, "rehearsal")
    lost = 0
    for point in points_of(lambda: settle_in_two_commits(rehearsal)):
        if not point.after:
            payment = paid_at_the_wallet(wallet, f"{point}"[:80])
            assert kill_at(point, partial(settle_in_two_commits, payment))
            settle_in_two_commits(payment)
            lost += not Activation.objects.filter(payment=payment).exists()
    assert lost > 0


def test_k1_start_killed_anywhere_leaves_nothing_that_could_be_paid_unseen(wallet: str) -> None:
    def start(organization: Organization) -> None:
        payments.start(organization, "PRO", "khalti", base_url="http://testserver")

    known = 0
    for point in points_of(partial(start, Organization.objects.create(name="Rehearsal"))):
        organization = Organization.objects.create(name=f"{point}"[:80])
        assert kill_at(point, partial(start, organization))
        assert_log_folds_to_state(*PaymentTransaction.objects.filter(organization=organization))
        for payment in PaymentTransaction.objects.filter(organization=organization, status="initiated"):
            # Whoever gets this far may pay, although its worker died: from here on we ask.
            act(wallet, payment, "close_tab")
            known += 1
    assert known > 0
    with clock.moved(timedelta(minutes=16)):
        payments.reconcile(per_second=1000)
        payments.reconcile(per_second=1000)
    assert not PaymentTransaction.objects.filter(status="created").exists()
    assert Activation.objects.count() == PaymentTransaction.objects.filter(status="paid").count() == known
    assert_log_folds_to_state()


@pytest.fixture
def browser() -> Client:
    client = Client(headers={"X-Organization": str(Organization.objects.create(name="Forms").pk)})
    client.force_login(User.objects.create_user("killed"))
    return client


def rows_and_count() -> tuple[int, int]:
    return Customer.objects.count(), sum(UsageCounter.objects.values_list("used", flat=True))


def test_a_form_view_under_the_mixin_killed_anywhere_leaves_rows_and_count_equal(browser: Client) -> None:
    def post() -> None:
        assert browser.post("/customers/new/", {"name": "Sita"}).status_code == 302

    seen = set()
    points = points_of(post)
    assert rows_and_count() == (1, 1)
    for point in points:
        Customer.objects.all().delete()
        UsageCounter.objects.all().delete()
        assert kill_at(point, post)
        rows, count = rows_and_count()
        assert rows == count
        seen.add(rows)
    # Killed before its commit nothing is there; killed after it both are.
    assert seen == {0, 1}


def test_counting_first_in_a_commit_of_its_own_leaves_a_count_without_its_row(browser: Client) -> None:
    """The negative control: the same work, counted outside the transaction of its row."""
    organization = Organization.objects.get()

    def create() -> None:
        quotas.consume(organization, "customers")
        Customer.objects.create(organization=organization, name="Sita")

    unequal = 0
    for point in points_of(create):
        Customer.objects.all().delete()
        UsageCounter.objects.all().delete()
        assert kill_at(point, create)
        rows, count = rows_and_count()
        unequal += rows != count
    assert unequal > 0


def test_the_harness_hands_an_error_of_one_thread_to_the_test() -> None:
    def work(index: int) -> int:
        return 6 // index

    with pytest.raises(ZeroDivisionError):
        run_together(2, work)
    assert run_together(2, lambda index: work(index + 1)) == [6, 3]
    with pytest.raises(ErrorInProcess, match="ZeroDivisionError"):
        run_processes(2, work)
    assert run_processes(2, lambda index: work(index + 1)) == [6, 3]


def test_the_harness_dies_exactly_where_it_is_told() -> None:
    deaths: list[str] = []

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        deaths.append("worked")

    for after in (False, True):
        die_at(KillPoint(0, after), work, lambda: deaths.append("died"))
    assert deaths == ["died", "worked", "died", "worked"]
    assert kill_at(KillPoint(99, after=False), work) is False
    connections.close_all()
