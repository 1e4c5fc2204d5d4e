"""The demo as a stranger meets it: both wallets in each of their ways, without JavaScript, under the demo's policy."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from tests.browser.conftest import LANGUAGES, LOOKS, RULES, look
from tests.test_example import PASSWORD, Demo, manage, start_demo, stop_demo

WALLETS = ["Khalti", "eSewa"]


@dataclass
class Stranger:
    """Somebody at the demo, and what the browser complained of."""

    demo: Demo
    page: Page
    complaints: list[str]

    def to(self, wallet: str) -> None:
        """From the plans to the wallet's page."""
        self.page.goto(f"{self.demo.url}/billing/checkout/?plan=BASIC")
        self.page.get_by_role("button", name=f"with {wallet}").click()
        if wallet == "eSewa":
            self.page.get_by_role("button", name="Continue to eSewa").click()

    def choose(self, act: str) -> str:
        """Press a button of the wallet's page; the heading of where that leads."""
        self.page.get_by_role("button", name=act).click()
        return self.page.get_by_role("heading", level=1).inner_text()

    def latest(self) -> str:
        """The newest line of the payments page."""
        self.page.goto(f"{self.demo.url}/billing/payments/")
        return self.page.locator("main tbody tr").first.inner_text()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start_demo(tmp_path_factory.mktemp("demo"), "--port", "0", "--simulator-port", "0")
    yield running
    assert stop_demo(running, signal.SIGINT) == 0


@pytest.fixture
def stranger(demo: Demo, chromium: Browser) -> Iterator[Stranger]:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    def keep(response: Response) -> None:
        if response.url.startswith(demo.url) and response.request.resource_type == "document" and response.ok:
            policy = response.headers["content-security-policy"]
            assert policy == f"default-src 'self'; form-action 'self' {demo.simulator_url.rstrip('/')}"

    page.on("response", keep)
    page.goto(f"{demo.url}/login/")
    page.get_by_label("Username").fill("samir")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").first.click()
    yield Stranger(demo, page, complaints)
    context.close()
    assert complaints == []


@pytest.mark.parametrize("wallet", WALLETS)
def test_whoever_cancels_sees_that_nothing_was_paid(stranger: Stranger, wallet: str) -> None:
    stranger.to(wallet)
    assert stranger.choose("Cancel") == ("Not paid" if wallet == "Khalti" else "Payments")
    look(stranger.page, f"demo-{wallet}-canceled")
    assert "Not paid, canceled" in stranger.latest()


@pytest.mark.parametrize("wallet", WALLETS)
def test_whoever_leaves_it_pending_is_told_that_it_is_being_confirmed(stranger: Stranger, wallet: str) -> None:
    stranger.to(wallet)
    assert stranger.choose("Leave pending") == ("We are confirming your payment" if wallet == "Khalti" else "Payments")
    look(stranger.page, f"demo-{wallet}-pending")
    assert "Being confirmed" in stranger.latest()


@pytest.mark.parametrize("wallet", WALLETS)
def test_whoever_pays_is_on_the_plan(stranger: Stranger, wallet: str) -> None:
    stranger.to(wallet)
    look(stranger.page, f"demo-{wallet}-wallet")
    assert stranger.choose("Pay") == "Payment received"
    look(stranger.page, f"demo-{wallet}-paid")
    assert "Paid" in stranger.latest()


@pytest.mark.parametrize("wallet", WALLETS)
def test_whoever_pays_and_closes_the_tab_is_found(stranger: Stranger, wallet: str) -> None:
    stranger.to(wallet)
    assert stranger.choose("Close tab") == "The tab is closed now"
    assert "Not finished" in stranger.latest()
    demo = stranger.demo
    found = manage(
        "reconcile_payments", "--since", "2026-01-01", SIMULATOR_URL=demo.simulator_url,
        DATABASE_URL=f"sqlite:///{demo.output.parent / 'demo.sqlite3'}",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "Paid" in stranger.latest()
    look(stranger.page, f"demo-{wallet}-found")


VISITORS = ("", "login/", "sign-up/", "api/")
MEMBERS = (
    "", "invoices/", "invoices/new/", "customers/", "customers/new/", "report/", "team/", "team/new/", "billing/",
    "billing/plans/", "billing/checkout/?plan=BASIC", "billing/history/", "billing/payments/",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_everybody_can_see_the_example_site_and_axe_finds_no_violation(
    demo: Demo, chromium: Browser, language: str
) -> None:
    context = chromium.new_context(locale=LANGUAGES[language], base_url=demo.url)
    page = context.new_page()
    for who, paths in (("visitor", VISITORS), ("member", MEMBERS)):
        for path in paths:
            page.goto(f"/{path}")
            assert page.locator("html").get_attribute("lang") == language
            look(page, f"example-{who}-{path.split('?')[0].replace('/', '-')}{language}")
            # In both languages the colours and the widths are the same.
            width, scheme = LOOKS[language == "en"]
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        if who == "visitor":
            page.goto("/login/")
            page.locator("[name=username]").fill("samir")
            page.locator("[name=password]").fill(PASSWORD)
            with page.expect_navigation():
                page.keyboard.press("Enter")
    context.close()
