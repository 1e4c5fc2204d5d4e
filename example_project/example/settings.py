"""Settings of the example site. Runs as it is; what differs on a server comes from the environment or from .env.

Every variable is explained in .env.example. What the package needs stands at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import django
import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from django_tenant_billing import csp
from django_tenant_billing.catalogue import default_catalogue

PROJECT = Path(__file__).resolve().parent.parent

env = environ.Env()
if (PROJECT / ".env").exists():
    env.read_env(PROJECT / ".env")  # the environment itself wins over the file

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default="") or ("a key for development only" * DEBUG)
if not SECRET_KEY:
    raise ImproperlyConfigured("DEBUG is off, so SECRET_KEY must be set: a long random text that nobody else knows.")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])  # with DEBUG, Django adds localhost itself


def database() -> dict[str, Any]:
    """The database of DATABASE_URL; without it, an SQLite file that waits for its turn instead of failing."""
    config: dict[str, Any] = env.db_url_config(
        env.str("DATABASE_URL", default="") or f"sqlite:///{quote(str(PROJECT / 'db.sqlite3'))}"
    )
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    return config


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "orgs",
    "invoicing",
    "tour",
    "django_tenant_billing",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Who asks, by token; then for which organization; and last, the 403 of a quota that is spent deep inside a view.
    "orgs.middleware.BearerTokenMiddleware",
    "orgs.middleware.OrganizationMiddleware",
    "django_tenant_billing.middleware.QuotaExceededMiddleware",
]
if django.VERSION >= (6, 0):  # Django's own since then; the pages keep to it on older ones as well
    MIDDLEWARE.insert(1, "django.middleware.csp.ContentSecurityPolicyMiddleware")
    SECURE_CSP = {"default-src": ["'self'"], "form-action": csp.form_action()}

ROOT_URLCONF = "example.urls"
WSGI_APPLICATION = "example.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # First, so that templates/tenant_billing/base.html puts the billing pages into this site's frame.
        "DIRS": [PROJECT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django_tenant_billing.context_processors.billing",
                "orgs.context_processors.memberships",
            ]
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = PROJECT / "staticfiles"
STATICFILES_DIRS = [PROJECT / "static"]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ne", _("Nepali"))]
LOCALE_PATHS = [PROJECT / "locale"]
TIME_ZONE = "Asia/Kathmandu"
USE_TZ = True

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "index"
LOGOUT_REDIRECT_URL = "index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"tenant_billing": {"handlers": ["console"], "level": "INFO"}},
}

# ---- django-tenant-billing ------------------------------------------------------------------------------------------

TENANT_BILLING_ORGANIZATION_MODEL = "orgs.Organization"
TENANT_BILLING_CATALOGUE = default_catalogue(
    count={"customers": "invoicing.counts.count_customers", "team_members": "orgs.counts.count_team_members"}
)
TENANT_BILLING_SELLER = {"name": "Khata Software Pvt. Ltd.", "address": "Lakeside, Pokhara", "pan": "301234567"}
TENANT_BILLING_VAT = "inclusive"
TENANT_BILLING_AUTHORIZE = "orgs.permissions.may_bill"
TENANT_BILLING_MODE = env.str("TENANT_BILLING_MODE", default="")
TENANT_BILLING_PUBLIC_BASE_URL = env.str("TENANT_BILLING_PUBLIC_BASE_URL", default="")

KHALTI_PUBLIC_KEY = env.str("KHALTI_PUBLIC_KEY", default="")
KHALTI_SECRET_KEY = env.str("KHALTI_SECRET_KEY", default="")
KHALTI_CALLBACK_URL = env.str("KHALTI_CALLBACK_URL", default="")
ESEWA_MERCHANT_CODE = env.str("ESEWA_MERCHANT_CODE", default="")
ESEWA_MERCHANT_SECRET = env.str("ESEWA_MERCHANT_SECRET", default="")

# Play money: `manage.py demo` and `manage.py tour` start the simulator and set this.
if SIMULATOR_URL := env.str("SIMULATOR_URL", default=""):
    SIMULATOR_URL = SIMULATOR_URL.rstrip("/")
    TENANT_BILLING_ALLOW_SIMULATOR = True
    TENANT_BILLING_GATEWAYS = {
        "khalti": {
            "BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway",
            "OPTIONS": {"secret_key": "simulated_secret_key", "base_url": f"{SIMULATOR_URL}/api/v2/"},
        },
        "esewa": {
            "BACKEND": "django_tenant_billing.gateways.esewa.EsewaGateway",
            "OPTIONS": {  # the merchant that everybody may be in eSewa's sandbox
                "merchant_code": "EPAYTEST",
                "merchant_secret": "8gBm/:&EnhH.1/q",
                "form_url": f"{SIMULATOR_URL}/api/epay/main/v2/form",
                "status_url": f"{SIMULATOR_URL}/api/epay/transaction/status/",
            },
        },
    }
