"""From an alias in settings to a gateway: what is right is built, what is wrong is named, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_tenant_billing.exceptions import GatewayNotConfigured
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.gateways.registry import gateway_aliases, get_gateway
from tests.servers import CANARY, log, places_of, shown

__all__ = ["log"]  # a fixture

KHALTI = "django_tenant_billing.gateways.khalti.KhaltiGateway"
HERE = __name__


class Fussy(KhaltiGateway):
    """A gateway of somebody else, whose own constructor finds something to say."""

    def __init__(self, **options: str) -> None:
        if len(options) != 1:
            raise ImproperlyConfigured("Fussy takes one option.")
        super().__init__(**options)


def set_gateways(settings: Any, value: object) -> None:
    settings.TENANT_BILLING_GATEWAYS = value


def refusal(alias: str = "khalti") -> GatewayNotConfigured:
    with pytest.raises(GatewayNotConfigured) as caught:
        get_gateway(alias)
    return caught.value


def test_a_gateway_is_built_from_its_backend_and_options(settings: Any) -> None:
    set_gateways(
        settings,
        {
            "khalti": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": CANARY, "callback_url": "https://a.test/back/"}},
            "wallet": {"BACKEND": f"{HERE}.Fussy", "OPTIONS": {"secret_key": CANARY}},
        },
    )
    assert gateway_aliases() == ["khalti", "wallet"]
    khalti = get_gateway("khalti")
    assert type(khalti) is KhaltiGateway
    assert khalti.callback_url == "https://a.test/back/"
    assert type(get_gateway("wallet")) is Fussy
    assert get_gateway("khalti") is not khalti


def test_the_flat_settings_of_the_guide_turn_khalti_on(settings: Any) -> None:
    assert gateway_aliases() == []
    settings.KHALTI_SECRET_KEY = CANARY
    settings.KHALTI_PUBLIC_KEY = "public"
    settings.KHALTI_CALLBACK_URL = "https://a.test/back/"
    assert gateway_aliases() == ["khalti"]
    khalti = get_gateway("khalti")
    assert isinstance(khalti, KhaltiGateway)
    assert (khalti.public_key, khalti.callback_url) == ("public", "https://a.test/back/")


def test_settings_are_read_anew_each_time(settings: Any) -> None:
    settings.KHALTI_SECRET_KEY = CANARY
    assert gateway_aliases() == ["khalti"]
    settings.KHALTI_SECRET_KEY = ""
    assert gateway_aliases() == []


@pytest.mark.parametrize("alias", ["esewa", "Khalti", "khalti ", ""])
def test_an_alias_that_nobody_configured_is_named_beside_those_that_are(alias: str, settings: Any) -> None:
    set_gateways(settings, {"khalti": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": CANARY}}, "wallet": {}})
    assert str(refusal(alias)) == f"There is no gateway {alias!r}. Configured: khalti, wallet."


def test_an_alias_is_unknown_where_there_is_no_gateway_at_all() -> None:
    assert str(refusal()) == "There is no gateway 'khalti'. Configured: none."


MISSHAPEN: dict[str, object] = {
    "nothing": {},
    "None": None,
    "a number": 5,
    "a path alone": KHALTI,
    "no backend": {"OPTIONS": {"secret_key": CANARY}},
    "a key too many": {"BACKEND": KHALTI, "OPTIONS": {"secret_key": CANARY}, "NAME": "Khalti"},
    "options in lower case": {"BACKEND": KHALTI, "options": {"secret_key": CANARY}},
    "options beside the backend": {"BACKEND": KHALTI, "secret_key": CANARY},
    "a class for a path": {"BACKEND": KhaltiGateway, "OPTIONS": {"secret_key": CANARY}},
    "no path": {"BACKEND": None, "OPTIONS": {"secret_key": CANARY}},
    "options in a list": {"BACKEND": KHALTI, "OPTIONS": [CANARY]},
    "options in a text": {"BACKEND": KHALTI, "OPTIONS": CANARY},
    "no options": {"BACKEND": KHALTI, "OPTIONS": None},
}


@pytest.mark.parametrize("shape", MISSHAPEN)
def test_an_entry_of_another_shape_is_refused_by_its_setting(
    shape: str, settings: Any, log: pytest.LogCaptureFixture
) -> None:
    set_gateways(settings, {"khalti": MISSHAPEN[shape]})
    error = refusal()
    assert str(error) == (
        'TENANT_BILLING_GATEWAYS[\'khalti\'] must have "BACKEND" (a dotted path), may have "OPTIONS" (a dict), '
        "and nothing else."
    )
    assert_unseen(error, settings, log)


@pytest.mark.parametrize(
    "path", ["KhaltiGateway", "no.such.module.Gateway", f"{KHALTI}Two", "", ".", ".Khalti", "..Khalti", "a b.C"]
)
def test_a_backend_that_cannot_be_imported_is_refused_by_its_setting(
    path: str, settings: Any, log: pytest.LogCaptureFixture
) -> None:
    set_gateways(settings, {"khalti": {"BACKEND": path, "OPTIONS": {"secret_key": CANARY}}})
    error = refusal()
    assert str(error).startswith("TENANT_BILLING_GATEWAYS['khalti'][\"BACKEND\"]: ")
    assert error.__cause__ is not None
    assert str(error.__cause__) in str(error)
    assert_unseen(error, settings, log)


@pytest.mark.parametrize(
    "path", ["django_tenant_billing.gateways.base.Order", "django_tenant_billing.gateways.registry.get_gateway"]
)
def test_a_backend_that_is_no_gateway_is_refused_by_its_setting(
    path: str, settings: Any, log: pytest.LogCaptureFixture
) -> None:
    set_gateways(settings, {"khalti": {"BACKEND": path, "OPTIONS": {"secret_key": CANARY}}})
    error = refusal()
    assert str(error) == f"TENANT_BILLING_GATEWAYS['khalti'][\"BACKEND\"]: {path} is not a Gateway."
    assert_unseen(error, settings, log)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"secret": CANARY}, "'secret'"),
        ({"secret_key": CANARY, "sekret": CANARY}, "'sekret'"),
        ({"SECRET_KEY": CANARY}, "'SECRET_KEY'"),
        ({}, "'secret_key'"),
        ({1: CANARY}, "keywords must be strings"),
    ],
    ids=["another name", "a name too many", "upper case", "none at all", "a number"],
)
def test_an_option_of_a_wrong_name_is_refused_by_setting_and_name(
    options: dict[Any, str], named: str, settings: Any, log: pytest.LogCaptureFixture
) -> None:
    set_gateways(settings, {"khalti": {"BACKEND": KHALTI, "OPTIONS": options}})
    del options  # no variable of the test itself may show it
    error = refusal()
    assert str(error).startswith("TENANT_BILLING_GATEWAYS['khalti'][\"OPTIONS\"]: ")
    assert named in str(error)
    assert error.__context__ is None
    assert_unseen(error, settings, log)


def test_a_backend_without_options_is_called_without(settings: Any) -> None:
    set_gateways(settings, {"wallet": {"BACKEND": f"{HERE}.Fussy"}})
    with pytest.raises(ImproperlyConfigured, match="Fussy takes one option"):
        get_gateway("wallet")


@pytest.mark.parametrize("value", [[{"BACKEND": KHALTI, "OPTIONS": {"secret_key": CANARY}}], "khalti", 5])
def test_gateways_that_are_no_dict_are_refused_by_their_setting(
    value: object, settings: Any, log: pytest.LogCaptureFixture
) -> None:
    set_gateways(settings, value)
    del value
    error = refusal()
    assert str(error).startswith("TENANT_BILLING_GATEWAYS must be a dict: ")
    with pytest.raises(GatewayNotConfigured, match="must be a dict"):
        gateway_aliases()
    assert_unseen(error, settings, log)


def assert_unseen(error: GatewayNotConfigured, settings: Any, log: pytest.LogCaptureFixture) -> None:
    """The secret stands in nothing of this error."""
    del settings.TENANT_BILLING_GATEWAYS  # Django's pages list the settings by a filter of their own
    assert places_of(CANARY, shown(error, log)) == []


def test_a_constructor_called_by_a_variable_would_show_the_secret(log: pytest.LogCaptureFixture) -> None:
    entry: dict[str, Any] = {"BACKEND": KhaltiGateway, "OPTIONS": {"secret": CANARY}}
    with pytest.raises(TypeError) as caught:
        entry["BACKEND"](**entry["OPTIONS"])
    assert "locals of error" in places_of(CANARY, shown(caught.value, log))
