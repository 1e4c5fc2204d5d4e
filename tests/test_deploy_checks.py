"""What check --deploy says of a site that takes payments: a setting that triggers each, and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.test import override_settings
from django.utils.log import AdminEmailHandler

from django_tenant_billing.deploy_checks import check_security
from django_tenant_billing.gateways.base import Gateway
from tests.test_checks import LIVE, found


class Wide(Gateway):
    """A gateway at a port of its own."""

    start_checkout = read_callback = look_up = None  # type: ignore[assignment]
    label = "Wide"
    origins = ("https://pay.example.com:8443", "https://b.example.com")


def said(*, handler: Any = None, **changes: Any) -> list[str]:
    with override_settings(**LIVE | changes), mailing(handler):
        return found(check_security())


@contextmanager
def mailing(handler: Any) -> Iterator[None]:
    """With this handler in LOGGING, which is read only: setting it anew would set up all logging of the run anew."""
    with mock.patch.dict(settings.LOGGING, {"handlers": {"mail_admins": handler}} if handler else {}):
        yield


def mails(**handler: Any) -> dict[str, Any]:
    return {"handler": handler}


def policy(*sources: Any) -> dict[str, Any]:
    return {"SECURE_CSP": {"default-src": ["'self'"], "form-action": sources[0] if len(sources) == 1 else sources}}


ADMINS = "django.utils.log.AdminEmailHandler"
KHALTI_HOST = "https://pay.khalti.com"

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("W006", {"ALLOWED_HOSTS": ["app.example.com", "*"]}, {"ALLOWED_HOSTS": [".example.com"]}),
    ("W007", {"SESSION_COOKIE_SAMESITE": "Strict"}, {"SESSION_COOKIE_SAMESITE": "Lax"}),
    ("W007", {"SESSION_COOKIE_SAMESITE": "None"}, {"SESSION_COOKIE_SAMESITE": "Lax"}),
    ("W007", {"SESSION_COOKIE_SAMESITE": False}, {"SESSION_COOKIE_SAMESITE": "Lax"}),
    ("W008", {"SECURE_REFERRER_POLICY": "strict-origin"}, {"SECURE_REFERRER_POLICY": "same-origin"}),
    ("W008", {"SECURE_REFERRER_POLICY": None}, {"SECURE_REFERRER_POLICY": "no-referrer"}),
    ("W008", {"SECURE_REFERRER_POLICY": []}, {"SECURE_REFERRER_POLICY": ["unsafe-url", "same-origin"]}),
    ("W008", {"SECURE_REFERRER_POLICY": "same-origin, unsafe-url"}, {"SECURE_REFERRER_POLICY": "origin, same-origin"}),
    ("W009", mails(**{"class": ADMINS, "include_html": True}), mails(**{"class": ADMINS, "include_html": False})),
    (
        "W009",
        mails(**{"()": AdminEmailHandler, "include_html": True}),
        mails(**{"class": "logging.NullHandler", "include_html": True}),
    ),
    (
        "W010",
        {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
        {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"), "TENANT_BILLING_TRUSTED_PROXIES": 0},
    ),
    ("W011", {"DEBUG": True}, {"DEBUG": False}),
    ("W012", policy("'self'"), policy("'self'", KHALTI_HOST)),
    ("W012", policy(["'none'"]), policy(f"'self' {KHALTI_HOST}/")),
    ("W012", policy("http:", "http://pay.khalti.com"), policy("https:", "'self'")),
    ("W012", policy("khalti.com", "*.pay.khalti.com"), policy("'self'", "*.khalti.com")),
    ("W012", policy(True), policy(None)),
    ("W012", policy({"https://notpay.khalti.com"}), policy({"'self'", "PAY.khalti.com"})),
]


@pytest.mark.parametrize(
    ("name", "bad", "good"), CASES, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(CASES)]
)
def test_w006_to_w012_are_said_where_they_hold_and_not_beside_it(
    name: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    assert said(**bad) == [name]
    assert said(**good) == []


@pytest.mark.parametrize("form_action", [None, False])
def test_w012_is_silent_where_forms_may_lead_anywhere(form_action: Any) -> None:
    assert said(SECURE_CSP={"default-src": ["'none'"], "form-action": form_action}) == []
    assert said(SECURE_CSP={}) == []


def test_w012_names_what_is_missing_with_its_port() -> None:
    wide = {"wide": {"BACKEND": f"{__name__}.Wide"}}
    with override_settings(**LIVE | {"TENANT_BILLING_GATEWAYS": wide} | policy("pay.example.com", "b.example.com")):
        (message,) = check_security()
    assert "lead to https://pay.example.com:8443, so" in message.msg
    assert said(TENANT_BILLING_GATEWAYS=wide, **policy("pay.example.com:8443", "https://b.example.com")) == []


def test_a_site_without_a_gateway_is_left_alone_and_one_whose_gateways_cannot_be_read_is_not() -> None:
    careless = {"DEBUG": True, "ALLOWED_HOSTS": ["*"]}
    assert said(TENANT_BILLING_GATEWAYS={}, **careless) == []
    assert said(TENANT_BILLING_GATEWAYS=["khalti"], **careless) == ["W006", "W011"]


def test_l6_check_deploy_flags_mails_with_html_and_debug() -> None:
    with override_settings(**LIVE | {"DEBUG": True}), mailing({"class": ADMINS, "include_html": True}):
        security = [m.id for m in run_checks(tags=[Tags.security], include_deployment_checks=True)]
        assert {"tenant_billing.W009", "tenant_billing.W011", "security.W018"} <= set(security)
        assert not {"tenant_billing.W009", "tenant_billing.W011"} & {m.id for m in run_checks(tags=[Tags.security])}
    with override_settings(**LIVE):
        security = [m.id for m in run_checks(tags=[Tags.security], include_deployment_checks=True)]
    assert not [name for name in security if str(name).startswith("tenant_billing.")]
