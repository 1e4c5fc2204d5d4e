"""Every setting: its default, what it takes, and that it is read when it is asked for."""

import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_tenant_billing.conf import SETTING_NAMES, Settings, conf, load


def a_function(*_arguments: Any) -> None:
    """Stands for what a site may name."""


def another_function(*_arguments: Any) -> None:
    """Stands for what holds where it names nothing."""


@pytest.mark.parametrize(
    ("name", "default", "given", "read"),
    [
        ("ORGANIZATION_MIGRATION", "__first__", "0002_organization", "0002_organization"),
        ("ORGANIZATION_RESOLVER", None, a_function, a_function),
        ("AUTHORIZE", None, "orgs.billing.authorize", "orgs.billing.authorize"),
        ("ORGANIZATION_TIME_ZONE", None, a_function, a_function),
        ("RELATED_PREFIX", "", "billing_", "billing_"),
        ("CATALOGUE", None, {"features": {}}, {"features": {}}),
        ("FALLBACK_PLAN", "FREE", "TRIAL", "TRIAL"),
        ("MODE", "sandbox", "live", "live"),
        ("PUBLIC_BASE_URL", None, "https://app.example.com/", "https://app.example.com"),
        ("ALLOW_SIMULATOR", False, True, True),
        ("TRUSTED_PROXIES", 0, 2, 2),
        ("SELLER", {}, {"name": "Himal"}, {"name": "Himal"}),
        ("BUYER", None, a_function, a_function),
        ("VAT", "exempt", "inclusive", "inclusive"),
        ("GATEWAYS", {}, {"till": {"BACKEND": "shop.Till"}}, {"till": {"BACKEND": "shop.Till"}}),
    ],
)
def test_a_setting_has_a_default_and_is_read_when_it_is_asked_for(
    name: str, default: object, given: object, read: object
) -> None:
    get: Callable[[Settings], object] = operator.attrgetter(name.lower())
    assert get(conf) == default
    with override_settings(**{f"TENANT_BILLING_{name}": given}):
        assert get(conf) == read
    assert get(conf) == default


def test_every_property_is_a_setting_and_nothing_else_is() -> None:
    assert {
        "TENANT_BILLING_ORGANIZATION_MODEL",
        "TENANT_BILLING_ORGANIZATION_MIGRATION",
        "TENANT_BILLING_ORGANIZATION_RESOLVER",
        "TENANT_BILLING_AUTHORIZE",
        "TENANT_BILLING_ORGANIZATION_TIME_ZONE",
        "TENANT_BILLING_RELATED_PREFIX",
        "TENANT_BILLING_CATALOGUE",
        "TENANT_BILLING_FALLBACK_PLAN",
        "TENANT_BILLING_SELLER",
        "TENANT_BILLING_BUYER",
        "TENANT_BILLING_VAT",
        "TENANT_BILLING_MODE",
        "TENANT_BILLING_PUBLIC_BASE_URL",
        "TENANT_BILLING_ALLOW_SIMULATOR",
        "TENANT_BILLING_TRUSTED_PROXIES",
        "TENANT_BILLING_GATEWAYS",
    } <= SETTING_NAMES
    assert {f"TENANT_BILLING_{name.upper()}" for name in dir(Settings) if not name.startswith("_")} == SETTING_NAMES


def test_the_organization_model_is_read_as_it_is_written() -> None:
    assert conf.organization_model == "testapp.Organization"


@pytest.mark.parametrize("value", [None, "", "Organization", "shop.orgs.Organization", 5])
def test_an_organization_model_that_names_no_model_shows_the_line_to_paste(value: object) -> None:
    with (
        override_settings(TENANT_BILLING_ORGANIZATION_MODEL=value),
        pytest.raises(ImproperlyConfigured, match=r'TENANT_BILLING_ORGANIZATION_MODEL = "orgs\.Organization"$'),
    ):
        conf.organization_model  # noqa: B018 - reading it raises


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_mode_is_the_sandbox_and_an_empty_base_url_is_none(value: str | None) -> None:
    with override_settings(TENANT_BILLING_MODE=value, TENANT_BILLING_PUBLIC_BASE_URL=value):
        assert conf.mode == "sandbox"
        assert conf.public_base_url is None


@pytest.mark.parametrize("value", [1, "yes", "True", None])
def test_only_true_itself_allows_the_simulator(value: object) -> None:
    with override_settings(TENANT_BILLING_ALLOW_SIMULATOR=value):
        assert conf.allow_simulator is False


def test_the_names_of_the_guide_switch_khalti_on() -> None:
    with override_settings(KHALTI_SECRET_KEY="secret"):
        assert conf.gateways == {
            "khalti": {
                "BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway",
                "OPTIONS": {"secret_key": "secret", "public_key": "", "callback_url": ""},
            }
        }
    with override_settings(
        KHALTI_SECRET_KEY="secret", KHALTI_PUBLIC_KEY="public", KHALTI_CALLBACK_URL="https://shop.example/paid/"
    ):
        assert conf.gateways["khalti"]["OPTIONS"] == {
            "secret_key": "secret",
            "public_key": "public",
            "callback_url": "https://shop.example/paid/",
        }


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_secret_key_as_an_environment_without_it_gives_leaves_khalti_off(empty: str | None) -> None:
    with override_settings(KHALTI_SECRET_KEY=empty, KHALTI_PUBLIC_KEY=empty, KHALTI_CALLBACK_URL=empty):
        assert conf.gateways == {}
    with override_settings(KHALTI_SECRET_KEY="secret", KHALTI_PUBLIC_KEY=empty, KHALTI_CALLBACK_URL=empty):
        assert conf.gateways["khalti"]["OPTIONS"] == {"secret_key": "secret", "public_key": "", "callback_url": ""}


def test_the_names_of_the_guide_switch_esewa_on_beside_khalti() -> None:
    with override_settings(ESEWA_MERCHANT_CODE="EPAYTEST", ESEWA_MERCHANT_SECRET="secret"):
        assert conf.gateways == {
            "esewa": {
                "BACKEND": "django_tenant_billing.gateways.esewa.EsewaGateway",
                "OPTIONS": {"merchant_code": "EPAYTEST", "merchant_secret": "secret"},
            }
        }
        with override_settings(KHALTI_SECRET_KEY="secret"):
            assert list(conf.gateways) == ["khalti", "esewa"]


@pytest.mark.parametrize(("code", "secret"), [("c", ""), ("c", None), ("", "s"), (None, "s"), (None, None)])
def test_half_an_esewa_is_off(code: str | None, secret: str | None) -> None:
    with override_settings(ESEWA_MERCHANT_CODE=code, ESEWA_MERCHANT_SECRET=secret):
        assert conf.gateways == {}


def test_the_full_map_wins_over_the_names_of_the_guide_even_where_it_is_empty() -> None:
    with override_settings(KHALTI_SECRET_KEY="secret", TENANT_BILLING_GATEWAYS={}):
        assert conf.gateways == {}


def test_a_setting_is_a_function_a_path_to_one_or_the_default() -> None:
    assert load(None, another_function) is another_function
    assert load(a_function, another_function) is a_function
    assert load("types.SimpleNamespace", another_function) is SimpleNamespace
    with pytest.raises(ImportError):
        load("orgs.no_such_function", another_function)
