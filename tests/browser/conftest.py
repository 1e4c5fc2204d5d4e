"""A real Chromium, without JavaScript, under a strict policy, at two widths and in two colour schemes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from django_tenant_billing.contrib.simulator.server import Server
from tests.testapp.models import Organization

# Playwright keeps an event loop in this thread; Django would refuse the database in it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

LANGUAGES = {"en": "en-US", "ne": "ne-NP"}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS: tuple[tuple[int, Literal["dark", "light"]], ...] = ((360, "dark"), (1280, "light"))
"""What axe judges by, and in which looks."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "These tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def site(live_server: Any, simulator: Server, settings: Any) -> str:
    """The test site on a real port, with the simulator as its wallet."""
    settings.TENANT_BILLING_PUBLIC_BASE_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def context(chromium: Browser, site: str, organization: Organization) -> Iterator[BrowserContext]:
    """A logged-in member of the organization."""
    client = Client()
    client.force_login(User.objects.create_user("samir"))
    context = chromium.new_context(
        java_script_enabled=False, base_url=site, extra_http_headers={"X-Organization": str(organization.pk)}
    )
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}])
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def look(page: Page, name: str) -> None:
    """Screenshots for looking at, in both widths and colours; and nothing wider than a phone."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for width in (360, 1280):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            path = SCREENSHOTS / f"{name}-{width}-{scheme}.png"
            # As it is once nothing moves: links of the admin take a while to change their colour.
            picture = page.screenshot(path=path, full_page=True, animations="disabled")
            # A full page is as wide as its widest part: the width stands in the PNG's header.
            assert int.from_bytes(picture[16:20], "big") == width, f"{name} is wider than {width} pixels"
