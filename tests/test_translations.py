"""The catalogues of messages hold every string of the package, nothing that is gone, and are compiled as they stand."""

from __future__ import annotations

import gettext
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from django.utils.translation import override

import django_tenant_billing
from django_tenant_billing.money import format_money

PACKAGE = Path(django_tenant_billing.__file__).parent
COMMANDS = (
    "cd src/django_tenant_billing && django-admin makemessages -a --no-wrap --no-location --no-obsolete"
    " && django-admin compilemessages"
)
LANGUAGES = ("en", "ne")

needs_gettext = pytest.mark.skipif(
    shutil.which("msgcmp") is None, reason="GNU gettext is not here: apt install gettext"
)


def catalogue(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makemessages finds in the package now, in a copy of it."""
    copy = tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "locale"))
    (copy / "locale").mkdir()
    command = [sys.executable, "-m", "django", "makemessages", "-l", "en", "--keep-pot", "--no-location", "-v0"]
    settled = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=copy, env=settled, check=True)
    return copy / "locale" / "django.pot"


@needs_gettext
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_of_the_package_is_translated_and_nothing_stale_is_left(language: str, source: Path) -> None:
    compared = subprocess.run(["msgcmp", catalogue(language), source], capture_output=True, text=True, check=False)
    assert (compared.stderr, compared.returncode) == ("", 0), f"Run: {COMMANDS}\nThen translate what is new."


@needs_gettext
def test_a_string_that_is_new_or_gone_is_noticed(source: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.pot"
    changed.write_text(source.read_text().replace('msgid "Your plan"', 'msgid "Zebra"'))
    compared = subprocess.run(["msgcmp", catalogue("ne"), changed], capture_output=True, text=True, check=False)
    assert compared.returncode != 0
    assert "used but not defined" in compared.stderr
    assert "is not used" in compared.stderr


@needs_gettext
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_what_its_text_says_and_placeholders_agree(language: str) -> None:
    text, compiled = catalogue(language), catalogue(language).with_suffix(".mo")
    fresh = subprocess.run(["msgfmt", "--check", "-o", "-", text], capture_output=True, check=True).stdout
    assert messages(compiled.read_bytes()) == messages(fresh), f"Run: {COMMANDS}"


def messages(compiled: bytes) -> dict[object, str]:
    found = dict(gettext.GNUTranslations(BytesIO(compiled))._catalog)  # type: ignore[attr-defined]
    # The header, whose dates say nothing.
    del found[""]
    return found


def test_nepali_is_marked_as_a_draft_until_a_native_reader_has_seen_it() -> None:
    assert "draft" in catalogue("ne").read_text().split("msgid", 1)[0]


def test_money_is_grouped_in_lakhs_in_both_languages() -> None:
    for language in LANGUAGES:
        with override(language):
            assert format_money(123456750, "NPR") == "NPR 12,34,567.50"
