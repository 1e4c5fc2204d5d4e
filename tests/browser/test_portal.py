"""Pages of the portal in the frame of a site, looked at in both widths and colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings
from playwright.sync_api import Page

from tests.browser.conftest import look
from tests.hosts import four_lines
from tests.situations import Situation, cancel, checkout_of_a_lower_plan, near_the_limit, plans_by_the_year
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_log]


@pytest.fixture
def _in_a_site() -> Iterator[None]:
    with override_settings(**four_lines()):
        yield


@pytest.mark.usefixtures("_in_a_site")
@pytest.mark.parametrize("situation", [near_the_limit, plans_by_the_year, checkout_of_a_lower_plan, cancel])
def test_every_page_fits_into_the_frame_of_a_site(page: Page, organization: Organization, situation: Situation) -> None:
    page.goto(situation(organization))
    look(page, f"in-a-site-{situation.__name__}")
