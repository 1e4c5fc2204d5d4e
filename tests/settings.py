"""Settings of the test project, on SQLite; ``--ds=tests.settings_postgres`` or ``_mariadb`` chooses another."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

DTB_DB = "sqlite"
SECRET_KEY = "tests only"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
USE_TZ = True
TIME_ZONE = "Asia/Kathmandu"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A short path, for sockets have a length limit; one for each worker of each run.
SCRATCH = Path(tempfile.gettempdir()) / f"dtb-{os.getpid()}{os.environ.get('PYTEST_XDIST_WORKER', '')}"


def database(kind: str) -> dict[str, Any]:
    if kind == "postgres":
        # The socket comes from the server that conftest.py starts.
        return {"ENGINE": "django.db.backends.postgresql", "NAME": "dtb", "USER": "postgres"}
    if kind == "mariadb":
        # The socket comes from the server that conftest.py starts.
        return {"ENGINE": "django.db.backends.mysql", "NAME": "dtb", "USER": "root"}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        # Never memory: a live server that starts before the test database would share the connection between threads.
        "NAME": str(SCRATCH.with_suffix(".sqlite3")),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
            # Like the servers of the tests, it need not survive a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        # A file, not memory: races and kills need a database that several processes share.
        "TEST": {"NAME": str(SCRATCH.with_suffix(".test.sqlite3"))},
    }


DATABASES = {"default": database(DTB_DB)}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "tests.testapp",
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
    "tests.testapp.middleware.organization_from_header",
    "tests.testapp.middleware.strict_csp",
]
ROOT_URLCONF = "tests.testapp.urls"
STATIC_URL = "static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TENANT_BILLING_ORGANIZATION_MODEL = "testapp.Organization"
