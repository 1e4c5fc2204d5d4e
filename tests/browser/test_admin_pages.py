"""What staff is shown, in both languages: looked at, and judged by axe beside what is Django's own of each page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page

from django_tenant_billing.contrib.simulator.server import Server
from tests.browser.conftest import LANGUAGES, LOOKS, RULES, look
from tests.staff_pages import staff_pages
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)
DJANGOS = [["#changelist-filter"], [".inline-group .tabular thead"], [".inline-group .wrapper"]]
"""Links closer together than fingers are, headings without a word: the same on the admin's pages of users."""


@pytest.fixture
def addresses(organization: Organization, simulator: Server, settings: Any) -> dict[str, str]:
    return staff_pages(organization, simulator, settings)


@pytest.fixture
def page(chromium: Browser, site: str, language: str) -> Iterator[Page]:
    """A superuser's, in this language."""
    client = Client()
    client.force_login(User.objects.create_superuser("asha"))
    context = chromium.new_context(base_url=site, locale=LANGUAGES[language])
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}])
    yield context.new_page()
    context.close()


def violations(page: Page, address: str) -> str:
    """What axe has against all of the page but what every admin of Django's has, in both looks; empty if nothing."""
    reports = []
    for width, scheme in LOOKS:
        # Before the page is there: Django's links take a while to change their colour.
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        found = Axe().run(page, context={"exclude": DJANGOS}, options={"runOnly": RULES, "resultTypes": ["violations"]})
        reports += [found.generate_report()] if found.violations_count else []
    return "".join(reports)


@pytest.mark.parametrize("language", LANGUAGES)
def test_staff_can_see_every_page_and_axe_has_nothing_against_what_is_ours(
    addresses: dict[str, str], page: Page, language: str
) -> None:
    for name, address in addresses.items():
        page.goto(address)
        assert page.locator("html").get_attribute("lang") == language
        look(page, f"admin-{name}-{language}")
        assert language != "en" or violations(page, address) == "", name
