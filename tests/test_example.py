"""The example site as its readers run it: in processes of its own, with its own settings, over real HTTP."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django
import pytest
import requests

PROJECT = Path(__file__).resolve().parent.parent / "example_project"
PASSWORD = "demo-pass-123"

GUIDE_VARIABLES = """
KHALTI_PUBLIC_KEY=test_public_key_xxxxx
KHALTI_SECRET_KEY=test_secret_key_xxxxx
ESEWA_MERCHANT_CODE=EPAYTEST
ESEWA_MERCHANT_SECRET=your_secret_here
KHALTI_CALLBACK_URL = "https://yourdomain.com/billing/khalti/callback/"
DEBUG=False
SECRET_KEY=your_secret_key_here
DATABASE_URL=postgresql://user:pass@host:5432/dbname
"""

# The guide's tests 1 to 3 and its check of data integrity, with this package's import path.
GUIDE_SHELL = """
>>> from django_tenant_billing.models import PlanLimit, Usage, PaymentTransaction
>>> PlanLimit.objects.count()  # Should be ~15
15
>>> Usage.objects.count()      # Existing orgs should have usage records
3
>>> from django_tenant_billing.models import PlanLimit
>>> free_plan = PlanLimit.objects.filter(plan='FREE')
>>> free_plan.count()
5
>>> free_plan.first()
<PlanLimit: FREE - invoices: 10>
>>> from django_tenant_billing.models import Usage
>>> usage = Usage.objects.first()
>>> can_create, msg = usage.can_create_invoice()
>>> print(f"Can create: {can_create}, Message: {msg}")
Can create: True, Message: None
>>> from django_tenant_billing.models import Usage, Subscription
>>> for usage in Usage.objects.all():
...     if not usage.organization.subscription:
...         print(f"Missing subscription for {usage.organization}")
...
"""

INTERACTIVE = "import code, sys; console = code.InteractiveConsole(); [console.push(line[:-1]) for line in sys.stdin]"


def names_in(text: str) -> list[str]:
    return re.findall(r"^([A-Z_]+) ?=", text, re.MULTILINE)


def example_environment(**changes: str) -> dict[str, str]:
    """The environment of somebody who copied .env.example to .env, whatever else is set here; no file is written."""
    lines = (PROJECT / ".env.example").read_text().splitlines()
    copied = dict(line.split("=", 1) for line in lines if names_in(line))
    here = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return here | copied | {"DATABASE_URL": "sqlite://:memory:"} | changes


def manage(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *arguments],
        env=example_environment(**changes),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until(condition: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        assert process.poll() is None, "the process ended"
        time.sleep(0.05)


@dataclass
class Demo:
    """A running ``manage.py demo``."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    def found(self, pattern: str) -> str:
        match = re.search(pattern, self.text)
        assert match, self.text
        return match[1]

    @property
    def url(self) -> str:
        return self.found(r"The site: +(\S+)/\n")

    @property
    def simulator_url(self) -> str:
        return self.found(r"The simulator: +(\S+)\n")

    def token(self, username: str) -> str:
        return self.found(rf"  {username} .*\n +Bearer token: (\S+)")

    def ask(self, method: str, path: str, username: str = "samir", **options: Any) -> requests.Response:
        """As a program does, with a Bearer token."""
        headers = {"Authorization": f"Bearer {self.token(username)}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, allow_redirects=False, **options)

    def used(self, feature: str, username: str = "samir") -> int:
        used: int = self.ask("GET", "/billing/usage/", username).json()["features"][feature]["used"]
        return used


class Browser:
    """As a person does, with a cookie and with forms."""

    def __init__(self, demo: Demo, username: str = "") -> None:
        self.url = demo.url
        self.session = requests.Session()
        if username:
            self.get("/login/")
            self.page = self.post("/login/", username=username, password=PASSWORD)

    def sign_up(self, username: str, **fields: str) -> requests.Response:
        self.get("/sign-up/")
        shop = f"{username.title()} Stores"
        form = {"username": username, "password1": PASSWORD, "password2": PASSWORD, "organization": shop}
        self.page = self.post("/sign-up/", **form | fields)
        return self.page

    @property
    def works_for(self) -> str:
        """The organization that the page's header names."""
        (name,) = re.findall(r"<summary>(.*?)</summary>", self.page.text)
        return str(name)

    def switch(self, organization: str) -> None:
        (path,) = re.findall(rf'action="(/organizations/\d+/switch/)".*?\n.*Switch to {organization}<', self.page.text)
        self.page = self.post(path)

    def used(self, feature: str) -> int:
        usage = self.session.get(f"{self.url}/billing/usage/", headers={"Accept": "application/json"}).json()
        used: int = usage["features"][feature]["used"]
        return used

    def removal_of(self, username: str) -> str:
        """The address of the page that asks whether this member shall be removed."""
        (path,) = re.findall(rf'href="(/team/\d+/remove/)">Remove {username}<', self.get("/team/").text)
        return str(path)

    def get(self, path: str) -> requests.Response:
        self.page = self.session.get(f"{self.url}{path}")
        return self.page

    def post(self, path: str, **fields: str) -> requests.Response:
        """Submit a form of the page that is open."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page.text)
        assert token, self.page.text
        return self.session.post(f"{self.url}{path}", data={"csrfmiddlewaretoken": token[1], **fields})


class Latin(HTMLParser):
    """The words in Latin letters that a page shows or reads out, outside of code and of what says it is English."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: set[str] = set()
        self._skipped = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if not self._skipped and (tag == "code" or (tag != "html" and values.get("lang") == "en")):
            self._skipped = tag
        for name in ("aria-label", "data-label", "placeholder", "title", "alt"):
            self.handle_data(values.get(name) or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipped:
            self._skipped = ""

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.words |= set(re.findall("[A-Za-z]{2,}", data))


def start_demo(folder: Path, *arguments: str) -> Demo:
    output = folder / "output"
    command = [sys.executable, str(PROJECT / "manage.py"), "demo", "--database", str(folder / "demo.sqlite3")]
    with output.open("wb") as file:
        process = subprocess.Popen([*command, *arguments], env=example_environment(), stdout=file, stderr=file)
    demo = Demo(process, output)
    until(lambda: "curl " in demo.text, process)
    return demo


def stop_demo(demo: Demo, number: int) -> int:
    demo.process.send_signal(number)
    return demo.process.wait(30)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start_demo(tmp_path_factory.mktemp("demo"), "--port", "0", "--simulator-port", "0")
    yield running
    assert stop_demo(running, signal.SIGINT) == 0


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The DATABASE_URL of an SQLite file after ``migrate`` and ``seed_demo``."""
    url = f"sqlite:///{tmp_path_factory.mktemp('seeded') / 'db.sqlite3'}"
    assert manage("migrate", "--verbosity", "0", DATABASE_URL=url).returncode == 0
    assert manage("seed_demo", DATABASE_URL=url).returncode == 0
    return url


@pytest.fixture
def samir(demo: Demo) -> Browser:
    return Browser(demo, "samir")


# ---- settings and commands -------------------------------------------------------------------------------------------


def test_the_env_example_has_every_variable_of_the_guide() -> None:
    named = names_in((PROJECT / ".env.example").read_text())
    wanted = names_in(GUIDE_VARIABLES)
    assert len(wanted) == 8
    assert set(wanted) <= set(named)
    assert {"TENANT_BILLING_MODE", "TENANT_BILLING_PUBLIC_BASE_URL", "SIMULATOR_URL"} <= set(named)


def test_check_finds_nothing_to_say(seeded: str) -> None:
    found = manage("check", "--database", "default", "--fail-level", "WARNING", DATABASE_URL=seeded)
    assert found.returncode == 0, found.stderr
    assert "no issues" in found.stdout


def test_the_deployment_check_has_ordinary_warnings_and_refuses_the_simulator() -> None:
    ordinary = manage("check", "--deploy")
    assert ordinary.returncode == 0
    assert set(re.findall(r"\((\w+)\.\w+\)", ordinary.stderr)) == {"security"}
    simulated = manage("check", "--deploy", SIMULATOR_URL="http://127.0.0.1:8001")
    assert simulated.returncode == 1
    assert "tenant_billing.E010" in simulated.stderr


def test_a_production_environment_is_clean_and_needs_a_secret_key(seeded: str) -> None:
    production = {
        "DEBUG": "False",
        "ALLOWED_HOSTS": "app.example.com",
        "DATABASE_URL": seeded,
        "KHALTI_PUBLIC_KEY": "live_public_key",
        "KHALTI_SECRET_KEY": "live_secret_key",
        "ESEWA_MERCHANT_CODE": "NP-ES-HIMAL",
        "ESEWA_MERCHANT_SECRET": "live secret",
        "TENANT_BILLING_MODE": "live",
        "TENANT_BILLING_PUBLIC_BASE_URL": "https://app.example.com",
    }
    keyless = manage("check", **production)
    assert keyless.returncode == 1
    assert "SECRET_KEY must be set" in keyless.stderr
    keyed = manage("check", SECRET_KEY="x1" * 30, **production)
    assert keyed.returncode == 0, keyed.stderr
    refused = manage("seed_demo", SECRET_KEY="x1" * 30, **production)
    assert refused.returncode == 1
    assert "needs DEBUG=True" in refused.stderr


def test_the_public_merchant_of_esewas_sandbox_is_refused_where_real_money_is_paid() -> None:
    guide = {"ESEWA_MERCHANT_CODE": "EPAYTEST", "ESEWA_MERCHANT_SECRET": "8gBm/:&EnhH.1/q"}
    assert manage("check", TENANT_BILLING_MODE="sandbox", **guide).returncode == 0
    live = manage("check", TENANT_BILLING_MODE="live", **guide)
    assert live.returncode == 1
    assert "tenant_billing.E018" in live.stderr


def test_the_database_url_of_the_guide_is_read() -> None:
    code = "from django.conf import settings; print(settings.DATABASES['default'])"
    shown = manage("shell", "--verbosity", "0", "-c", code, DATABASE_URL="postgresql://user:pass@host:5432/dbname")
    assert "'ENGINE': 'django.db.backends.postgresql'" in shown.stdout
    assert "'NAME': 'dbname'" in shown.stdout


def test_the_migrations_fit_the_models(seeded: str) -> None:
    checked = manage("makemigrations", "--check", "--dry-run", DATABASE_URL=seeded)
    assert checked.returncode == 0, checked.stdout


def test_the_guides_first_three_tests_can_be_pasted_into_the_shell(seeded: str) -> None:
    lines = GUIDE_SHELL.strip().splitlines()
    typed = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    printed = [line for line in lines if not line.startswith((">>>", "..."))]
    shell = manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        INTERACTIVE,
        stdin="".join(f"{line}\n" for line in typed),
        DATABASE_URL=seeded,
    )
    assert "Traceback" not in shell.stderr, shell.stderr
    assert shell.stdout.splitlines() == printed


def test_seeding_again_changes_only_the_tokens(seeded: str) -> None:
    counts = (
        "from django_tenant_billing.models import *; from orgs.models import *; from invoicing.models import *; "
        "print([m.objects.count() for m in (PlanLimit, UsageCounter, Organization, Membership, ApiToken, Invoice)])"
    )
    before = manage("shell", "--verbosity", "0", "-c", counts, DATABASE_URL=seeded).stdout
    assert before.strip() == "[15, 8, 3, 5, 2, 31]"
    first = manage("seed_demo", DATABASE_URL=seeded).stdout
    second = manage("seed_demo", DATABASE_URL=seeded).stdout
    assert manage("shell", "--verbosity", "0", "-c", counts, DATABASE_URL=seeded).stdout == before
    assert PASSWORD in first
    assert set(re.findall(r"token: (\S+)", first)).isdisjoint(re.findall(r"token: (\S+)", second))


# ---- the tour --------------------------------------------------------------------------------------------------------


def test_the_tour_plays_the_main_job_and_leaves_nothing_behind(tmp_path: Path) -> None:
    played = manage("tour", DATABASE_URL="postgresql://nobody@nowhere.invalid/nothing", TMPDIR=str(tmp_path))
    assert played.returncode == 0, played.stderr
    place, told = 0, "".join(played.stdout.split())  # lines are wrapped wherever they get too long
    for landmark in (
        "/billing/usage/",
        '"plan": "FREE"',
        "201 Created",
        "403 Forbidden",
        '"error": "Reached invoice limit (10). Upgrade your plan."',
        "/billing/khalti/init/",
        "Pay with Khalti",
        "action=pay",
        "303 See Other",
        "Payment received",
        '"plan": "PRO"',
        '"limit": 3000',
        '"number": "INV-0011"',
        "status=Completed",
        '"plan": "FREE"',
        "/billing/esewa/init/",
        "/api/epay/main/v2/form",
        "Pay with eSewa",
        "/billing/esewa/success/",
        "Payment received",
        "initiated -> paid",
        "eSewa's data is not signed as a whole.",
        "initiated -> paid",
        "manage.py demo",
    ):
        place = told.find("".join(landmark.split()), place)
        assert place >= 0, f"{landmark} is missing in:\n{played.stdout}"
    assert "\x1b" not in played.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        ("os.environ['SIMULATOR_URL'] = ''", ["Step 4", "khalti/init/", "answered 404 Not Found, not 200"]),
        ("sys.exit('the site broke')", ["The site ended instead of starting", "the site broke"]),
    ],
)
def test_a_tour_that_goes_wrong_says_where_and_ends_with_1(tmp_path: Path, sabotage: str, said: Sequence[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import os, sys\nif 'runserver' in sys.orig_argv: {sabotage}\n")
    stopped = manage("tour", PYTHONPATH=str(tmp_path))
    assert stopped.returncode == 1
    for words in said:
        assert words in stopped.stderr


def test_a_tour_that_is_terminated_takes_its_servers_with_it(tmp_path: Path) -> None:
    output = tmp_path / "output"
    (tmp_path / "scratch").mkdir()
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "manage.py"), "tour"],
            env=example_environment(PYTHONUNBUFFERED="1", TMPDIR=str(tmp_path / "scratch")),
            stdout=file,
            stderr=file,
        )
    until(lambda: "201 Created" in output.read_text(), process)
    process.terminate()
    assert process.wait(30) == 130
    assert "The tour was interrupted." in output.read_text()
    for url in re.findall(r"http://127.0.0.1:\d+", output.read_text()):
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
    assert list((tmp_path / "scratch").iterdir()) == []


# ---- the demo --------------------------------------------------------------------------------------------------------


def test_the_demo_serves_both_and_stops_both_on_sigterm(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--port", "0", "--simulator-port", "0")
    urls = [f"{demo.url}/", f"{demo.url}/admin/", demo.simulator_url]
    for url in urls:
        assert requests.get(url, timeout=20).status_code == 200
    assert stop_demo(demo, signal.SIGTERM) == 0
    for url in urls:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
    assert "The demo is stopped." in demo.text


def test_a_demo_that_is_started_again_on_its_data_sells_again(tmp_path: Path) -> None:
    for buyer in ("samir", "sita"):
        demo = start_demo(tmp_path, "--port", "0", "--simulator-port", "0")
        for wallet in ("khalti", "esewa"):
            started = demo.ask("POST", f"/billing/{wallet}/init/", buyer, json={"plan": "PRO"})
            assert started.status_code == 200, demo.text
        assert stop_demo(demo, signal.SIGTERM) == 0


@pytest.mark.parametrize("option", ["--port", "--simulator-port"])
def test_the_demo_says_which_port_is_taken_and_what_to_do(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"--port": "--simulator-port", "--simulator-port": "--port"}[option]
        refused = manage("demo", option, str(port), other, "0")
    assert refused.returncode == 1
    assert f"Port {port} cannot be used" in refused.stderr
    assert f"choose another port with {option}." in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_guides_fourth_test_is_the_curl_line_that_the_demo_prints(demo: Demo) -> None:
    curl, _option, header, url = shlex.split(demo.found(r"(curl .*)"))
    name, value = header.split(": ")
    answer = requests.get(url, headers={name: value}, timeout=20)
    assert curl == "curl"
    assert url.endswith("/billing/usage/")
    assert answer.status_code == 200
    wanted = {"organization", "plan", "invoices_created", "customers_created", "team_members_added", "api_calls_used"}
    assert wanted <= answer.json().keys()


def test_every_page_opens_without_script_or_inline_style(demo: Demo, samir: Browser) -> None:
    pages = ["/", "/invoices/", "/invoices/new/", "/customers/", "/customers/new/", "/team/", "/api/"]
    for path in [*pages, "/billing/", "/billing/plans/", "/billing/checkout/?plan=PRO", "/billing/payments/"]:
        page = samir.get(path)
        assert page.status_code == 200, path
        assert samir.works_for == "Himal Traders"
        assert "<script" not in page.text
        assert "<style" not in page.text
        assert " style=" not in page.text
        for resource in re.findall(r'<link rel="(?:stylesheet|icon)" href="([^"]+)"', page.text):
            assert samir.session.get(f"{demo.url}{resource}").status_code == 200, resource
    policy = samir.page.headers.get("Content-Security-Policy")
    wanted = f"default-src 'self'; form-action 'self' {demo.simulator_url.rstrip('/')}"
    assert policy == (wanted if django.VERSION >= (6, 0) else None)


def test_the_checkout_offers_both_wallets_and_esewas_form_works(demo: Demo, samir: Browser) -> None:
    offered = samir.get("/billing/checkout/?plan=PRO").text
    assert re.findall(r'name="gateway" value="(\w+)"', offered) == ["khalti", "esewa"]
    page = samir.post("/billing/checkout/", plan="PRO", gateway="esewa").text
    (action,) = re.findall(r'<form method="post" action="(http[^"]+)"', page)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert action == f"{demo.simulator_url}api/epay/main/v2/form"
    assert requests.post(action, data=fields, allow_redirects=False, timeout=20).status_code == 302


def test_without_a_user_pages_lead_to_the_login_and_json_answers_401(demo: Demo) -> None:
    for path in ("/invoices/", "/invoices/new/", "/customers/1/delete/", "/report/", "/billing/"):
        answer = requests.get(f"{demo.url}{path}", allow_redirects=False, timeout=20)
        assert answer.status_code == 302, path
        assert answer.headers["Location"] == f"/login/?next={path}"
    for path in ("/api/invoices/", "/billing/usage/"):
        answer = requests.get(f"{demo.url}{path}", timeout=20)
        assert answer.status_code == 401, path
        assert answer.json()["code"] == "not_authenticated"


def test_a_wrong_token_is_anonymous_even_beside_a_valid_cookie(samir: Browser) -> None:
    for path in ("/billing/usage/", "/api/invoices/"):
        answer = samir.session.get(f"{samir.url}{path}", headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401
    assert samir.get("/billing/usage/").status_code == 200


def test_the_json_endpoint_takes_no_cookie(samir: Browser) -> None:
    assert samir.session.post(f"{samir.url}/api/invoices/", json={}).status_code == 401


def test_a_user_without_an_organization_is_told_so(demo: Demo) -> None:
    admin = Browser(demo, "admin")
    assert "You belong to no organization yet." in admin.page.text
    for path in ("/invoices/", "/invoices/new/", "/billing/usage/"):
        answer = admin.get(path)
        assert answer.status_code == 403
        assert "Organization not found" in answer.text
    assert admin.get("/admin/tenant_billing/planlimit/").status_code == 200


def test_an_invoice_that_is_saved_counts_and_one_that_is_not_does_not(demo: Demo, samir: Browser) -> None:
    before = demo.used("invoices")
    samir.get("/invoices/new/")
    customer = re.findall(r'<option value="(\d+)">Asha Stores', samir.page.text)[0]
    refused = samir.post("/invoices/new/", customer=customer, amount="0")
    assert refused.status_code == 400
    assert demo.used("invoices") == before
    saved = samir.post("/invoices/new/", customer=customer, amount="1500")
    assert saved.status_code == 200
    assert re.search(r"INV-\d{4} is saved\.", saved.text)
    assert demo.used("invoices") == before + 1


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b'{"customer": "other"}', b'{"customer": {}, "amount": []}'])
def test_a_bad_body_is_400_and_counts_nothing(demo: Demo, body: bytes) -> None:
    before = demo.used("invoices")
    answer = demo.ask("POST", "/api/invoices/", data=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert demo.used("invoices") == before


def test_reading_the_api_counts_a_call(demo: Demo) -> None:
    before = demo.used("api_calls", "sita")
    answer = demo.ask("GET", "/api/invoices/", "sita")
    assert {invoice["customer"] for invoice in answer.json()["invoices"]} == {"Chandra Gifts"}
    assert demo.used("api_calls", "sita") == before + 1


def test_a_customer_counts_while_it_is_there(demo: Demo, samir: Browser) -> None:
    before = demo.used("customers")
    samir.get("/customers/new/")
    assert samir.post("/customers/new/", name="").status_code == 200
    assert demo.used("customers") == before
    samir.page = samir.post("/customers/new/", name="Short Visit")
    assert demo.used("customers") == before + 1
    path = re.findall(r'href="(/customers/\d+/delete/)">Delete Short Visit', samir.page.text)[0]
    samir.get(path)
    assert "Short Visit" not in samir.post(path).text
    assert samir.post(path).status_code == 404
    assert demo.used("customers") == before


def test_a_customer_with_invoices_stays(demo: Demo) -> None:
    sita = Browser(demo, "sita")
    sita.get("/customers/")
    assert "Has invoices" in sita.page.text
    chandra = re.findall(r'<option value="(\d+)">Chandra', sita.get("/invoices/new/").text)[0]
    before = demo.used("customers", "sita")
    sita.get(f"/customers/{chandra}/delete/")
    assert "Chandra Gifts has invoices and stays." in sita.post(f"/customers/{chandra}/delete/").text
    assert demo.used("customers", "sita") == before


def test_what_belongs_to_another_organization_is_not_there(demo: Demo, samir: Browser) -> None:
    sita = Browser(demo, "sita")
    theirs = re.findall(r'<option value="(\d+)">Chandra', sita.get("/invoices/new/").text)[0]
    assert samir.get(f"/customers/{theirs}/delete/").status_code == 404
    assert demo.ask("POST", "/api/invoices/", json={"customer": int(theirs), "amount": 10}).status_code == 400


def test_a_feature_that_is_off_is_refused_with_the_way_to_the_plans(samir: Browser) -> None:
    refused = samir.get("/report/")
    assert refused.status_code == 403
    assert "The FREE plan does not include reports." in refused.text
    assert 'href="/billing/plans/"' in refused.text


# ---- people and their organizations ----------------------------------------------------------------------------------


def test_visitors_see_the_plans_of_the_catalogue_and_where_each_begins(demo: Demo) -> None:
    page = Browser(demo).get("/").text
    prices = re.findall(r"<h3>(\w+)</h3>\s*<p class=\"price\"><strong>([^<]+)</strong> / (\w+)", page)
    assert prices == [("Free", "NPR 0", "month"), ("Basic", "NPR 1,000", "month"), ("Pro", "NPR 3,900", "month")]
    starts = re.findall(r'href="(/sign-up/[^"]*)">Start with', page)
    assert starts == ["/sign-up/", *(f"/sign-up/?next=/billing/checkout/%3Fplan={plan}" for plan in ("BASIC", "PRO"))]


def test_whoever_signs_up_is_logged_in_and_owns_an_organization_on_the_free_plan(demo: Demo) -> None:
    maya = Browser(demo)
    maya.sign_up("maya")
    assert maya.works_for == "Maya Stores"
    usage = maya.session.get(f"{demo.url}/billing/usage/").json()
    assert (usage["plan"], usage["features"]["team_members"]["used"]) == ("FREE", 1)
    maya.get("/customers/new/")
    assert maya.post("/customers/new/", name="First").status_code == 200
    assert maya.used("customers") == 1
    assert maya.get("/billing/checkout/?plan=BASIC").status_code == 200
    assert Browser(demo, "maya").works_for == "Maya Stores"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"username": "samir"}, "A user with that username already exists."),
        ({"organization": ""}, "This field is required."),
        ({"organization": "x" * 81}, "at most 80 characters"),
        ({"password1": "12345678", "password2": "12345678"}, "This password is entirely numeric."),
        ({"password2": "another-pass-456"}, "The two password fields didn’t match."),
    ],
)
def test_a_sign_up_that_is_refused_leaves_nobody_behind(demo: Demo, fields: dict[str, str], said: str) -> None:
    ram = Browser(demo)
    ram.sign_up(**{"username": "ram"} | fields)
    assert said in ram.page.text
    assert ram.get("/invoices/").url == f"{demo.url}/login/?next=/invoices/"
    assert "Please enter a correct username and password." in Browser(demo, "ram").page.text


@pytest.mark.parametrize(
    ("wanted", "reached"), [("/billing/checkout/?plan=PRO", "/billing/checkout/?plan=PRO"), ("//evil.example/", "/")]
)
def test_a_sign_up_leads_to_the_plan_that_was_chosen_and_never_away(demo: Demo, wanted: str, reached: str) -> None:
    username = f"buyer{len(wanted)}"
    assert Browser(demo).sign_up(username, next=wanted).url == f"{demo.url}{reached}"


def test_the_switcher_offers_the_users_own_organizations_and_the_session_keeps_the_choice(demo: Demo) -> None:
    samir = Browser(demo, "samir")
    assert samir.works_for == "Himal Traders"
    assert re.findall(r"Switch to ([^<]+)<", samir.page.text) == ["Pokhara Tea House"]
    samir.switch("Pokhara Tea House")
    assert samir.works_for == "Pokhara Tea House"
    assert "Devi Bakery" in samir.get("/customers/").text
    assert "Asha Stores" not in samir.page.text
    assert samir.get("/report/").status_code == 200
    samir.switch("Himal Traders")
    assert "Asha Stores" in samir.get("/customers/").text


def test_nobody_switches_to_an_organization_of_others(demo: Demo, samir: Browser) -> None:
    sita = Browser(demo, "sita")
    sita.switch("Himal Traders")
    (everest,) = re.findall(r'action="(/organizations/\d+/switch/)".*?\n.*Switch to Everest', sita.page.text)
    samir.get("/")
    assert samir.post(everest).status_code == 404
    assert samir.session.get(f"{demo.url}{everest}").status_code == 405
    assert samir.get("/").status_code == 200
    assert samir.works_for == "Himal Traders"
    sita.post(everest)
    sita.get("/")
    assert sita.works_for == "Everest Crafts"


@pytest.mark.parametrize("organization", ["Himal Traders", "Pokhara Tea House"])
def test_a_member_sees_billing_and_the_team_but_neither_pays_nor_chooses(demo: Demo, organization: str) -> None:
    sita = Browser(demo, "sita")
    assert sita.get("/billing/checkout/?plan=PRO").status_code == 200
    sita.get("/")
    sita.switch(organization)
    assert sita.get("/billing/").status_code == 200
    assert "/team/new/" not in sita.get("/team/").text
    assert "/remove/" not in sita.page.text
    assert sita.post("/billing/checkout/", plan="PRO", gateway="khalti").status_code == 403
    refused = sita.post("/team/new/", user="admin", role="owner")
    assert refused.status_code == 403
    assert "Only an owner of the organization may do this." in refused.text


def test_the_free_plan_has_room_for_its_owner_alone(samir: Browser) -> None:
    samir.get("/team/")
    for answer in (samir.post("/team/new/", user="sita", role="member"), samir.get("/team/new/")):
        assert answer.status_code == 403
        assert "Reached team member limit (1)." in answer.text
    assert samir.used("team_members") == 1


def test_the_team_grows_to_its_limit_and_whoever_is_removed_makes_room(demo: Demo, samir: Browser) -> None:
    gita = Browser(demo)
    gita.sign_up("gita")
    samir.switch("Pokhara Tea House")
    assert samir.used("team_members") == 2
    samir.get("/team/new/")
    for user, said in (("nobody", "Nobody here has this username."), ("sita", "sita is in the team already.")):
        assert said in samir.post("/team/new/", user=user, role="member").text
    assert samir.used("team_members") == 2
    assert ">gita</th>" in samir.post("/team/new/", user="gita", role="member").text
    assert samir.used("team_members") == 3
    assert "Reached team member limit (3)." in samir.post("/team/new/", user="admin", role="member").text
    path = samir.removal_of("gita")
    assert "Remove gita from the team?" in samir.get(path).text
    assert ">gita</th>" not in samir.post(path).text
    assert samir.post(path).status_code == 404
    assert samir.used("team_members") == 2
    assert re.findall(r"Switch to ([^<]+)<", gita.get("/").text) == []


def test_an_accountant_takes_no_room_and_gives_none_back(demo: Demo, samir: Browser) -> None:
    Browser(demo).sign_up("hari")
    code = (
        "from orgs.models import *; from django.contrib.auth.models import User; Membership.objects.create("
        "user=User.objects.get(username='hari'), organization=Organization.objects.get(name='Himal Traders'), "
        "role=Role.ACCOUNTANT)"
    )
    manage("shell", "--verbosity", "0", "-c", code, DATABASE_URL=f"sqlite:///{demo.output.parent / 'demo.sqlite3'}")
    assert samir.used("team_members") == 1
    path = samir.removal_of("hari")
    samir.get(path)
    assert ">hari</th>" not in samir.post(path).text
    assert samir.used("team_members") == 1


def test_the_last_owner_stays(samir: Browser) -> None:
    path = samir.removal_of("samir")
    samir.get(path)
    assert "samir is the only owner and stays." in samir.post(path).text
    assert samir.used("team_members") == 1


def test_nobody_removes_members_of_another_organization(demo: Demo, samir: Browser) -> None:
    sita = Browser(demo, "sita")
    theirs = sita.removal_of("sita")
    assert samir.get(theirs).status_code == 404
    samir.get("/team/")
    assert samir.post(theirs).status_code == 404
    assert ">sita</th>" in sita.get("/team/").text


# ---- languages -------------------------------------------------------------------------------------------------------

NAMES = set(
    re.findall(r"\w+", "Khata django tenant billing samir sita NPR INV API CSV OpenAPI FREE BASIC PRO Free Basic Pro")
)
SHOPS = set(
    re.findall(
        r"\w+",
        "Khalti eSewa Asia Kathmandu Himal Traders Everest Crafts Pokhara Tea House "
        "Devi Bakery Lakeside Hotel Quiet Inn",
    )
)


def in_nepali(browser: Browser) -> Browser:
    """As the button in the footer does it."""
    browser.get("/login/" if not browser.session.cookies else "/")
    assert 'lang="ne">नेपाली</button>' in browser.page.text
    browser.page = browser.post("/i18n/setlang/", language="ne", next="/")
    assert '<html lang="ne">' in browser.page.text
    return browser


def test_in_nepali_the_pages_for_visitors_say_nothing_in_english(demo: Demo) -> None:
    visitor = Browser(demo)
    assert Latin(visitor.get("/").text).words > {"Khata", "Invoices", "Plans"}
    in_nepali(visitor)
    for path in ("/", "/login/", "/sign-up/", "/api/"):
        assert Latin(visitor.get(path).text).words <= NAMES, path
    refused = visitor.sign_up("x" * 151, organization="", password2="other")
    assert Latin(refused.text).words <= NAMES


def test_in_nepali_the_pages_of_members_say_nothing_in_english(demo: Demo, samir: Browser) -> None:
    in_nepali(samir)
    (path,) = re.findall(r'action="(/organizations/\d+/switch/)"', samir.page.text)
    samir.page = samir.post(path)
    names = NAMES | SHOPS
    pages = ["/", "/invoices/", "/invoices/new/", "/customers/", "/customers/new/", "/report/", "/team/", "/team/new/"]
    pages += [f"/billing/{path}" for path in ("", "plans/", "checkout/?plan=BASIC", "history/", "payments/")]
    for page in pages:
        assert Latin(samir.get(page).text).words <= names, page
    samir.get("/customers/new/")
    samir.page = samir.post("/customers/new/", name="Quiet Inn")
    (delete,) = re.findall(r'href="(/customers/\d+/delete/)">Quiet Inn', samir.page.text)
    (remove, *_others) = re.findall(r'href="(/team/\d+/remove/)"', samir.get("/team/").text)
    for page in (delete, remove):
        assert Latin(samir.get(page).text).words <= names, page
    for page, fields in (
        (remove, {}),
        ("/team/new/", {"user": "sita", "role": ""}),
        ("/invoices/new/", {"customer": "x", "amount": "x"}),
        ("/customers/new/", {"name": ""}),
        (delete, {}),
    ):
        assert Latin(samir.post(page, **fields).text).words <= names, page
    sita = in_nepali(Browser(demo, "sita"))
    (switch,) = re.findall(r'action="(/organizations/\d+/switch/)".*?\n.*Pokhara', sita.page.text)
    sita.page = sita.post(switch)
    assert Latin(sita.post("/team/new/").text).words <= names
