"""Each page in each situation, in both languages: looked at, judged by axe, and walked through by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import LANGUAGES, LOOKS, RULES, look
from tests.situations import SITUATIONS, Situation, use_wallets_and_bank
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_log]

REACHABLE = "a[href], button, select, textarea, input:not([type=hidden]), summary, [tabindex]:not([tabindex='-1'])"
FOCUSED = """() => {
    const part = document.activeElement
    if (part === document.body) return null
    const box = part.getBoundingClientRect(), style = getComputedStyle(part)
    const middle = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
    return {
        index: [...document.querySelectorAll(%r)].indexOf(part),
        html: part.outerHTML,
        outline: parseFloat(style.outlineWidth) && style.outlineStyle !== 'none',
        seen: middle === part || part.contains(middle) || !!middle?.closest('label'),
    }
}"""
Open = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, site: str, organization: Organization, settings: Any) -> Iterator[Open]:
    """Opens a page as a member of the organization, in a language, with or without JavaScript."""
    use_wallets_and_bank(settings)
    client = Client()
    client.force_login(User.objects.create_user("samir"))
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str, language: str = "en", *, scripts: bool = False) -> Page:
        context = chromium.new_context(
            java_script_enabled=scripts, base_url=site, locale=LANGUAGES[language],
            extra_http_headers={"X-Organization": str(organization.pk)},
        )  # fmt: skip
        contexts.append(context)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}])
        page = context.new_page()
        # Refusals are what some of these pages are about.
        page.on("console", lambda said: complaints.append(said.text) if "with a status of" not in said.text else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


situations = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)


@situations
def test_everybody_can_see_the_page_and_axe_finds_no_violation(
    open_page: Open, organization: Organization, situation: Situation
) -> None:
    path = situation(organization)
    for language in LANGUAGES:
        # axe is a script; the pages have none, as the keyboard's test below shows.
        page = open_page(path, language, scripts=True)
        assert page.locator("html").get_attribute("lang") == language
        look(page, f"{situation.__name__}-{language}")
        for width, scheme in LOOKS if language == "en" else LOOKS[:1]:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
            assert found.violations_count == 0, found.generate_report()


def test_axe_sees_what_is_wrong_with_a_page(open_page: Open, organization: Organization) -> None:
    page = open_page("/billing/", scripts=True)
    page.evaluate("document.querySelector('main').innerHTML += '<img src=x>'")
    found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).generate_snapshot()
    assert "image-alt" in found


@situations
def test_the_keyboard_reaches_everything_that_can_be_used_and_shows_where_it_is(
    open_page: Open, organization: Organization, situation: Situation
) -> None:
    page = open_page(situation(organization))
    page.set_viewport_size({"width": 1280, "height": 800})
    script = FOCUSED % REACHABLE
    reached: list[int] = []
    page.keyboard.press("Tab")
    while (part := page.evaluate(script)) is not None:
        assert part["outline"], f"Nothing shows that the keyboard is at {part['html']}"
        assert part["seen"], f"Something covers {part['html']}"
        reached.append(part["index"])
        page.keyboard.press("Tab")
    radios = page.locator("input[type=radio]").count()
    assert radios == 0, "radios are reached by arrows: count them"
    assert reached == list(range(page.locator(REACHABLE).count()))
