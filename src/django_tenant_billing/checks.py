"""System checks: every misconfiguration has a stable id, says what is wrong, and what to type.

The ids are listed in docs/checks.md; an id is never reused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name
from django.db import DatabaseError, connections, router

from . import clock
from .catalogue_reader import read_catalogue
from .conf import PREFIX, SETTING_NAMES, conf, load
from .deploy_checks import check_security
from .exceptions import GatewayNotConfigured, InvalidCatalogue
from .gateways.registry import gateway_aliases, get_gateway
from .models import PlanLimit, UsageCounter
from .receipt_checks import check_receipts
from .subscriptions import overdue_since

TAG = "tenant_billing"


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Names, the organization model, functions named by path, the catalogue."""
    messages: list[CheckMessage] = []
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in SETTING_NAMES:
            # Without the prefix, which alone makes any two of them look alike.
            known = [known.removeprefix(PREFIX) for known in SETTING_NAMES]
            close = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
            hint = f"Did you mean {PREFIX}{close[0]}?" if close else "Remove it; docs/settings.md lists every setting."
            messages.append(Warning(f"{name} is not a setting of django-tenant-billing.", hint, id=f"{TAG}.W001"))
    try:
        apps.get_model(conf.organization_model)
    except LookupError:
        messages.append(
            Error(
                f"TENANT_BILLING_ORGANIZATION_MODEL is {conf.organization_model!r}, which is not an installed model.",
                'Write it as "app_label.Model", and add its app to INSTALLED_APPS.',
                id=f"{TAG}.E001",
            )
        )
    functions = {
        "ORGANIZATION_RESOLVER": conf.organization_resolver,
        "AUTHORIZE": conf.authorize,
        "ORGANIZATION_TIME_ZONE": conf.organization_time_zone,
        "TRIAL_KEYS": conf.trial_keys,
        "BUYER": conf.buyer,
    }
    for name, value in functions.items():
        if not _loadable(value):
            messages.append(
                Error(
                    f"{PREFIX}{name} is not a function: {value!r}.",
                    "Name it by its full dotted path, such as orgs.billing.resolve, or give the function itself.",
                    id=f"{TAG}.E002",
                )
            )
    proxies = getattr(settings, f"{PREFIX}TRUSTED_PROXIES", 0)
    if type(proxies) is not int or proxies < 0:
        messages.append(
            Error(
                f"TENANT_BILLING_TRUSTED_PROXIES is {proxies!r}: it is the number of proxies before this site.",
                "Set it to 0 (none), 1 (such as one nginx), 2 (a CDN before that).",
                id=f"{TAG}.E019",
            )
        )
    try:
        read_catalogue()
    except InvalidCatalogue as error:
        messages.append(Error(str(error), "docs/settings.md shows the whole shape.", id=f"{TAG}.E003"))
    if not settings.USE_TZ:
        messages.append(Error("Billing periods need aware datetimes.", "Set USE_TZ = True.", id=f"{TAG}.E004"))
    return messages


def check_gateways(**_kwargs: Any) -> list[CheckMessage]:
    """Half-set gateways, the mode, the public URL, and what each gateway says of itself."""
    messages: list[CheckMessage] = []
    if not hasattr(settings, f"{PREFIX}GATEWAYS"):
        messages.extend(_check_half_set())
    if conf.mode not in ("live", "sandbox"):
        messages.append(
            Error(f"TENANT_BILLING_MODE is {conf.mode!r}.", 'Set it to "live" or "sandbox".', id=f"{TAG}.E006")
        )
        return messages  # Without a mode no gateway can say where it is.
    problems: list[str] = []
    aliases: list[str] = []
    try:
        aliases = gateway_aliases()
    except GatewayNotConfigured as error:
        problems.append(str(error))
    for alias in aliases:
        try:
            messages.extend(get_gateway(alias).check())
        except GatewayNotConfigured as error:
            problems.append(str(error))
    messages.extend(Error(problem, "docs/settings.md shows the shape.", id=f"{TAG}.E007") for problem in problems)
    if aliases and not settings.DEBUG:
        messages.extend(_check_production())
    return messages


def _check_half_set() -> list[CheckMessage]:
    """Flat names of a gateway that do not switch it on."""
    messages: list[CheckMessage] = []
    flat = [name for name in ("KHALTI_PUBLIC_KEY", "KHALTI_CALLBACK_URL") if getattr(settings, name, None)]
    if flat and not getattr(settings, "KHALTI_SECRET_KEY", None):
        messages.append(
            Error(
                f"{' and '.join(flat)} set, but KHALTI_SECRET_KEY is not: Khalti is off.",
                "Add to .env: KHALTI_SECRET_KEY=... (the live_secret_key of your Khalti dashboard).",
                id=f"{TAG}.E005",
            )
        )
    pair = ("ESEWA_MERCHANT_CODE", "ESEWA_MERCHANT_SECRET")
    given = [name for name in pair if getattr(settings, name, None)]
    if len(given) == 1:
        (missing,) = set(pair) - set(given)
        messages.append(
            Error(
                f"{given[0]} is set, but {missing} is not: eSewa is off.",
                f"Add to .env: {missing}=... (eSewa gives you both).",
                id=f"{TAG}.E014",
            )
        )
    return messages


def _check_production() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if not getattr(settings, f"{PREFIX}MODE", None):
        messages.append(
            Error(
                "A gateway is configured and DEBUG is off, but TENANT_BILLING_MODE is not set.",
                'Set TENANT_BILLING_MODE = "live" (real money) or "sandbox".',
                id=f"{TAG}.E008",
            )
        )
    scheme = _scheme(conf.public_base_url or "")
    if scheme != "https" and not (scheme == "http" and conf.allow_simulator):
        messages.append(
            Error(
                f"TENANT_BILLING_PUBLIC_BASE_URL is {conf.public_base_url!r}: gateways send payers to an https URL.",
                'Set it to where this site is reached: TENANT_BILLING_PUBLIC_BASE_URL = "https://app.example.com"',
                id=f"{TAG}.E009",
            )
        )
    return messages


def check_deploy(**_kwargs: Any) -> list[CheckMessage]:
    """What must not go live."""
    if not conf.allow_simulator:
        return []
    return [
        Error(
            "TENANT_BILLING_ALLOW_SIMULATOR is on: anybody who reaches the simulator pays with play money.",
            "Remove it from the settings of this deployment.",
            id=f"{TAG}.E010",
        )
    ]


def check_databases(*, databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Settings of the database that exact counting relies on, and whether the catalogue is seeded."""
    using = router.db_for_write(UsageCounter)
    if using not in (databases or ()):
        return []
    messages: list[CheckMessage] = []
    connection = connections[using]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor == "sqlite" and options.get("transaction_mode") != "IMMEDIATE":
        messages.append(
            Warning(
                f"The SQLite database {using!r} opens transactions in deferred mode: writers fail instead of waiting.",
                f'Set DATABASES[{using!r}]["OPTIONS"] = {{"transaction_mode": "IMMEDIATE", "timeout": 20}}.',
                id=f"{TAG}.W002",
            )
        )
    # None there leaves it to the server, whose own default is REPEATABLE READ.
    isolation = str(options.get("isolation_level", "read committed")).lower()
    if connection.vendor == "mysql" and isolation != "read committed":
        messages.append(
            Warning(
                f"The database {using!r} does not run at READ COMMITTED: counting meets deadlocks and stale reads.",
                f'Remove DATABASES[{using!r}]["OPTIONS"]["isolation_level"]: Django\'s default is right.',
                id=f"{TAG}.W003",
            )
        )
    try:
        seeded = PlanLimit.objects.using(using).exists()
        stopped = overdue_since(clock.now())
    except DatabaseError:
        return messages  # Not migrated yet: migrate says so itself.
    if stopped is not None:
        messages.append(
            Warning(
                f"run_billing has not run since {stopped:%Y-%m-%d %H:%M} UTC: reminders and history wait.",
                "Run: manage.py run_billing, every hour or every day.",
                id=f"{TAG}.W005",
            )
        )
    if not seeded:
        messages.append(
            Warning(
                "There are no plan limits, so every feature is denied.",
                "Run: manage.py init_plan_limits",
                id=f"{TAG}.W004",
            )
        )
    return messages


def register_checks() -> None:
    """Called once when the app is ready."""
    register(check_settings, TAG)
    register(check_receipts, TAG)
    register(check_gateways, TAG)
    register(check_deploy, TAG, deploy=True)
    register(check_security, TAG, Tags.security, deploy=True)
    register(check_databases, Tags.database)


def _scheme(url: str) -> str:
    """The scheme of a URL that names a host; else nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.scheme if parts.hostname else ""


def _loadable(value: str | Callable[..., Any] | None) -> bool:
    try:
        return callable(load(value, check_settings))
    except ImportError:
        return False
