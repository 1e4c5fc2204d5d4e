"""A host site to measure: the one of the tests, and the peers where they are installed."""

from __future__ import annotations

from importlib.util import find_spec

PEERS = {
    "vinta_billing": ["rest_framework", "vinta_billing"],
    "plans": ["django.contrib.sites", "ordered_model", "sequences", "plans"],
}

SECRET_KEY = "benchmarks only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Which server, and with which options, is for each client to choose: see databases.py.
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    *(app for peer, apps in PEERS.items() if find_spec(peer) for app in apps),
    "tests.testapp",
    "django_tenant_billing",
]
TENANT_BILLING_ORGANIZATION_MODEL = "testapp.Organization"
# What the peers ask for; nothing of it is on the measured path.
SITE_ID = 1
PLANS_CURRENCY = "EUR"
PLANS_TAXATION_POLICY = "plans.taxation.ru.RussianTaxationPolicy"
