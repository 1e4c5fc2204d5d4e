"""Every setting of the package: one typed property each, read from Django's settings when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

PREFIX = "TENANT_BILLING_"

T = TypeVar("T")


def load(setting: str | Callable[..., Any] | None, default: Callable[..., Any]) -> Callable[..., Any]:
    """The function a setting names by dotted path or gives as it is. Raises ImportError."""
    if setting is None:
        return default
    return import_string(setting) if isinstance(setting, str) else setting


def _read(name: str, default: T) -> T | Any:
    return _remembered(name, default)


@cache
def _remembered(name: str, default: Any) -> Any:
    # Asking Django for a setting that is not set raises inside, which is dear on the hot path.
    return getattr(settings, name, default)


def _forget(**_kwargs: Any) -> None:
    _remembered.cache_clear()


setting_changed.connect(_forget)


class Settings:
    """Reads ``django.conf.settings``, also under ``override_settings``."""

    @property
    def organization_model(self) -> str:
        """``"app_label.Model"`` of the tenant. Raises ImproperlyConfigured where it is unset: models cannot load."""
        value = _read("TENANT_BILLING_ORGANIZATION_MODEL", None)
        if not isinstance(value, str) or value.count(".") != 1:
            raise ImproperlyConfigured(
                "TENANT_BILLING_ORGANIZATION_MODEL must name the model that is billed. Add to your settings, with your "
                'own app and model: TENANT_BILLING_ORGANIZATION_MODEL = "orgs.Organization"'
            )
        return value

    @property
    def organization_migration(self) -> str:
        """The migration of the organization's app that creates its model."""
        return _read("TENANT_BILLING_ORGANIZATION_MIGRATION", "__first__")

    @property
    def organization_resolver(self) -> str | Callable[[Any], Any] | None:
        """A function of the request that returns its organization or None; dotted path or callable."""
        return _read("TENANT_BILLING_ORGANIZATION_RESOLVER", None)

    @property
    def authorize(self) -> str | Callable[[Any, Any, str], bool] | None:
        """``authorize(request, organization, action) -> bool`` with action ``"view"`` or ``"pay"``."""
        return _read("TENANT_BILLING_AUTHORIZE", None)

    @property
    def organization_time_zone(self) -> str | Callable[[Any], tzinfo | str] | None:
        """A function of the organization that returns its zone or the zone's name; dotted path or callable.

        None: Django's default time zone for all.
        """
        return _read("TENANT_BILLING_ORGANIZATION_TIME_ZONE", None)

    @property
    def related_prefix(self) -> str:
        """Put before the reverse names ``subscription`` and ``usage`` on the organization."""
        return _read("TENANT_BILLING_RELATED_PREFIX", "")

    @property
    def catalogue(self) -> Mapping[str, Any] | None:
        """The plans and features that ``init_plan_limits`` seeds; None for the package's own."""
        return _read("TENANT_BILLING_CATALOGUE", None)

    @property
    def fallback_plan(self) -> str:
        """Code of the plan that holds before a subscription starts and after its paid period ended."""
        return _read("TENANT_BILLING_FALLBACK_PLAN", "FREE")

    @property
    def reminder_days(self) -> Sequence[int]:
        """How many days before the end of what was paid or tried ``run_billing`` reminds of it."""
        return _read("TENANT_BILLING_REMINDER_DAYS", (7, 1))

    @property
    def trial_keys(self) -> str | Callable[[Any], Iterable[str]] | None:
        """A function of the organization that returns texts it is known by: owner, domain, telephone. One trial each.

        Dotted path or callable. What is kept of them are hashes.
        """
        return _read("TENANT_BILLING_TRIAL_KEYS", None)

    @property
    def seller(self) -> Mapping[str, str]:
        """``{"name": ..., "address": ..., "pan": ...}``: who sells, as receipts say. All texts, all optional."""
        return _read("TENANT_BILLING_SELLER", None) or {}

    @property
    def buyer(self) -> str | Callable[[Any], Mapping[str, str]] | None:
        """A function of the organization that returns its name, address and PAN for receipts; dotted path or callable.

        None: its name alone.
        """
        return _read("TENANT_BILLING_BUYER", None)

    @property
    def vat(self) -> str:
        """``"exempt"``, ``"inclusive"`` (prices contain it) or ``"exclusive"`` (it is added to them)."""
        return _read("TENANT_BILLING_VAT", "exempt")

    @property
    def mode(self) -> str:
        """``"live"`` or ``"sandbox"``: which hosts the gateways talk to. Without a setting, ``"sandbox"``."""
        return _read("TENANT_BILLING_MODE", None) or "sandbox"

    @property
    def public_base_url(self) -> str | None:
        """Where gateways send payers back, as ``https://app.example.com``; None: ask the request (DEBUG only)."""
        value: str | None = _read("TENANT_BILLING_PUBLIC_BASE_URL", None)
        return value.rstrip("/") if value else None

    @property
    def trusted_proxies(self) -> int:
        """How many proxies of the site's own stand before it, each adding to X-Forwarded-For; 0: nobody adds to it."""
        value = _read("TENANT_BILLING_TRUSTED_PROXIES", 0)
        return value if type(value) is int and value > 0 else 0

    @property
    def allow_simulator(self) -> bool:
        """May a gateway's URL point to this machine? For development only."""
        return _read("TENANT_BILLING_ALLOW_SIMULATOR", None) is True

    @property
    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        """``{alias: {"BACKEND": dotted path, "OPTIONS": {...}}}``; without it, the flat names of the guide."""
        explicit = _read("TENANT_BILLING_GATEWAYS", None)
        if explicit is not None:
            return explicit  # type: ignore[no-any-return]
        found = {}
        if secret_key := _read("KHALTI_SECRET_KEY", None):
            found["khalti"] = {
                "BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway",
                "OPTIONS": {
                    "secret_key": secret_key,
                    "public_key": _read("KHALTI_PUBLIC_KEY", "") or "",
                    "callback_url": _read("KHALTI_CALLBACK_URL", "") or "",
                },
            }
        code, secret = _read("ESEWA_MERCHANT_CODE", None), _read("ESEWA_MERCHANT_SECRET", None)
        if code and secret:
            found["esewa"] = {
                "BACKEND": "django_tenant_billing.gateways.esewa.EsewaGateway",
                "OPTIONS": {"merchant_code": code, "merchant_secret": secret},
            }
        return found


SETTING_NAMES = frozenset(
    PREFIX + name.upper() for name, value in vars(Settings).items() if isinstance(value, property)
)

conf = Settings()
