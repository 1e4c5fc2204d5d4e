"""The package as users get it: built, looked into, installed alone, migrated, seeded, served."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

SITE = """
from django.contrib.auth.models import User
from django.db import models

class Organization(models.Model):
    name = models.CharField(max_length=80)
    def __str__(self):
        return self.name
"""

MIDDLEWARE = """
from shop.models import Organization

def organization(get_response):
    def middleware(request):
        request.organization = Organization.objects.first()
        return get_response(request)
    return middleware
"""

SETTINGS = """
INSTALLED_APPS += ["shop"]
MIDDLEWARE += ["shop.middleware.organization"]
INSTALLED_APPS += ["django_tenant_billing"]
TENANT_BILLING_ORGANIZATION_MODEL = "shop.Organization"
"""

URLS = """
from django.urls import include
urlpatterns.append(path("billing/", include("django_tenant_billing.urls")))
"""

PREPARE = """
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from shop.models import Organization
Organization.objects.create(name="Fresh")
user = User.objects.create_user("fresh")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print("SESSION", session.session_key)
"""


def alone() -> dict[str, str]:
    """The environment without anything of this run's Python or Django settings."""
    leaking = ("PYTHON", "DJANGO", "COVERAGE", "COV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(leaking)}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=alone(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_has_templates_migrations_static_and_py_typed_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "py.typed",
        "openapi.json",
        "migrations/0001_initial.py",
        "templates/tenant_billing/over_limit.html",
        "templatetags/tenant_billing.py",
        "static/tenant_billing/billing.css",
        "management/commands/init_plan_limits.py",
        "contrib/simulator/__main__.py",
    ):
        assert f"django_tenant_billing/{wanted}" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"django_tenant_billing"}
    assert not [name for name in names if "test_" in name]


@contextmanager
def serving(python: Path, site: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(python), "-u", "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    with subprocess.Popen(
        command, cwd=site, env=alone(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        said = list(itertools.takewhile(lambda line: "Quit the server" not in line, server.stdout))
        assert server.poll() is None, "".join(said)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.communicate()


def get(url: str, **headers: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_installed_alone_with_django_it_migrates_seeds_and_serves_usage(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    installed = {line.split("==")[0].lower() for line in run(python, "-m", "pip", "freeze", cwd=tmp_path).splitlines()}
    assert installed <= {
        "asgiref", "certifi", "charset-normalizer", "django", "idna", "requests", "sqlparse", "typing_extensions",
        "urllib3", f"django-tenant-billing @ {wheel.as_uri()}".lower(),
    } | {line for line in installed if line.startswith("django-tenant-billing")}  # fmt: skip
    run(python, "-m", "django", "startproject", "site_", cwd=tmp_path)
    site = tmp_path / "site_"
    run(python, "manage.py", "startapp", "shop", cwd=site)
    (site / "shop" / "models.py").write_text(SITE)
    (site / "shop" / "middleware.py").write_text(MIDDLEWARE)
    for name, text in (("settings.py", SETTINGS), ("urls.py", URLS)):
        with (site / "site_" / name).open("a") as file:
            file.write(text)
    run(python, "manage.py", "makemigrations", "shop", cwd=site)
    run(python, "manage.py", "check", cwd=site)
    run(python, "manage.py", "migrate", "-v0", cwd=site)
    assert "No changes detected" in run(python, "manage.py", "makemigrations", "--check", cwd=site)
    assert "initialized 15 new plan limits" in run(python, "manage.py", "init_plan_limits", cwd=site)
    session = run(python, "manage.py", "shell", "-c", PREPARE, cwd=site).split("SESSION ")[1].strip()
    with serving(python, site) as url:
        assert get(f"{url}/billing/usage/") == (401, {"error": "Log in first.", "code": "not_authenticated"})
        status, body = get(f"{url}/billing/usage/", Cookie=f"sessionid={session}")
    assert (status, body["plan"], body["features"]["invoices"]["limit"]) == (200, "FREE", 10)
