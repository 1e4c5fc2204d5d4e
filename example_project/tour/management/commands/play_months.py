"""What ``fourteen_months`` runs, on the empty database and the simulator that it made for it."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from ...months import Months


class Command(BaseCommand):
    help = "Play the fourteen months on an empty database (run fourteen_months, which makes one)."

    def handle(self, **options: Any) -> None:
        if not settings.SIMULATOR_URL or connection.introspection.table_names():
            raise CommandError("This needs a simulator and an empty database. Run: manage.py fourteen_months")
        call_command("migrate", verbosity=0)
        call_command("init_plan_limits", stdout=StringIO())
        closed = Months(settings.SIMULATOR_URL, self.stdout.write).play()
        problems = [f"{books.today}: {problem}" for books in closed for problem in books.problems()]
        if problems:
            raise CommandError("\n".join(["The books do not balance.", *problems]))
        self.stdout.write("\n" + self.style.SUCCESS("The books balance, to the paisa and to the day."))
