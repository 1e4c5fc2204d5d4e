"""What sites may rely on: names, import paths, the tree of errors and what each error says."""

import importlib
import inspect
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SuspiciousOperation

import django_tenant_billing
from django_tenant_billing import exceptions, models, payments, quotas, signals, subscriptions, testing
from django_tenant_billing.decisions import Decision, Offer

ROOT = Path(django_tenant_billing.__file__).parent


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            quotas,
            {
                "Grant",
                "Reservation",
                "acheck",
                "acheck_all",
                "aconsume",
                "aconsuming",
                "arelease",
                "areserve",
                "aset_usage",
                "atrack",
                "check",
                "check_all",
                "consume",
                "consuming",
                "counting",
                "end_override",
                "enter",
                "entry",
                "override",
                "recount",
                "release",
                "release_gone",
                "reservation",
                "reserve",
                "set_usage",
                "track",
            },
        ),
        (
            payments,
            {
                "MOST_DAYS",
                "Sweep",
                "apply_review",
                "dismiss_review",
                "find",
                "reconcile",
                "record",
                "record_claim",
                "record_new",
                "record_rejected",
                "refund",
                "settle",
                "start",
                "verify",
            },
        ),
        (
            subscriptions,
            {
                "backfill",
                "buy_with_credit",
                "cancel",
                "extend",
                "extend_trial",
                "may_schedule",
                "may_try",
                "organizations_without_rows",
                "overdue_since",
                "preview",
                "resume",
                "run_due",
                "schedule_change",
                "set_by_staff",
                "start_trial",
                "subscription_of",
                "undo_change",
                "usage_of",
                "welcome",
            },
        ),
        (testing, {"BrokenContract", "GatewayContract", "clock_moved", "seed_catalogue", "set_used", "subscribe"}),
        (
            models,
            {
                "Activation",
                "Breaker",
                "Feature",
                "Heartbeat",
                "Hold",
                "HoldState",
                "IdempotencyKey",
                "LimitOverride",
                "PaymentEvent",
                "PaymentTransaction",
                "Plan",
                "PlanLimit",
                "PlanPrice",
                "Receipt",
                "ReceiptSequence",
                "Subscription",
                "SubscriptionEvent",
                "Throttle",
                "TrialMark",
                "Usage",
                "UsageCounter",
                "UsageEntry",
            },
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, ModuleType) else "",
)
def test_the_public_names_are_these(module: ModuleType, names: set[str]) -> None:
    assert set(module.__all__) == names
    assert list(module.__all__) == sorted(module.__all__)
    for name in names:
        assert inspect.getdoc(getattr(module, name)), f"{name} has no docstring"


@pytest.mark.parametrize(
    "path",
    [
        "quotas",
        "decorators.quota_required",
        "mixins.QuotaRequiredMixin",
        "forms.QuotaFormMixin",
        "guards.QuotaGuardedModel",
        "guards.QuotaGuardedQuerySet",
        "middleware.QuotaExceededMiddleware",
        "exceptions.QuotaExceeded",
        "payments",
        "gateways.base.Gateway",
        "gateways.esewa.EsewaGateway",
        "gateways.khalti.KhaltiGateway",
        "gateways.manual.ManualGateway",
        "testing",
        "urls",
        "catalogue.default_catalogue",
        "signals.plan_activated",
        "signals.payment_needs_review",
        "signals.suspicious_payment",
        "csp.form_action",
        "csp.sources",
        *(f"models.{name}" for name in ("Plan", "PlanLimit", "Subscription", "Usage", "PaymentTransaction")),
    ],
)
def test_the_import_paths_of_the_contract_work(path: str) -> None:
    module, _, name = path.rpartition(".")
    if not module:
        module, name = name, ""
    found = importlib.import_module(f"django_tenant_billing.{module}")
    assert not name or hasattr(found, name)


def test_the_parameters_of_the_verbs_are_these() -> None:
    many = "(organization: 'Model', feature: 'Asked', amount: 'int' = 1, *, "
    who = "actor: 'Any' = '', subject: 'Any' = ''"
    key = "key: 'str | None' = None, "
    short = "when_short: 'str' = 'reject', "
    expires = "expires_in: 'timedelta' = datetime.timedelta(seconds=900), "
    expected = {
        "check": "(organization: 'Model', feature: 'str', amount: 'int' = 1) -> 'Decision'",
        "check_all": "(organization: 'Model') -> 'list[Decision]'",
        "consume": f"{many}{short}{key}{who}) -> 'Grant'",
        "release": f"{many}{who}) -> 'None'",
        "reserve": f"{many}{expires}{short}{key}{who}) -> 'Reservation'",
        "set_usage": f"(organization: 'Model', feature: 'str', used: 'int', *, {who}) -> 'tuple[int, int]'",
        "track": f"{many}{key}{who}) -> 'Grant'",
    }
    consuming = f"{many}{who}) -> 'Iterator[Decision]'"
    aconsuming = f"(organization: 'Model', feature: 'Asked', amount: 'int', work: 'Callable[[], T]', *, {who}) -> 'T'"
    only_sync = {
        "release_gone": "(organization_id: 'Any', feature: 'str', amount: 'int') -> 'None'",
        "counting": f"{many}{who}) -> 'Iterator[None]'",
        "entry": "(organization: 'Model', feature: 'str', amount: 'int' = 1) -> 'Decision'",
        "enter": "(organization: 'Model', feature: 'str', amount: 'int' = 1) -> 'Decision'",
        "end_override": "(given: 'LimitOverride') -> 'bool'",
        "override": "(organization: 'Model', feature: 'str', limit: 'int | None', *, reason: 'str', actor: 'Any', "
        "starts_at: 'datetime | None' = None, ends_at: 'datetime | None' = None) -> 'LimitOverride'",
        "recount": "(organization: 'Model', feature: 'str', *, dry_run: 'bool' = False) -> 'tuple[int, int] | None'",
        "reservation": "(organization: 'Model', key: 'str', *, replayed: 'bool' = False) -> 'Reservation'",
    }
    twins = {f"a{name}": signature for name, signature in expected.items()}
    functions = {name for name in quotas.__all__ if not name[0].isupper()}
    assert {name: str(inspect.signature(getattr(quotas, name))) for name in functions} == {
        **expected, **twins, **only_sync, "consuming": consuming, "aconsuming": aconsuming
    }  # fmt: skip


def test_the_package_says_its_version_and_that_it_is_typed() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", django_tenant_billing.__version__)
    assert (ROOT / "py.typed").exists()


def test_signals_say_what_they_carry() -> None:
    assert {name for name, value in vars(signals).items() if type(value).__name__ == "Signal"} == {
        "plan_activated",
        "payment_needs_review",
        "payment_refunded",
        "subscription_changed",
        "suspicious_payment",
        "usage_warning",
    }


# Errors


def drawn() -> dict[str, tuple[str, str]]:
    """The tree in the docstring: each error's parent and the built-in or Django class beside it."""
    tree: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines()[2:]:
        drawing = re.match(r"^([│├└─\s]*)(\w+)\s*(?:\((\w+)(?:: \d+)?\))?", line)
        assert drawing is not None, line
        depth, name = len(drawing[1]) // 4, drawing[2]
        path[depth:] = [name]
        tree[name] = (path[depth - 1] if depth else "Exception", drawing[3] or "")
    return tree


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    written = {
        name: (value.__bases__[0].__name__, value.__bases__[1].__name__ if len(value.__bases__) > 1 else "")
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    }
    assert drawn() == written


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (PermissionDenied, {"OrganizationNotFound", "NotAuthorized", "QuotaExceeded"}),
        (SuspiciousOperation, {"CallbackRejected", "SignatureRejected"}),
        (ImproperlyConfigured, {"InvalidCatalogue", "GatewayNotConfigured"}),
        (LookupError, {"UnknownFeature", "CatalogueMissing", "UnknownReservation"}),
    ],
)
def test_errors_carry_their_meaning_by_inheritance(base: type[Exception], names: set[str]) -> None:
    assert {name for name in drawn() if issubclass(getattr(exceptions, name), base)} == names


FULL = Decision(
    feature="invoices", singular="invoice", plural="invoices", plan="FREE", amount=1, limit=10, used=10, held=0,
    period_start=datetime(2026, 1, 1, tzinfo=UTC), period_end=datetime(2026, 2, 1, tzinfo=UTC),
    offers=(Offer("PRO", None),), as_of=datetime(2026, 1, 9, tzinfo=UTC),
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "facts", "message"),
    [
        (exceptions.OrganizationNotFound(), {}, "Organization not found"),
        (exceptions.NotAuthorized("pay"), {"action": "pay"}, "You do not have permission to do this."),
        (
            exceptions.UnknownFeature("invoice"),
            {"feature": "invoice"},
            "There is no feature 'invoice'. Check the spelling, or add it to the catalogue and run: "
            "manage.py init_plan_limits",
        ),
        (
            exceptions.CatalogueMissing(),
            {},
            "There are no plans and features yet. Run: manage.py init_plan_limits",
        ),
        (
            exceptions.InvalidCatalogue("plans.PRO.price", "a price is missing"),
            {"where": "plans.PRO.price"},
            "TENANT_BILLING_CATALOGUE: plans.PRO.price: a price is missing",
        ),
        (
            exceptions.QuotaExceeded(FULL),
            {"decision": FULL},
            "Reached invoice limit (10). Upgrade your plan.",
        ),
        (
            exceptions.QuotaContended("invoices", 8),
            {},
            "Counting 'invoices' met a moving counter 8 times. Try again; if it repeats, check that the database runs "
            "at READ COMMITTED: manage.py check",
        ),
        (
            exceptions.ReleaseTooLarge("invoices", 3),
            {},
            "Cannot release 3 of 'invoices': less than that is counted in the current period. If the count is wrong, "
            "run: manage.py recount_usage",
        ),
        (
            exceptions.KeyReused("order-7"),
            {"key": "order-7"},
            "The idempotency key 'order-7' was used before, for another request. A key names one request: the same "
            "verb, features, amounts and when_short. Make a new key.",
        ),
        (
            exceptions.UnknownReservation("abc"),
            {"key": "abc"},
            "This organization has no reservation 'abc'.",
        ),
        (
            exceptions.NotForSale("FREE", "it is free"),
            {"plan": "FREE"},
            "Plan 'FREE' cannot be bought: it is free.",
        ),
        (
            exceptions.NotProven("TB-1", "pending"),
            {},
            "Payment TB-1 is 'pending', not 'paid'. Ask the gateway first: "
            "django_tenant_billing.payments.settle(payment), or run: manage.py reconcile_payments",
        ),
        (
            exceptions.IllegalTransition("TB-1", "refunded", "paid"),
            {},
            "Payment TB-1 may not go from 'refunded' to 'paid'.",
        ),
        (
            exceptions.InsideTransaction("settle"),
            {},
            "payments.settle() asks a gateway and must not run inside a transaction: the lock would be held over the "
            "network and the log would die with a rollback. Call it outside atomic(); for a view under "
            "ATOMIC_REQUESTS, decorate it with django.db.transaction.non_atomic_requests.",
        ),
        (exceptions.AppendOnly(), {}, "This log is append-only: write a new event instead."),
        (
            exceptions.GatewayRejected("Khalti refused.", {"amount": "too small"}),
            {"reasons": {"amount": "too small"}},
            "Khalti refused.",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_what_is_wrong_and_what_to_do(error: Exception, facts: dict[str, object], message: str) -> None:
    assert isinstance(error, exceptions.BillingError)
    assert str(error) == message
    assert {name: getattr(error, name) for name in facts} == facts


def test_every_command_that_an_error_names_exists() -> None:
    named = set(re.findall(r"manage\.py (\w+)", inspect.getsource(exceptions))) - {"check"}
    there = {path.stem for path in (ROOT / "management" / "commands").glob("[!_]*.py")}
    assert named <= there and {"init_plan_limits", "recount_usage", "reconcile_payments"} <= named
