"""What the fourteen months hold: every turn that a subscription can take, by one organization in Kathmandu."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import date, time
from io import StringIO

from django.core.management import call_command
from django_tenant_billing import quotas, subscriptions
from django_tenant_billing.models import Plan, PlanPrice

from invoicing.models import Customer

from .accounts import Books, money
from .life import Life, Wallet, moment
from .records import HEADING, INDENT, statement

START = date(2027, 1, 17)
WIDTH = 100
OWNER, STAFF = "Maya", "Anna"
CUSTOMERS = 60


class Months:
    """The story, told while it happens. What it prints in columns are the product's own records."""

    def __init__(self, simulator_url: str, tell: Callable[[str], None]) -> None:
        self._life = Life(START, Wallet(simulator_url), tell)
        self._tell = tell

    def play(self) -> list[Books]:
        """On an empty database with the catalogue in it; the books in the middle and at the end."""
        self._trial_and_first_months()
        self._up_and_down()
        self._a_year()
        middle = self._close_the_books("2027-08-01")
        self._gift()
        self._nobody_at_home()
        return [middle, self._close_the_books("2028-03-17")]

    def _trial_and_first_months(self) -> None:
        life = self._life
        self._chapter(
            f"Himal Traders in Kathmandu, {OWNER} who owns it, and {STAFF} of the staff. BASIC is {money(100_000)} a "
            f"month or {money(1_000_000)} a year, PRO is {money(390_000)} a month with 14 days of trial; both have 3 "
            "days of grace. Dates are local; the last one of a span is not counted, what comes next begins on it."
        )
        Plan.objects.filter(pk="PRO").update(trial_days=14)
        Plan.objects.exclude(pk="FREE").update(grace_days=3)
        self._yearly = PlanPrice.objects.create(plan_id="BASIC", amount_minor=1_000_000, interval="year")
        self._tell("")
        self._tell(HEADING)
        with life.on("2027-01-17"):
            self._organization = life.sign_up("Himal Traders")
            subscriptions.start_trial(self._organization, "PRO", actor=OWNER)
        with life.on("2027-01-31", 11):
            life.pays("BASIC", OWNER)
        self._chapter("Renewed early. Months are counted from the first day: 31 January, 28 February, 31 March.")
        with life.on("2027-02-20"):
            life.pays("BASIC", OWNER)
        self._chapter("Renewed late, in the days of grace: a new period begins.")
        with life.on("2027-04-02"):
            life.pays("BASIC", OWNER)

    def _up_and_down(self) -> None:
        life, organization = self._life, self._organization
        with life.on("2027-04-15"):
            self._chapter("PRO in the middle of a month. First the preview, then the payment.")
            self._preview("PRO")
            life.pays("PRO", OWNER)
        with life.on("2027-05-05"):
            with quotas.consuming(organization, "customers", CUSTOMERS):
                Customer.objects.bulk_create(
                    Customer(organization=organization, name=f"Customer {number}") for number in range(CUSTOMERS)
                )
            self._chapter("Down again when what was paid ends; then not; then all the same, and paid in advance.")
            self._preview("BASIC")
            subscriptions.schedule_change(organization, "BASIC", actor=OWNER)
        with life.on("2027-05-06"):
            subscriptions.undo_change(organization, actor=OWNER)
        with life.on("2027-05-07"):
            subscriptions.schedule_change(organization, "BASIC", actor=OWNER)
        with life.on("2027-05-10"):
            life.pays("BASIC", OWNER)
        with life.on("2027-05-16"):
            customers = quotas.check(organization, "customers")
            self._note(f"{customers.used} customers stay; one more: {customers.message}")
        self._chapter("Canceled, and taken back.")
        with life.on("2027-06-01"):
            subscriptions.cancel(organization, actor=OWNER)
        with life.on("2027-06-03"):
            subscriptions.resume(organization, actor=OWNER)

    def _a_year(self) -> None:
        life, organization = self._life, self._organization
        self._chapter("Three days from the staff; after them a year, which has a 29 February.")
        with life.on("2027-06-10"):
            subscriptions.extend(organization, 3, actor=STAFF, reason="the site was down on 8 June")
        with life.on("2027-06-12"):
            life.pays("BASIC", OWNER, self._yearly)
        with life.on("2027-07-18"):
            self._chapter("PRO after a month of that year. What is unused pays for all of it, and more is left.")
            self._preview("PRO")
            subscriptions.buy_with_credit(organization, "PRO", actor=OWNER)

    def _gift(self) -> None:
        life, organization = self._life, self._organization
        self._chapter("Credit pays for the next month as well, and for a part of the one after it.")
        self._tell("")
        self._tell(HEADING)
        with life.on("2027-08-10"):
            subscriptions.buy_with_credit(organization, "PRO", actor=OWNER)
        with life.on("2027-09-14"):
            life.pays("PRO", OWNER)
        with life.on("2027-10-08"):
            life.pays("BASIC", OWNER)
        self._chapter("A gift. Paid days that it takes the place of become credit, which pays for what is bought next.")
        with life.on("2027-11-03"):
            until = moment(date(2027, 11, 13), time(18))
            subscriptions.set_by_staff(organization, "PRO", until, actor=STAFF, reason="the trade fair of Tihar")
        with life.on("2027-11-14"):
            life.pays("BASIC", OWNER)

    def _nobody_at_home(self) -> None:
        life = self._life
        self._chapter("Up once more, a month more, and down, paid in advance.")
        with life.on("2027-12-01"):
            life.pays("PRO", OWNER)
        with life.on("2027-12-20"):
            life.pays("PRO", OWNER)
        with life.on("2028-01-20"):
            life.pays("BASIC", OWNER)
        with life.on("2028-01-25"):
            self._chapter("For forty days nobody runs run_billing, and nobody pays. Access follows the calendar.")
            life.run_billing = False
        with life.on("2028-03-05") as now:
            since = subscriptions.overdue_since(now)
            self._chapter(f"The check and the admin warn: run_billing last ran on {since:%Y-%m-%d}. Now it runs once.")
            call_command("run_billing", stdout=StringIO())
            life.run_billing = True

    def _close_the_books(self, day: str) -> Books:
        with self._life.on(day):
            books = self._life.books(date.fromisoformat(day))
        self._chapter(f"The books on {day}.")
        self._tell("")
        for line in statement(books):
            self._tell(f"   {line}".rstrip())
        return books

    def _preview(self, plan: str) -> None:
        offer, excess = subscriptions.preview(self._organization, plan)
        self._note(f"preview: {plan} at {money(offer.terms.price_minor)}, to pay {money(offer.due_minor)}")
        for credit in offer.credits:
            span = credit.activation
            unused = f"{credit.unused_days} of {credit.days} days unused of {span.plan} at {money(span.value_minor)}"
            self._note(f"         {unused} = {money(credit.amount_minor)}")
        for over in excess:
            self._note(f"         too many {over.label}: {over.used}, and {plan} allows {over.limit}")

    def _chapter(self, text: str) -> None:
        self._tell("")
        for line in textwrap.wrap(text, WIDTH):
            self._tell(line)

    def _note(self, text: str) -> None:
        self._tell(f"{INDENT}{text}")
