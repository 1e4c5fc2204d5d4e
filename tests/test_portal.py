"""Every page of the portal in the frames that sites give it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template import engines
from django.test import override_settings

from django_tenant_billing.contrib.simulator.server import Server
from tests.hosts import HOSTS, TEMPLATES, exploding
from tests.members import member
from tests.situations import SITUATIONS, Situation, use_wallets_and_bank
from tests.testapp.models import Organization

pytestmark = pytest.mark.breaks_the_log

STATUS = {
    "no_such_plan": 400, "over_the_limit": 403, "over_a_limit_that_starts_again": 403, "not_in_the_plan": 403,
    "not_found": 404, "not_configured": 503,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_every_page_stands_in_every_frame(
    organization: Organization, user: User, simulator: Server, settings: Any, situation: Situation, host: str
) -> None:
    use_wallets_and_bank(settings)
    with override_settings(**HOSTS[host]()):
        browser = member(organization, user, Accept="text/html")
        answer: Any = browser.get(situation(organization))
    page = answer.content.decode()
    assert answer.status_code == STATUS.get(situation.__name__, 200)
    assert "tenant_billing/billing.css" in page
    assert page.count("<h1") == 1
    for forbidden in ("<script", "style=", "<style", "onclick", "javascript:"):
        assert forbidden not in page
    assert ('<header class="bar">' in page) is (host == "four-lines")


def test_a_template_that_asks_for_what_is_not_there_is_seen() -> None:
    with override_settings(**exploding()), pytest.raises(AssertionError, match="nobody"):
        engines["django"].from_string("{{ nobody }}").render({})


def test_the_four_lines_are_those_of_the_documentation() -> None:
    lines = (TEMPLATES / "tenant_billing" / "base.html").read_text()
    assert lines.count("\n") == 4
    assert f"```html\n{lines}```" in (Path(__file__).parents[1] / "docs" / "pages.md").read_text()
