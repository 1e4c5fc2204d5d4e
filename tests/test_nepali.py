"""In Nepali no English is left on any page, outside names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import override

from django_tenant_billing.contrib.simulator.server import Server
from tests.manual import INSTRUCTIONS
from tests.members import member
from tests.situations import SITUATIONS, Situation, use_wallets_and_bank
from tests.staff_pages import staff_pages
from tests.testapp.models import Organization

pytestmark = pytest.mark.breaks_the_log

READ_ALOUD = ("aria-label", "alt", "title", "data-label", "placeholder")
NAMES = {
    "Himal", "Traders", "FREE", "BASIC", "PRO", "Free", "Basic", "Pro", "GOLD", "Khalti", "eSewa", "Bank", "transfer",
    "NPR", "CSV", "PAN", "API", "SLIP", "Pokhara", "Software", "Pvt", "Ltd", "Asia", "Kathmandu",
    *re.findall("[A-Za-z]{2,}", INSTRUCTIONS),
}  # fmt: skip


@pytest.fixture(autouse=True)
def other_tests_read_english() -> Iterator[None]:
    """A request leaves its language to the thread."""
    with override("en-us"):
        yield


class Words(HTMLParser):
    """Everything of a page that is read by somebody, seen or heard."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.said += [value for name, value in attrs if name in READ_ALOUD and value]


def english(page: str) -> set[str]:
    words = Words()
    words.feed(page)
    text = re.sub(r"\bTB-[A-Z0-9]{17}\b", "", " ".join(words.said))
    return set(re.findall(r"[A-Za-z]{2,}|[ap]\.m\.", text)) - NAMES


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_no_english_is_left_on_a_nepali_page(
    organization: Organization, user: User, simulator: Server, settings: Any, situation: Situation
) -> None:
    use_wallets_and_bank(settings)
    path = situation(organization)
    page = {
        language: member(organization, user, **{"Accept": "text/html", "Accept-Language": language}).get(path)
        for language in ("en", "ne")
    }
    assert page["en"].status_code == page["ne"].status_code
    assert english(page["en"].content.decode()), "A crawl that finds no English in English finds none anywhere."
    assert english(page["ne"].content.decode()) == set()


NAMED = r"<(th scope=.col.|label|legend|h1|h2|h3|caption|summary)\b.*?</(?:th|label|legend|h1|h2|h3|caption|summary)>"
"""Parts of the admin that say what stands beside or below them; rows and the audit log keep their codes."""

NOT_OURS = {
    "Pagination", "Select", "an", "option", "to", "view", "View", "Show", "counts", "Search",
    "administration", "Testapp", "Organizations", "Projects",
}  # fmt: skip
"""What the admin's own Nepali leaves in English, and the models of the site."""

CODES = {"gateway", "invoices", "api", "calls", "held", "started", "created"}
"""Of the rows whose names stand in the headings: an alias, slugs, a state and kinds of the log."""


def test_what_staff_reads_of_ours_is_nepali(organization: Organization, simulator: Server, settings: Any) -> None:
    staff = Client(headers={"accept-language": "ne"})
    staff.force_login(User.objects.create_superuser("asha"))
    for name, address in staff_pages(organization, simulator, settings).items():
        parts = re.finditer(NAMED, staff.get(address).content.decode(), re.S)
        left = english(" ".join(part[0] for part in parts))
        assert left <= NOT_OURS | CODES, (name, left - NOT_OURS - CODES)
    assert "सदस्यताहरू" in staff.get("/admin/").content.decode()
