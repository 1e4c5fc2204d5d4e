"""Whose calendar counts: what the site's function may return, and what it is told when it returns something else."""

from datetime import timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.functional import SimpleLazyObject

from django_tenant_billing.zones import zone_for, zone_of
from tests.testapp.models import Organization

HIMAL = Organization(pk=7, name="Himal Traders")
PLUS_SIX = timezone(timedelta(hours=6))


class OfPytz(ZoneInfo):
    """Stands for a zone of pytz: a tzinfo that needs its own arithmetic, known by the method for it."""

    localize = None


class Row:
    """Stands for a row of ours; whoever reads its organization is told."""

    def __init__(self) -> None:
        self.queries = 0

    @property
    def organization(self) -> Organization:
        self.queries += 1
        return HIMAL


def in_its_name(organization: Organization) -> str:
    return {"Himal Traders": "Asia/Kathmandu"}.get(organization.name, "America/New_York")


def returning(answer: object) -> Any:
    return override_settings(TENANT_BILLING_ORGANIZATION_TIME_ZONE=lambda _organization: answer)


def test_without_the_setting_the_zone_is_djangos_default_and_the_organization_is_not_asked_for() -> None:
    row = Row()
    with override_settings(TIME_ZONE="Pacific/Apia"):
        assert zone_of(HIMAL) == zone_for(row) == ZoneInfo("Pacific/Apia")
    assert row.queries == 0
    with returning("UTC"):
        assert zone_for(row) == ZoneInfo("UTC")
    assert row.queries == 1


@pytest.mark.parametrize("function", [in_its_name, f"{__name__}.in_its_name"], ids=["function", "path"])
def test_the_sites_function_tells_the_zone_of_each_organization(function: Any) -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_TIME_ZONE=function):
        assert zone_of(HIMAL) == zone_of(SimpleLazyObject(lambda: HIMAL)) == ZoneInfo("Asia/Kathmandu")
        assert zone_of(Organization(pk=8, name="Hudson Foods")) == ZoneInfo("America/New_York")


@pytest.mark.parametrize("zone", [PLUS_SIX, timezone.utc, ZoneInfo("Asia/Tokyo")], ids=str)  # noqa: UP017 - a tzinfo
def test_a_zone_is_taken_as_it_is(zone: tzinfo) -> None:
    with returning(zone):
        assert zone_of(HIMAL) is zone


@pytest.mark.parametrize(
    "answer",
    [
        None, "", "Asia/Katmandhu", "Asia", "../Asia/Kathmandu", "/etc/localtime", "x" * 300, "Asia\0", 345,
        timedelta(hours=6), ZoneInfo, OfPytz("America/New_York"),
    ],
)  # fmt: skip
def test_what_is_no_zone_is_told_with_its_organization_and_what_to_return(answer: object) -> None:
    with returning(answer), pytest.raises(ImproperlyConfigured) as told:
        zone_of(HIMAL)
    assert str(told.value).startswith(
        f"TENANT_BILLING_ORGANIZATION_TIME_ZONE returned {answer!r} for <Organization: Himal Traders> (key 7). Return "
    )
    assert '"Asia/Kathmandu"' in str(told.value)


def test_a_path_that_leads_nowhere_is_an_import_error() -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_TIME_ZONE="orgs.no_such_zone"), pytest.raises(ImportError):
        zone_of(HIMAL)
