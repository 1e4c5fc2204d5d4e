"""``manage.py demo``: the example site and the wallets' simulator, running until you stop them."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...processes import ProcessFailed, Server, environment_for, interrupt_on_signals, manage, simulator, site


class Command(BaseCommand):
    help = "Run the example site and the simulator with a seeded database. Ctrl-C stops both."
    requires_system_checks: list[str] = []  # of this process; the site it starts checks itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="of the site; 0 is any free one (default 8000)")
        parser.add_argument(
            "--simulator-port", type=int, default=8001, help="of the simulator; 0 is any free one (default 8001)"
        )
        parser.add_argument(
            "--database", type=Path, default=settings.PROJECT / "demo.sqlite3", help="SQLite file (demo.sqlite3)"
        )

    def handle(self, *, port: int, simulator_port: int, database: Path, **options: Any) -> None:
        _must_be_free(port, "--port")
        _must_be_free(simulator_port, "--simulator-port")
        interrupt_on_signals()
        try:
            with ExitStack() as stack:
                self._serve(stack, port, simulator_port, database)
        except ProcessFailed as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("\nThe demo is stopped. Its data stays in the database for the next time.")

    def _serve(self, stack: ExitStack, port: int, simulator_port: int, database: Path) -> None:
        self.stdout.write("Starting...")
        wallets = stack.enter_context(simulator(simulator_port, environment_for(database)))
        environment = environment_for(database, wallets.url)
        manage(environment, "migrate", "--verbosity", "0")
        logins = manage(environment, "seed_demo")
        running = stack.enter_context(site(port, environment))
        self._tell(running.url, wallets.url, logins, database)
        running.echo = self.stdout.write
        _wait_for_the_end(running, wallets)

    def _tell(self, site_url: str, simulator_url: str, logins: str, database: Path) -> None:
        token = re.search(r"Bearer token: (\S+)", logins)
        self.stdout.write(self.style.SUCCESS("The demo is running. Ctrl-C stops it."))
        self.stdout.write()
        self.stdout.write(f"  The site:       {site_url}/")
        self.stdout.write(f"  Its admin:      {site_url}/admin/")
        self.stdout.write(f"  The simulator:  {simulator_url}/")
        self.stdout.write(f"  The database:   {database}")
        self.stdout.write(f"\n{logins}\n")
        self.stdout.write("Ask it as a program does:")
        self.stdout.write(f'  curl -H "Authorization: Bearer {token and token[1]}" {site_url}/billing/usage/\n')
        self.stdout.flush()


def _must_be_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        # As both servers do: a port that was closed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Port {port} cannot be used ({error}). Stop what runs there, or choose another port with {option}."
            ) from error


def _wait_for_the_end(*servers: Server) -> None:
    """Servers run until a signal; one that ends by itself is an error."""
    while True:
        for server in servers:
            if server.over.wait(0.5):
                raise server.failed("ended")
