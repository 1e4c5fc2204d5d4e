"""The people and organizations of the demo. Safe to run again: what is there stays, only the tokens are new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django_tenant_billing import clock, quotas, subscriptions

from invoicing.models import Customer, Invoice
from orgs.models import ApiToken, Membership, Organization, Role

PASSWORD = "demo-pass-123"
TOKEN_LABEL = "demo"
USED_BY_EVEREST = 8
USED_BY_POKHARA = 23
DAYS_OF_BASIC = 365


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
    pokhara = _organization("Pokhara Tea House", samir, ["Devi Bakery", "Lakeside Hotel"])
    Membership.objects.get_or_create(user=sita, organization=himal, defaults={"role": Role.ACCOUNTANT})
    Membership.objects.get_or_create(user=sita, organization=pokhara)
    # After the rows: usage of what exists starts from what is there, as on a site that adds billing later.
    call_command("init_plan_limits", stdout=StringIO())
    _invoices(everest, USED_BY_EVEREST)
    if pokhara.subscription.plan_id == "FREE":
        until = clock.now() + timedelta(days=DAYS_OF_BASIC)
        subscriptions.set_by_staff(pokhara, "BASIC", until, actor="seed_demo", reason="so that the demo shows a team")
    _invoices(pokhara, USED_BY_POKHARA)
    return [
        Login("samir", f"owner of {himal}, which starts with nothing used, and of {pokhara}, on BASIC", _token(samir)),
        Login("sita", f"owner of {everest}, with {USED_BY_EVEREST} invoices; works for the other two", _token(sita)),
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


def _invoices(organization: Organization, number: int) -> None:
    """To each customer in turn; none where there are some already."""
    customers = list(organization.customers.all())
    if not customers or organization.invoices.exists():
        return
    with quotas.consuming(organization, "invoices", number):
        for place in range(number):
            Invoice.objects.issue(organization, customers[place % len(customers)], Decimal(500 * (place + 1)))


def _token(user: User) -> str:
    """A fresh one each time: the plain text of the last is gone."""
    user.api_tokens.filter(label=TOKEN_LABEL).delete()
    return ApiToken.objects.issue(user, TOKEN_LABEL)
