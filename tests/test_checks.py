"""The system checks: what each one finds, what it leaves alone, and that every one of them says what to do."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import ERROR, WARNING, CheckMessage, Error, registry, run_checks
from django.core.management import call_command
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.utils import ConnectionHandler
from django.test import override_settings

import django_tenant_billing
from django_tenant_billing.checks import check_databases, check_deploy, check_gateways, check_settings
from django_tenant_billing.conf import SETTING_NAMES
from django_tenant_billing.exceptions import GatewayNotConfigured
from django_tenant_billing.gateways.base import Gateway
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import PlanLimit
from django_tenant_billing.testing import seed_catalogue

SOURCE = Path(django_tenant_billing.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
KHALTI = {"khalti": {"BACKEND": "django_tenant_billing.gateways.khalti.KhaltiGateway", "OPTIONS": {"secret_key": "k"}}}
LIVE = {
    "TENANT_BILLING_GATEWAYS": KHALTI,
    "TENANT_BILLING_MODE": "live",
    "TENANT_BILLING_PUBLIC_BASE_URL": "https://app.example.com",
}


class HalfReady(KhaltiGateway):
    """A gateway whose own check finds that it cannot be used."""

    def check(self) -> list[CheckMessage]:
        raise GatewayNotConfigured("The till has no drawer.")


class OtherDatabase:
    """A router of a site that keeps billing in its second database."""

    def db_for_write(self, _model: type, **_hints: Any) -> str:
        return "second"


class LooksLikeMariaDB(DatabaseWrapper):
    """Stands for MariaDB where its driver is not installed: its name, and no tables."""

    vendor = "mysql"

    def get_connection_params(self) -> dict[str, Any]:
        parameters = super().get_connection_params()
        parameters.pop("isolation_level", None)  # not a word of SQLite's
        return parameters


def found(messages: list[CheckMessage]) -> list[str]:
    """The ids without the app's name; that every message has a hint is looked at on the way."""
    for message in messages:
        assert message.hint
        assert message.id is not None
        assert message.id.startswith("tenant_billing.")
        assert message.level == {"E": ERROR, "W": WARNING}[message.id[15]]
    return [str(message.id)[15:] for message in messages]


def second(wrapper: type[DatabaseWrapper] = DatabaseWrapper, **options: Any) -> DatabaseWrapper:
    handler = ConnectionHandler(
        {"default": {}, "second": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": options}}
    )
    handler.configure_settings(handler.settings)
    return wrapper(handler.settings["second"], "second")


@pytest.fixture
def use(settings: Any) -> Iterator[Any]:
    """Make a connection the site's second database, where its billing is."""
    used: list[DatabaseWrapper] = []

    def put(connection: DatabaseWrapper) -> None:
        connections["second"] = connection
        used.append(connection)

    settings.DATABASE_ROUTERS = [OtherDatabase()]
    yield put
    for connection in used:
        connection.close()
    del connections["second"]


# The site as a whole


@pytest.mark.django_db
def test_a_site_with_one_setting_and_a_catalogue_has_nothing_to_mend(catalogue: None) -> None:
    assert run_checks(tags=["tenant_billing"]) == []
    assert [m for m in run_checks(databases=["default"]) if str(m.id).startswith("tenant_billing")] == []
    call_command("check", "--database", "default", "--fail-level", "WARNING")


def test_a_site_that_sells_has_nothing_to_mend_either() -> None:
    with override_settings(**LIVE):
        assert run_checks(tags=["tenant_billing"], include_deployment_checks=True) == []


def test_every_check_is_registered() -> None:
    registered: list[Any] = registry.registry.get_checks(include_deployment_checks=True)
    for check in (check_settings, check_gateways, check_databases, check_deploy):
        assert check in registered


# Settings


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TENANT_BILLING_FALBACK_PLAN", "Did you mean TENANT_BILLING_FALLBACK_PLAN?"),
        ("TENANT_BILLING_MODES", "Did you mean TENANT_BILLING_MODE?"),
        ("TENANT_BILLING_XYZZY", "Remove it; docs/settings.md lists every setting."),
    ],
)
def test_w001_an_unknown_setting_is_told_with_a_suggestion(name: str, hint: str) -> None:
    with override_settings(**{name: "x"}):
        (message,) = check_settings()
    assert (message.id, message.hint) == ("tenant_billing.W001", hint)
    assert message.msg == f"{name} is not a setting of django-tenant-billing."


def test_w001_is_silent_about_known_names_and_about_those_of_others() -> None:
    with override_settings(TENANT_BILLING_FALLBACK_PLAN="BASIC", TENANTS_BILLED=1):
        assert check_settings() == []


@pytest.mark.parametrize("model", ["orgs.Organization", "testapp.Organisation"])
def test_e001_an_organization_model_that_is_not_installed(model: str) -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_MODEL=model):
        (message,) = check_settings()
    assert message.id == "tenant_billing.E001"
    assert repr(model) in message.msg


def test_e001_is_silent_about_an_installed_model_in_any_case() -> None:
    with override_settings(TENANT_BILLING_ORGANIZATION_MODEL="testapp.organization"):
        assert check_settings() == []


@pytest.mark.parametrize("name", ["ORGANIZATION_RESOLVER", "AUTHORIZE", "ORGANIZATION_TIME_ZONE"])
@pytest.mark.parametrize("value", ["orgs.resolve", "resolve", "", "tests.settings.USE_TZ", "Asia/Kathmandu", 5, True])
def test_e002_a_function_that_is_not_there_or_is_none(name: str, value: object) -> None:
    with override_settings(**{f"TENANT_BILLING_{name}": value}):
        (message,) = check_settings()
    assert message.id == "tenant_billing.E002"
    assert message.msg == f"TENANT_BILLING_{name} is not a function: {value!r}."


@pytest.mark.parametrize("value", ["tests.testapp.models.count_customers", found, None])
def test_e002_is_silent_about_functions_and_paths_to_them(value: object) -> None:
    names = ("ORGANIZATION_RESOLVER", "AUTHORIZE", "ORGANIZATION_TIME_ZONE")
    with override_settings(**{f"TENANT_BILLING_{name}": value for name in names}):
        assert check_settings() == []


def test_e003_a_catalogue_with_a_mistake_is_told_with_its_place() -> None:
    with override_settings(TENANT_BILLING_CATALOGUE={"features": {"seats": {}}, "plans": {}}):
        (message,) = check_settings()
    assert message.id == "tenant_billing.E003"
    assert message.msg.startswith("TENANT_BILLING_CATALOGUE: features.seats: missing ")


def test_e003_is_silent_about_a_catalogue_that_can_be_read() -> None:
    own = {
        "features": {"seats": {"singular": "seat", "plural": "seats", "kind": "exists"}},
        "plans": {"FREE": {"price": 0, "limits": {"seats": 1}}},
    }
    with override_settings(TENANT_BILLING_CATALOGUE=own):
        assert check_settings() == []


def test_e004_naive_datetimes() -> None:
    with override_settings(USE_TZ=False):
        assert found(check_settings()) == ["E004"]
    with override_settings(USE_TZ=True):
        assert found(check_settings()) == []


@pytest.mark.parametrize("proxies", [-1, "1", None, True, 1.5])
def test_e019_what_is_no_number_of_proxies(proxies: object) -> None:
    with override_settings(TENANT_BILLING_TRUSTED_PROXIES=proxies):
        (message,) = check_settings()
    assert (message.id, repr(proxies) in message.msg) == ("tenant_billing.E019", True)


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_e019_is_silent_about_numbers(proxies: int) -> None:
    with override_settings(TENANT_BILLING_TRUSTED_PROXIES=proxies):
        assert check_settings() == []


def test_every_mistake_is_told_at_once() -> None:
    with override_settings(
        TENANT_BILLING_X=1,
        TENANT_BILLING_ORGANIZATION_MODEL="a.B",
        TENANT_BILLING_AUTHORIZE="no",
        TENANT_BILLING_CATALOGUE=[],
        USE_TZ=False,
    ):
        assert found(check_settings()) == ["W001", "E001", "E002", "E003", "E004"]


# Gateways


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KHALTI_PUBLIC_KEY": "p"}, "KHALTI_PUBLIC_KEY set"),
        ({"KHALTI_CALLBACK_URL": "https://shop.example/"}, "KHALTI_CALLBACK_URL set"),
        (
            {"KHALTI_PUBLIC_KEY": "p", "KHALTI_CALLBACK_URL": "https://shop.example/", "KHALTI_SECRET_KEY": ""},
            "KHALTI_PUBLIC_KEY and KHALTI_CALLBACK_URL set",
        ),
    ],
)
def test_e005_a_half_set_khalti_names_what_is_missing(given: dict[str, str], named: str) -> None:
    with override_settings(**given):
        (message,) = check_gateways()
    assert message.id == "tenant_billing.E005"
    assert message.msg == f"{named}, but KHALTI_SECRET_KEY is not: Khalti is off."


@pytest.mark.parametrize(
    ("given", "missing"),
    [("ESEWA_MERCHANT_CODE", "ESEWA_MERCHANT_SECRET"), ("ESEWA_MERCHANT_SECRET", "ESEWA_MERCHANT_CODE")],
)
def test_e014_a_half_set_esewa_names_what_is_missing(given: str, missing: str) -> None:
    with override_settings(**{given: "x", missing: ""}):
        (message,) = check_gateways()
    assert message.id == "tenant_billing.E014"
    assert message.msg == f"{given} is set, but {missing} is not: eSewa is off."
    assert missing in str(message.hint)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"KHALTI_PUBLIC_KEY": "", "KHALTI_CALLBACK_URL": None, "KHALTI_SECRET_KEY": ""},
        {"KHALTI_PUBLIC_KEY": "p", "KHALTI_SECRET_KEY": "s", "DEBUG": True},
        {"KHALTI_PUBLIC_KEY": "p", "TENANT_BILLING_GATEWAYS": {}},
        {"ESEWA_MERCHANT_CODE": "", "ESEWA_MERCHANT_SECRET": None},
        {"ESEWA_MERCHANT_CODE": "c", "ESEWA_MERCHANT_SECRET": "s", "DEBUG": True},
        {"ESEWA_MERCHANT_CODE": "c", "TENANT_BILLING_GATEWAYS": {}},
    ],
    ids=["nothing", "empty", "whole", "map", "empty eSewa", "whole eSewa", "map and eSewa"],
)
def test_e005_and_e014_are_silent_where_a_wallet_is_off_whole_or_configured_in_full(given: dict[str, Any]) -> None:
    with override_settings(**given):
        assert found(check_gateways()) == []


@pytest.mark.parametrize("gateways", [{}, KHALTI], ids=["without a gateway", "with a gateway"])
@pytest.mark.parametrize("mode", ["production", "LIVE", 5])
def test_e006_a_mode_that_is_none(mode: object, gateways: dict[str, Any]) -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_MODE": mode, "TENANT_BILLING_GATEWAYS": gateways}):
        (message,) = check_gateways()
    assert message.id == "tenant_billing.E006"
    assert message.msg == f"TENANT_BILLING_MODE is {mode!r}."


@pytest.mark.parametrize("mode", ["live", "sandbox"])
def test_e006_is_silent_about_the_two_modes(mode: str) -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_MODE": mode}):
        assert found(check_gateways()) == []


@pytest.mark.parametrize(
    ("gateways", "problem"),
    [
        (["khalti"], "TENANT_BILLING_GATEWAYS must be a dict"),
        ({"till": {"BACKEND": "no_such.Till"}}, "No module named 'no_such'"),
        ({"till": {"OPTIONS": {}}}, "TENANT_BILLING_GATEWAYS['till']"),
        ({"till": {"BACKEND": f"{__name__}.HalfReady", "OPTIONS": {"secret_key": "k"}}}, "The till has no drawer."),
    ],
    ids=["no dictionary", "no module", "no backend", "its own check"],
)
def test_e007_a_gateway_that_cannot_be_built(gateways: Any, problem: str) -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_GATEWAYS": gateways}):
        (message,) = check_gateways()
    assert message.id == "tenant_billing.E007"
    assert problem in message.msg


def test_e007_is_silent_about_a_gateway_that_can_and_one_that_cannot_hides_no_other() -> None:
    with override_settings(**LIVE):
        assert found(check_gateways()) == []
    simulated = {
        "BACKEND": KHALTI["khalti"]["BACKEND"],
        "OPTIONS": {"secret_key": "k", "base_url": "http://127.0.0.1/"},
    }
    both = {"till": {}, "khalti": simulated}
    with override_settings(**LIVE | {"TENANT_BILLING_GATEWAYS": both}):
        assert found(check_gateways()) == ["E012", "E007"]


def test_what_a_gateway_says_of_itself_is_passed_on() -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_GATEWAYS": {"till": {"BACKEND": f"{__name__}.Till"}}}):
        assert [message.msg for message in check_gateways()] == ["The drawer is open."]


class Till(Gateway):
    """A gateway of a site's own, which is only ever checked here."""

    start_checkout = read_callback = look_up = None  # type: ignore[assignment]

    def check(self) -> list[CheckMessage]:
        return [Error("The drawer is open.", "Close it.", id="shop.E001")]


@pytest.mark.parametrize("mode", [None, ""])
def test_e008_a_gateway_outside_debug_without_a_mode(mode: str | None) -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_MODE": mode}):
        assert found(check_gateways()) == ["E008"]
    with override_settings(**LIVE | {"TENANT_BILLING_MODE": mode, "DEBUG": True}):
        assert found(check_gateways()) == []
    with override_settings(**LIVE | {"TENANT_BILLING_MODE": mode, "TENANT_BILLING_GATEWAYS": {}}):
        assert found(check_gateways()) == []


@pytest.mark.parametrize(
    "url",
    [None, "", "app.example.com", "http://app.example.com", "https://", "https:///billing", "https://[", "ftp://a"],
)
def test_e009_a_gateway_outside_debug_without_an_https_url_to_come_back_to(url: str | None) -> None:
    with override_settings(**LIVE | {"TENANT_BILLING_PUBLIC_BASE_URL": url}):
        (message,) = check_gateways()
        assert message.id == "tenant_billing.E009"
    with override_settings(**LIVE | {"TENANT_BILLING_PUBLIC_BASE_URL": url, "DEBUG": True}):
        assert found(check_gateways()) == []


def test_e009_is_silent_about_https_and_about_plain_http_beside_the_simulator() -> None:
    with override_settings(**LIVE):
        assert found(check_gateways()) == []
    local = {"TENANT_BILLING_PUBLIC_BASE_URL": "http://127.0.0.1:8000"}
    with override_settings(**LIVE | local):
        assert found(check_gateways()) == ["E009"]
    with override_settings(**LIVE | local, TENANT_BILLING_ALLOW_SIMULATOR=True):
        assert found(check_gateways()) == []
    with override_settings(**LIVE | {"TENANT_BILLING_PUBLIC_BASE_URL": "ftp://a"}, TENANT_BILLING_ALLOW_SIMULATOR=True):
        assert found(check_gateways()) == ["E009"]


def test_a_secret_is_in_no_message() -> None:
    canary = "canary-5e1ec7ed"
    options = {"secret_key": canary, "unknown_option": canary, "base_url": "http://127.0.0.1/"}
    entry = {"BACKEND": KHALTI["khalti"]["BACKEND"], "OPTIONS": options}
    with override_settings(
        TENANT_BILLING_GATEWAYS={"a": entry, "b": {"BACKEND": "no.such", "OPTIONS": options}, "c": options},
        KHALTI_SECRET_KEY=canary,
    ):
        messages = check_gateways()
    assert len(messages) >= 3
    assert canary not in "".join(map(str, messages))


# Deployment


def test_c14_the_simulator_must_not_go_live_which_is_e010() -> None:
    with override_settings(TENANT_BILLING_ALLOW_SIMULATOR=True):
        assert found(check_deploy()) == ["E010"]
        assert found(run_checks(tags=["tenant_billing"], include_deployment_checks=True)) == ["E010"]
        assert found(run_checks(tags=["tenant_billing"])) == []
    assert check_deploy() == []


# Databases


@pytest.mark.parametrize("options", [{}, {"transaction_mode": "DEFERRED"}, {"transaction_mode": None}])
@pytest.mark.django_db
def test_w002_sqlite_whose_writers_would_fail_instead_of_waiting(use: Any, options: dict[str, Any]) -> None:
    use(second(**options))
    (message,) = check_databases(databases=["default", "second"])
    assert message.id == "tenant_billing.W002"
    assert "DATABASES['second']" in str(message.hint)


@pytest.mark.django_db
def test_w002_is_silent_about_sqlite_that_waits(use: Any) -> None:
    use(second(transaction_mode="IMMEDIATE"))
    assert check_databases(databases=["default", "second"]) == []


@pytest.mark.parametrize("level", ["repeatable read", "SERIALIZABLE", None])
@pytest.mark.django_db
def test_w003_mariadb_at_another_isolation_level(use: Any, level: str | None) -> None:
    use(second(LooksLikeMariaDB, isolation_level=level))
    (message,) = check_databases(databases=["second"])
    assert message.id == "tenant_billing.W003"
    assert "DATABASES['second']" in str(message.hint)


@pytest.mark.parametrize("options", [{}, {"isolation_level": "read committed"}, {"isolation_level": "READ COMMITTED"}])
@pytest.mark.django_db
def test_w003_is_silent_about_mariadb_as_django_sets_it_up(use: Any, options: dict[str, Any]) -> None:
    use(second(LooksLikeMariaDB, **options))
    assert check_databases(databases=["second"]) == []


@pytest.mark.django_db
def test_w004_a_catalogue_that_was_never_seeded() -> None:
    (message,) = check_databases(databases=["default"])
    assert (message.id, message.hint) == ("tenant_billing.W004", "Run: manage.py init_plan_limits")
    seed_catalogue()
    assert check_databases(databases=["default"]) == []
    PlanLimit.objects.all().delete()
    assert found(check_databases(databases=["default"])) == ["W004"]


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_a_database_that_is_not_asked_about_is_not_touched(databases: list[str] | None) -> None:
    # No database is allowed in this test: a query would fail it.
    assert check_databases(databases=databases) == []


# The ids


def source_ids() -> Counter[str]:
    """Every id in the source, and in how many places it is given."""
    pattern = re.compile(r"""id=f?["'](?:tenant_billing|\{TAG\})\.([EW]\d{3})["']""")
    return Counter(name for file in SOURCE.rglob("*.py") for name in pattern.findall(file.read_text("utf-8")))


def test_an_id_means_one_thing() -> None:
    ids = source_ids()
    assert {"E001", "E010", "W001", "W004"} <= set(ids)
    assert {name for name, places in ids.items() if places > 1} == set()


def test_no_id_is_written_in_a_way_that_these_tests_do_not_see() -> None:
    loose = re.compile(r"\b(?:tenant_billing|TAG\})\.([EW]\d{3})")
    anywhere = {name for file in SOURCE.rglob("*.py") for name in loose.findall(file.read_text("utf-8"))}
    assert anywhere - {"W001"} <= set(source_ids()) and "W001" in source_ids()


def test_every_id_is_explained_in_the_docs_and_no_other() -> None:
    explained = re.findall(
        r"^\| `tenant_billing\.([EW]\d{3})` \|", (DOCS / "checks.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(explained) == sorted(source_ids())


def test_every_setting_is_explained_in_the_docs_and_no_other() -> None:
    explained = re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "settings.md").read_text("utf-8"), re.MULTILINE)
    conf = (SOURCE / "conf.py").read_text("utf-8")
    flat = set(re.findall(r'"((?:KHALTI|ESEWA)_[A-Z_]+)"', conf))
    assert {"KHALTI_SECRET_KEY", "KHALTI_PUBLIC_KEY", "KHALTI_CALLBACK_URL", "ESEWA_MERCHANT_SECRET"} <= flat
    assert sorted(explained) == sorted(SETTING_NAMES | flat)
