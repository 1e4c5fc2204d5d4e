"""``manage.py tour``: the whole story over real HTTP, in a temporary place that leaves nothing behind."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...plot import play
from ...processes import ProcessFailed, environment_for, interrupt_on_signals, manage, simulator, site
from ...story import Story, TourStopped

TOKEN = re.compile(r"^  (\w+) .*\n +Bearer token: (\S+)$", re.MULTILINE)


class Command(BaseCommand):
    help = "Play the main job on this machine and print each step. Needs no account, no internet and no database."
    requires_system_checks: list[str] = []  # of this process; the site it starts checks itself

    def handle(self, **options: Any) -> None:
        interrupt_on_signals()
        try:
            with ExitStack() as stack:
                self._tour(stack)
        except (TourStopped, ProcessFailed) as error:
            raise CommandError(f"The tour stopped. {error}") from error
        except KeyboardInterrupt:
            raise CommandError("The tour was interrupted.", returncode=130) from None
        self.stdout.write()
        self.stdout.write(self.style.SUCCESS("That was the tour. Now click through it yourself:"))
        python = Path(sys.executable)
        typed = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else "python"
        self.stdout.write(f"  {typed} {sys.argv[0]} demo")

    def _tour(self, stack: ExitStack) -> None:
        self.stdout.write("Starting the simulator and the site, on free ports, with an SQLite file of their own.")
        database = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tour.sqlite3"
        wallets = stack.enter_context(simulator(0, environment_for(database)))
        environment = environment_for(database, wallets.url)
        manage(environment, "migrate", "--verbosity", "0")
        tokens = dict(TOKEN.findall(manage(environment, "seed_demo")))
        running = stack.enter_context(site(0, environment))
        story = Story(self.stdout, self.style)
        play(story, running.url, tokens["samir"], tokens["sita"], lambda: manage(environment, "payment_log"))
