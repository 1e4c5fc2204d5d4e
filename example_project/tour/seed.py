"""The people and organizations of the demo. Safe to run again: what is there stays, only the tokens are new."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django_tenant_billing import quotas

from invoicing.models import Customer, Invoice
from orgs.models import ApiToken, Membership, Organization, Role

PASSWORD = "demo-pass-123"
TOKEN_LABEL = "demo"
USED_BY_EVEREST = 8


@dataclass(frozen=True)
class Login:
    """Somebody to log in as; administrators of the site get no token."""

    username: str
    about: str
    token: str | None = None


def seed() -> list[Login]:
    """Users, organizations, customers; then the plans; then invoices, counted like any other work."""
    samir, sita = _user("samir"), _user("sita")
    _user("admin", is_staff=True, is_superuser=True)
    himal = _organization("Himal Traders", samir, ["Asha Stores", "Bina Tailors"])
    everest = _organization("Everest Crafts", sita, ["Chandra Gifts"])
    Membership.objects.get_or_create(user=sita, organization=himal, defaults={"role": Role.ACCOUNTANT})
    # After the rows: usage of what exists starts from what is there, as on a site that adds billing later.
    call_command("init_plan_limits", stdout=StringIO())
    customer = everest.customers.first()
    if customer is not None and not everest.invoices.exists():
        with quotas.consuming(everest, "invoices", USED_BY_EVEREST):
            for number in range(1, USED_BY_EVEREST + 1):
                Invoice.objects.issue(everest, customer, Decimal(number * 500))
    return [
        Login("samir", f"owner of {himal}, which starts with nothing used", _token(samir)),
        Login(
            "sita",
            f"owner of {everest}, which starts with {USED_BY_EVEREST} invoices; accountant of {himal}",
            _token(sita),
        ),
        Login("admin", "the admin, at /admin/"),
    ]


def _user(username: str, **fields: bool) -> User:
    user, created = User.objects.get_or_create(username=username, defaults=fields)
    if created:
        user.set_password(PASSWORD)
        user.save()
    return user


def _organization(name: str, owner: User, customers: list[str]) -> Organization:
    organization, created = Organization.objects.get_or_create(name=name)
    if created:
        Membership.objects.create(user=owner, organization=organization, role=Role.OWNER)
        Customer.objects.bulk_create(Customer(organization=organization, name=customer) for customer in customers)
    return organization


def _token(user: User) -> str:
    """A fresh one each time: the plain text of the last is gone."""
    user.api_tokens.filter(label=TOKEN_LABEL).delete()
    return ApiToken.objects.issue(user, TOKEN_LABEL)
