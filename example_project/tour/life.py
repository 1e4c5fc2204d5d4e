"""One organization whose time can be moved: it acts, pays at the simulated wallet, and is looked at every night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime, time, timedelta
from io import StringIO

import requests
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from django_tenant_billing import payments, quotas
from django_tenant_billing.models import PlanPrice, SubscriptionEvent
from django_tenant_billing.testing import clock_moved

from orgs.models import Organization

from .accounts import Books
from .records import books, told

SITE = "http://127.0.0.1:8000"
"""Where the wallet would send the payer's browser back; here nobody follows."""
NIGHT = time(22)
SECONDS = 20


class Wallet:
    """The payer at the simulator, and the simulator's own ledger."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy could not reach this machine

    def pay(self, gateway_reference: str | None) -> None:
        act = {"pidx": gateway_reference, "action": "pay"}
        self._session.post(f"{self._url}/control/khalti/", json=act, timeout=SECONDS).raise_for_status()

    def taken(self) -> tuple[int, ...]:
        """What it took, payment by payment, in paisa."""
        ledger = self._session.get(f"{self._url}/control/ledger/", timeout=SECONDS).json()
        return tuple(line["amount"] for line in ledger if line["captured"])


class Life:
    """Goes from act to act. Each night in between it asks the quota gate which plan holds, and runs run_billing."""

    def __init__(self, start: date, wallet: Wallet, tell: Callable[[str], None]) -> None:
        self.start = start
        self.run_billing = True
        self.gate: dict[date, str] = {}
        self._wallet = wallet
        self._tell = tell
        self._night = start
        """The next night to come."""
        self._seen = 0
        self._plan = ""

    def sign_up(self, name: str) -> Organization:
        self.organization = Organization.objects.create(name=name)
        return self.organization

    @contextmanager
    def on(self, day: str, hour: int = 10) -> Iterator[datetime]:
        """Live until that hour of that local day, act, and tell what was written down."""
        today = date.fromisoformat(day)
        while self._night < today:
            with at(moment(self._night, NIGHT)):
                self._sleep()
            self._night += timedelta(days=1)
        now = moment(today, time(hour))
        with at(now):
            yield now
            self._tell_news()

    def pays(self, plan: str, actor: str, price: PlanPrice | None = None) -> None:
        """Through the one door: start, pay at the wallet, let the wallet prove it."""
        payment, checkout = payments.start(self.organization, plan, "khalti", base_url=SITE, price=price, actor=actor)
        self._wallet.pay(checkout.gateway_reference)
        payment = payments.settle(payment, actor=actor)
        if payment.status != "paid":
            raise CommandError(f"Payment {payment.reference} is {payment.status}, not paid: {payment.detail}")

    def books(self, today: date) -> Books:
        return books(self.organization, self.start, today, self._wallet.taken(), self.gate)

    def _sleep(self) -> None:
        self.gate[self._night] = plan = quotas.check(self.organization, "invoices").plan
        if self.run_billing:
            call_command("run_billing", stdout=StringIO())
        elif plan != self._plan:
            self._tell(f"{self._night!s:12}the gate gives {plan}; nobody has noted it yet")
        self._plan = plan
        self._tell_news()

    def _tell_news(self) -> None:
        for event in SubscriptionEvent.objects.filter(pk__gt=self._seen):
            self._seen = event.pk
            for line in told(event):
                self._tell(line)


def moment(day: date, clock: time) -> datetime:
    """A moment as the site's own clocks show it."""
    return timezone.make_aware(datetime.combine(day, clock))


def at(now: datetime) -> AbstractContextManager[None]:
    """What billing sees as now, in the block."""
    return clock_moved(now - timezone.now())
