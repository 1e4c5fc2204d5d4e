"""From a request to its organization, and the rights on it."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from django.utils.functional import SimpleLazyObject

from django_tenant_billing.exceptions import NotAuthorized, OrganizationNotFound
from django_tenant_billing.organizations import authorize, may, name_of, organization_model, organization_of
from tests.testapp.models import Organization

HIMAL = Organization(pk=1, name="Himal Traders")
PAHAD = Organization(pk=2, name="Pahad Foods")


def request(**attributes: Any) -> HttpRequest:
    made = RequestFactory().get("/")
    vars(made).update(attributes)
    return made


def always_pahad(_request: HttpRequest) -> Organization:
    return PAHAD


def nobody(_request: HttpRequest) -> None:
    return None


def only_looking(_request: HttpRequest, organization: Model, action: str) -> bool:
    return organization == HIMAL and action == "view"


def test_the_organization_model_is_the_sites_own() -> None:
    assert organization_model() is Organization


def test_the_organization_comes_from_the_request() -> None:
    assert organization_of(request(organization=HIMAL)) == HIMAL
    assert organization_of(request(tenant=PAHAD)) == PAHAD
    assert organization_of(request(organization=HIMAL, tenant=PAHAD)) == HIMAL
    assert organization_of(request(organization=None, tenant=PAHAD)) == PAHAD


@pytest.mark.parametrize("attributes", [{}, {"organization": None}, {"organization": None, "tenant": None}])
def test_a_request_of_no_organization_is_refused_in_the_words_of_the_guide(attributes: dict[str, None]) -> None:
    with pytest.raises(OrganizationNotFound, match=r"^Organization not found$") as refused:
        organization_of(request(**attributes))
    assert isinstance(refused.value, PermissionDenied)


@pytest.mark.parametrize("resolver", [always_pahad, f"{__name__}.always_pahad"], ids=["function", "path"])
def test_a_resolver_wins_over_the_attributes(resolver: Any) -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_RESOLVER=resolver):
        assert organization_of(request(organization=HIMAL)) == PAHAD


def test_a_resolver_that_finds_none_is_believed() -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_RESOLVER=nobody), pytest.raises(OrganizationNotFound):
        organization_of(request(organization=HIMAL))


def test_everybody_may_view_and_pay_unless_the_site_says_otherwise() -> None:
    for action in ("view", "pay"):
        authorize(request(), HIMAL, action)


@pytest.mark.parametrize("function", [only_looking, f"{__name__}.only_looking"], ids=["function", "path"])
def test_the_sites_function_decides_who_may_do_what(function: Any) -> None:
    with override_settings(TENANT_BILLING_AUTHORIZE=function):
        authorize(request(), HIMAL, "view")
        for organization, action in ((HIMAL, "pay"), (PAHAD, "view")):
            with pytest.raises(NotAuthorized, match="You do not have permission to do this") as refused:
                authorize(request(), organization, action)
            assert refused.value.action == action
            assert isinstance(refused.value, PermissionDenied)


def test_a_name_is_stored_no_longer_than_its_column() -> None:
    assert name_of(HIMAL) == "Himal Traders"
    assert name_of(Organization(name="ह" * 300)) == "ह" * 200


def test_an_object_of_another_model_is_no_organization_whatever_its_key(
    organization: Organization, settings: Any
) -> None:
    class Tenant:
        pk = organization.pk

    request = RequestFactory().get("/")
    request.tenant = Tenant()  # type: ignore[attr-defined]
    with pytest.raises(OrganizationNotFound):
        organization_of(request)
    request.tenant = organization  # type: ignore[attr-defined]
    assert organization_of(request) == organization
    settings.TENANT_BILLING_ORGANIZATION_RESOLVER = lambda request: Tenant()
    with pytest.raises(OrganizationNotFound):
        organization_of(request)


def test_a_lazy_organization_is_what_it_holds(organization: Organization) -> None:
    request = RequestFactory().get("/")
    request.organization = SimpleLazyObject(lambda: organization)  # type: ignore[attr-defined]
    assert organization_of(request) == organization
    request.organization = SimpleLazyObject(lambda: None)  # type: ignore[attr-defined]
    with pytest.raises(OrganizationNotFound):
        organization_of(request)


@override_settings(TENANT_BILLING_AUTHORIZE=only_looking)
def test_what_a_request_may_do_can_be_asked_without_an_error() -> None:
    assert may(request(), HIMAL, "view")
    assert not may(request(), HIMAL, "pay")
    assert not may(request(), PAHAD, "view")
