"""Install triggers that keep the logs as they were written, also from raw SQL."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, router

from ...hardening import installing, missing, removing, run
from ...models import PaymentEvent


class Command(BaseCommand):
    help = "Let the database itself refuse to change a line of a log (and, on PostgreSQL, to delete one of payments)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=router.db_for_write(PaymentEvent), help="its alias")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a trigger is missing")
        what.add_argument("--remove", action="store_true", help="take them away again")
        parser.add_argument("--dry-run", action="store_true", help="print the SQL and run nothing")

    def handle(self, *, database: str, check: bool, remove: bool, dry_run: bool, **options: Any) -> None:
        if check:
            absent = [trigger.name for trigger in missing(database)]
            if absent:
                raise CommandError(f"Missing on {database!r}: {', '.join(absent)}. Run: manage.py billing_harden")
            self.stdout.write("✓ every trigger is there")
            return
        sql = removing(database) if remove else installing(database)
        if dry_run:
            self.stdout.write("".join(f"{statement};\n" for statement in sql), ending="")
            return
        try:
            run(database, sql)
        except DatabaseError as error:
            raise CommandError(
                f"The database refused: {error}. It needs the right to create triggers; for somebody who has it: "
                "manage.py billing_harden --dry-run"
            ) from error
        self.stdout.write(
            "✓ the triggers are gone" if remove else f"✓ {len(sql)} statements run, the logs are hardened"
        )
