"""What a site's settings import of us is imported before there are settings."""

from __future__ import annotations

import os
import subprocess
import sys

from django.utils.translation import override

from django_tenant_billing.catalogue import DEFAULT

BEFORE_SETTINGS = "from django_tenant_billing import csp; from django_tenant_billing.catalogue import default_catalogue"


def imported(statement: str) -> subprocess.CompletedProcess[str]:
    """In a process that no settings were named to."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "-c", statement], env=environment, capture_output=True, text=True, check=False
    )


def test_nothing_that_settings_import_asks_for_a_setting() -> None:
    done = imported(BEFORE_SETTINGS)
    assert (done.returncode, done.stderr) == (0, "")


def test_djangos_own_mark_would_ask_for_one() -> None:
    done = imported("from django.utils.translation import gettext_noop; gettext_noop('invoice')")
    assert "ImproperlyConfigured" in done.stderr


def test_a_marked_text_stays_as_it_is_in_every_language() -> None:
    with override("ne"):
        assert DEFAULT["features"]["invoices"]["singular"] == "invoice"
