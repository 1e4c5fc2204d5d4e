"""A line of a log is written once: refused by the ORM and the admin, and by the database where it was hardened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection, models, transaction
from django.test import RequestFactory

from django_tenant_billing import clock, quotas
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import AppendOnly
from django_tenant_billing.hardening import missing
from django_tenant_billing.models import PaymentEvent, PaymentTransaction, SubscriptionEvent, UsageEntry
from django_tenant_billing.payments import settle
from tests.test_payments import pay, start
from tests.testapp.models import Organization

# What is defined in a database is not rolled back on all of them.
DEFINES = pytest.mark.django_db(transaction=True)

Change = Callable[[type[models.Model]], object]


def harden(*options: str) -> str:
    out = StringIO()
    call_command("billing_harden", *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def hardened(transactional_db: None) -> Iterator[None]:
    harden()
    yield
    harden("--remove")


@pytest.fixture
def logs(organization: Organization, simulator: Server) -> PaymentTransaction:
    """A line in each log."""
    payment = start(organization)
    pay(simulator, payment)
    quotas.consume(organization, "invoices")
    UsageEntry.objects.create(
        organization=organization, feature_id="invoices", change=1, verb="consume", at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip
    return settle(payment)


def execute(sql: str, model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.format(table=connection.ops.quote_name(model._meta.db_table)))


def first(model: type[models.Model]) -> Any:
    return model._base_manager.order_by("pk")[0]


def rows(model: type[models.Model]) -> list[dict[str, Any]]:
    return list(model._base_manager.order_by("pk").values())


BY_ORM: dict[str, Change] = {
    "save": lambda model: first(model).save(),
    "delete": lambda model: first(model).delete(),
    "update": lambda model: model._default_manager.update(actor="nobody"),
    "bulk_update": lambda model: model._default_manager.bulk_update([first(model)], ["actor"]),
    "delete of a query": lambda model: model._default_manager.all().delete(),
    "upsert by position": lambda model: model._default_manager.bulk_create(
        [first(model)], None, False, True, ["actor"], ["id"]
    ),
    "upsert": lambda model: model._default_manager.bulk_create(
        [first(model)], update_conflicts=True, update_fields=["actor"], unique_fields=["id"]
    ),
}
UPDATES: dict[str, Change] = {
    "update": lambda model: execute("UPDATE {table} SET actor = 'nobody'", model),
    "update of one column to itself": lambda model: execute("UPDATE {table} SET actor = actor", model),
    "past the manager": lambda model: models.QuerySet(model).update(actor="nobody"),
}
DELETES: dict[str, Change] = {
    "delete": lambda model: execute("DELETE FROM {table}", model),
    "past the manager": lambda model: models.QuerySet(model).delete(),
}


@pytest.mark.django_db
@pytest.mark.parametrize("how", BY_ORM)
@pytest.mark.parametrize("model", [PaymentEvent, SubscriptionEvent])
def test_a1_the_orm_changes_and_deletes_no_line(logs: PaymentTransaction, model: type[models.Model], how: str) -> None:
    before = rows(model)
    with pytest.raises(AppendOnly):
        BY_ORM[how](model)
    assert rows(model) == before


@pytest.mark.django_db
@pytest.mark.parametrize("model", [PaymentEvent, SubscriptionEvent, UsageEntry])
def test_a1_the_admin_changes_and_deletes_no_line(admin_user: Any, model: type[models.Model]) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    site_admin = admin.site._registry[model]
    assert site_admin.has_view_permission(request)
    assert not site_admin.has_add_permission(request)
    assert not site_admin.has_change_permission(request)
    assert not site_admin.has_delete_permission(request)


@DEFINES
def test_a1_a_hardened_database_changes_no_line_and_one_that_is_not_does(logs: PaymentTransaction) -> None:
    tries = [(model, change) for model in (PaymentEvent, SubscriptionEvent, UsageEntry) for change in UPDATES.values()]
    assert_refused(tries)
    for model, change in tries:
        change(model)


@DEFINES
@pytest.mark.breaks_the_log
def test_a1_a_hardened_postgresql_deletes_no_line_and_one_that_is_not_does(logs: PaymentTransaction) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("deletes are refused on PostgreSQL alone")
    assert_refused([(model, change) for model in (PaymentEvent, SubscriptionEvent) for change in DELETES.values()])
    for model, change in zip((PaymentEvent, SubscriptionEvent), DELETES.values(), strict=True):
        change(model)
        assert rows(model) == []


def assert_refused(tries: Sequence[tuple[type[models.Model], Change]]) -> None:
    """All of them, while the database is hardened."""
    harden()
    try:
        for model, change in tries:
            before = rows(model)
            with pytest.raises(DatabaseError, match="a line of a log is written once"), transaction.atomic():
                change(model)
            assert rows(model) == before
    finally:
        harden("--remove")


@DEFINES
@pytest.mark.usefixtures("hardened")
def test_a1_a_hardened_site_works_as_before(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    assert settle(payment).status == "paid"
    told = len(rows(PaymentEvent)), len(rows(SubscriptionEvent))
    assert min(told) > 0
    UsageEntry.objects.create(
        organization=organization, feature_id="invoices", change=1, verb="consume", at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip
    # The ledger goes with its organization; what tells of money stays.
    organization.delete()
    assert rows(UsageEntry) == []
    assert (len(rows(PaymentEvent)), len(rows(SubscriptionEvent))) == told
    call_command("flush", verbosity=0, interactive=False)
    assert rows(PaymentEvent) == []


@DEFINES
@pytest.mark.usefixtures("hardened")
def test_a_hardened_database_migrates_back_and_forth_and_says_that_its_triggers_are_gone() -> None:
    call_command("migrate", "tenant_billing", "zero", verbosity=0, interactive=False)
    call_command("migrate", verbosity=0, interactive=False)
    with pytest.raises(CommandError, match="Missing on 'default': tb_paymentevent_no_update"):
        harden("--check")
    assert "statements run" in harden()
    assert harden("--check") == "✓ every trigger is there\n"


@DEFINES
def test_hardening_twice_and_removing_twice_is_no_error() -> None:
    first_time = harden("--dry-run")
    assert first_time.count("CREATE") >= 3
    assert len(missing("default")) >= 3
    harden()
    assert (missing("default"), harden("--dry-run")) == ([], "")
    assert harden() == "✓ 0 statements run, the logs are hardened\n"
    assert harden("--remove", "--dry-run").count("DROP") >= 3
    assert missing("default") == []
    assert [harden("--remove") for _time in range(2)] == ["✓ the triggers are gone\n"] * 2
    assert harden("--dry-run") == first_time


@DEFINES
def test_a_trigger_that_somebody_disabled_is_missing_and_comes_back() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL disables a trigger")
    harden()
    execute("ALTER TABLE {table} DISABLE TRIGGER tb_paymentevent_no_update", PaymentEvent)
    assert [trigger.name for trigger in missing("default")] == ["tb_paymentevent_no_update"]
    harden()
    assert missing("default") == []
    harden("--remove")


@DEFINES
def test_who_may_not_create_triggers_is_told_what_to_do() -> None:
    def refuses(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("CREATE"):
            raise OperationalError("TRIGGER command denied")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuses), pytest.raises(CommandError, match=r"denied.*billing_harden --dry-run"):
        harden()
