"""Pages of the portal in the frame of a site, looked at in both widths and colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings
from playwright.sync_api import Page

from tests.browser.conftest import look
from tests.hosts import four_lines
from tests.portal import SCENES
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_log]


@pytest.fixture
def _in_a_site() -> Iterator[None]:
    with override_settings(**four_lines()):
        yield


@pytest.mark.usefixtures("_in_a_site")
@pytest.mark.parametrize("name", ["overview-near", "plans-year", "checkout-lower", "cancel"])
def test_every_page_fits_into_the_frame_of_a_site(page: Page, organization: Organization, name: str) -> None:
    page.goto(SCENES[name](organization))
    look(page, f"portal-in-a-site-{name}")
