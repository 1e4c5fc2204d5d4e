"""Sites in whose frame our pages must stand: settings for ``override_settings``."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from django.conf import settings

TEMPLATES = Path(__file__).parent / "host_templates"


class Explodes(str):
    """As ``string_if_invalid``: whatever a template asks for and does not get fails the test."""

    def __contains__(self, _part: object) -> bool:
        return True

    def __mod__(self, missing: object) -> str:
        raise AssertionError(f"A template asks for {missing!r}, which is not there.")


def ours() -> dict[str, Any]:
    """Nothing but our own base."""
    return {}


def four_lines() -> dict[str, Any]:
    """A site that has replaced our base by the four lines of docs/pages.md."""
    return _templates(DIRS=[TEMPLATES])


def exploding() -> dict[str, Any]:
    """A site whose templates may ask for nothing that is not there."""
    options: Any = settings.TEMPLATES[0]["OPTIONS"]
    return _templates(OPTIONS={**options, "string_if_invalid": Explodes("%s")})


def bare() -> dict[str, Any]:
    """A site with no app and no context processor that it can do without: no admin, messages, humanize or sites."""
    needless = ("django.contrib.admin", "django.contrib.messages")
    return _templates(OPTIONS={}) | {
        "INSTALLED_APPS": [app for app in settings.INSTALLED_APPS if app not in needless],
        "MIDDLEWARE": [path for path in settings.MIDDLEWARE if not path.startswith(needless)],
        "ROOT_URLCONF": "tests.testapp.urls_without_admin",
    }


def _templates(**changes: Any) -> dict[str, Any]:
    return {"TEMPLATES": [deepcopy(settings.TEMPLATES[0]) | changes]}


HOSTS = {"ours": ours, "four-lines": four_lines, "exploding": exploding, "bare": bare}
