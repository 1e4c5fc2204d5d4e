"""The simulator over HTTP: which address answers what.

GET  /                           what runs here
POST /api/v2/epayment/initiate/  docs.khalti.com, Web Checkout (KPG-2), initiate
POST /api/v2/epayment/lookup/    docs.khalti.com, Web Checkout (KPG-2), lookup
POST /api/merchant-transaction/*/refund/  docs.khalti.com, refund
GET  /khalti/pay/?pidx=...       the payment page, and POST for its buttons
POST /api/epay/main/v2/form      developer.esewa.com.np/pages/Epay, the form
GET  /api/epay/transaction/status/  developer.esewa.com.np/pages/Epay, status check
GET  /epay?bookingId=...         eSewa's payment page, and POST for its buttons
/control/...                     see control.py
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any

from . import console, control, esewa_payer, pages, payer
from .esewa import UNAVAILABLE, Esewa
from .faults import Faults, Plan
from .handling import RequestHandler
from .journal import Journal
from .khalti import NEPAL_TIME, Khalti
from .returning import Returns
from .wire import Answer, RequestError, html_answer, is_loopback, json_answer, read_object, redirect

DEFAULT_KEYS = ("simulated_secret_key",)
DEFAULT_MERCHANTS = {"EPAYTEST": "8gBm/:&EnhH.1/q"}  # of eSewa's test environment: printed on its page


class Server(ThreadingHTTPServer):
    """The simulator, bound to a loopback address but not serving yet."""

    daemon_threads = False  # server_close() wakes them and waits, so that none outlives it
    request_queue_size = 128  # tests of races connect all at once

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        keys: Iterable[str] = DEFAULT_KEYS,
        merchants: Mapping[str, str] = DEFAULT_MERCHANTS,
        seed: int = 0,
        plan: Plan | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(NEPAL_TIME),
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The simulator listens on this machine only: use 127.0.0.1, not {host}.")
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((host, port), Handler)
        self.url = f"http://{self.socket.getsockname()[0]}:{self.server_port}/"
        self.khalti = Khalti(keys=keys, payment_page=f"{self.url}khalti/pay/", seed=seed, now=now)
        self.esewa = Esewa(merchants=merchants, seed=seed, now=now)
        self.faults = Faults(plan or Plan(seed))
        self.returns = Returns(self.faults)
        self.journal = Journal(now)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection for server_close()."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and hang up on whoever is still waiting for an answer or has not asked yet."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the other end was faster
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextlib.contextmanager
def running_server(
    *,
    port: int = 0,
    keys: Iterable[str] = DEFAULT_KEYS,
    merchants: Mapping[str, str] = DEFAULT_MERCHANTS,
    seed: int = 0,
    plan: Plan | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(NEPAL_TIME),
) -> Iterator[Server]:
    """Serve from a thread of this process for as long as the block lasts; ``now`` is the wallets' clock."""
    with Server(port=port, keys=keys, merchants=merchants, seed=seed, plan=plan, now=now) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Handler(RequestHandler):
    """Who answers what."""

    server: Server

    def home(self) -> Answer:
        """Say what runs here."""
        return html_answer(pages.home(len(self.server.khalti.ledger()) + len(self.server.esewa.ledger())))

    def initiate(self) -> Answer | None:
        """Open a payment for the merchant whose key is sent."""

        def work() -> Answer:
            key = self.server.khalti.authenticate(self.headers["Authorization"])
            return json_answer(self.server.khalti.initiate(key, read_object(self.body)))

        return self.api("khalti", "initiate", str(self.told().get("purchase_order_id", "")), work)

    def lookup(self) -> Answer | None:
        """Tell the merchant whose key is sent what became of a payment."""

        def work() -> Answer:
            key = self.server.khalti.authenticate(self.headers["Authorization"])
            status, body = self.server.khalti.lookup(key, read_object(self.body))
            return json_answer(body, status)

        return self.api("khalti", "lookup", self.server.khalti.order_of(str(self.told().get("pidx", ""))), work)

    def refund(self) -> Answer | None:
        """Send money back to whoever paid it."""

        def work() -> Answer:
            key = self.server.khalti.authenticate(self.headers["Authorization"])
            return json_answer(self.server.khalti.refund(key, self.named, read_object(self.body)))

        return self.api("khalti", "refund", self.server.khalti.order_of(self.named), work)

    def told(self) -> dict[str, object]:
        """Return the object in the body, if there is one."""
        try:
            return read_object(self.body)
        except RequestError:
            return {}

    def api(self, wallet: str, call: str, reference: str, work: Callable[[], Answer]) -> Answer | None:
        """Do what a site asked for, or go wrong as ordered and planned."""
        failure = self.server.faults.take(wallet, call, reference)
        self.entry.update(wallet=wallet, call=call, reference=reference, fault=failure and failure.mode)
        return work() if failure is None else self.meet(failure, work)

    def payment_page(self) -> Answer:
        """Ask the payer to decide."""
        return payer.show(self.server.khalti, self.query())

    def payment_form(self) -> Answer:
        """Take the payer's decision."""
        return payer.submit(self.server.khalti, self.server.returns, self.form())

    def book(self) -> Answer:
        """Take the form that a merchant's page posts, and send the payer on to the payment page."""
        return redirect(f"/epay?bookingId={self.server.esewa.book(self.form()).booking}")

    def no_form(self) -> Answer:
        """A browser came without posting the form."""
        return json_answer(UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE)

    def status(self) -> Answer | None:
        """Tell whoever names it what became of an eSewa payment."""
        query = self.query()
        reference = query.get("transaction_uuid", "")
        return self.api("esewa", "status", reference, lambda: json_answer(self.server.esewa.status(query)))

    def esewa_page(self) -> Answer:
        """Ask the payer at eSewa to decide."""
        return esewa_payer.show(self.server.esewa, self.query())

    def esewa_form(self) -> Answer:
        """Take the decision of the payer at eSewa."""
        return esewa_payer.submit(self.server.esewa, self.server.returns, self.form())

    def esewa_ledger(self) -> Answer:
        """List what really happened at eSewa."""
        return control.esewa_ledger(self.server.esewa)

    def steer_esewa(self) -> Answer:
        """Act as the payer at eSewa, or tamper with its status."""
        return control.steer_esewa(self.server.esewa, self.server.returns, read_object(self.body))

    def steer(self) -> Answer:
        """Act as the payer, or tamper with lookup."""
        return control.steer(self.server.khalti, self.server.returns, read_object(self.body))

    def order_faults(self) -> Answer:
        """Let the next requests to the API fail."""
        return self.server.faults.order(read_object(self.body))

    def plan(self) -> Answer:
        """Draw faults from another plan."""
        return self.server.faults.plan_anew(read_object(self.body))

    def release(self) -> Answer:
        """Let the browsers go that were held back."""
        return self.server.returns.release(read_object(self.body))

    def requests(self) -> Answer:
        """List what was asked."""
        return json_answer(self.server.journal.entries())

    def console(self) -> Answer:
        """Show a person how everything stands."""
        server = self.server
        return console.show(server.khalti, server.esewa, server.faults, server.returns, server.journal)

    def console_form(self) -> Answer:
        """Carry out a person's click."""
        server = self.server
        return console.submit(
            self.form(),
            {
                "khalti": partial(control.steer, server.khalti, server.returns),
                "esewa": partial(control.steer_esewa, server.esewa, server.returns),
                "faults": server.faults.order,
                "returns": server.returns.release,
            },
        )

    def ledger(self) -> Answer:
        """List what really happened."""
        return control.ledger(self.server.khalti)


Handler.routes = {
    "/": {"GET": Handler.home},
    "/api/v2/epayment/initiate/": {"POST": Handler.initiate},
    "/api/v2/epayment/lookup/": {"POST": Handler.lookup},
    "/api/merchant-transaction/*/refund/": {"POST": Handler.refund},
    "/khalti/pay/": {"GET": Handler.payment_page, "POST": Handler.payment_form},
    "/api/epay/main/v2/form": {"GET": Handler.no_form, "POST": Handler.book},
    "/api/epay/transaction/status/": {"GET": Handler.status},
    "/epay": {"GET": Handler.esewa_page, "POST": Handler.esewa_form},
    "/control/": {"GET": Handler.console, "POST": Handler.console_form},
    "/control/khalti/": {"POST": Handler.steer},
    "/control/esewa/": {"POST": Handler.steer_esewa},
    "/control/esewa/ledger/": {"GET": Handler.esewa_ledger},
    "/control/faults/": {"POST": Handler.order_faults},
    "/control/plan/": {"POST": Handler.plan},
    "/control/returns/": {"POST": Handler.release},
    "/control/requests/": {"GET": Handler.requests},
    "/control/ledger/": {"GET": Handler.ledger},
}
