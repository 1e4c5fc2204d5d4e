"""Seed plans, features and limits from the catalogue; give every organization its rows."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...catalogue_reader import read_catalogue
from ...exceptions import InvalidCatalogue
from ...seeding import Action, seed


class Command(BaseCommand):
    help = "Create the plans, features and limits of the catalogue that are missing, and every organization's rows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
        parser.add_argument("--update", action="store_true", help="set limits that differ back to the catalogue")

    def handle(self, *, dry_run: bool, update: bool, **options: Any) -> None:
        try:
            catalogue = read_catalogue()
        except InvalidCatalogue as error:
            raise CommandError(str(error)) from error
        report = seed(catalogue, update=update, dry_run=dry_run)
        done = "Would do: " if dry_run else ""
        for change in report.changes:
            if change.action is Action.KEPT:
                self.stdout.write(f"- Kept as edited: {change.text}. To overwrite it: init_plan_limits --update")
            else:
                self.stdout.write(f"✓ {done}{change.action}: {change.text}")
        if report.backfilled:
            self.stdout.write(f"✓ {done}Backfilled subscription and usage: {report.backfilled} organizations")
        if report.counted:
            self.stdout.write(f"✓ {done}Counted what exists: {report.counted} counters")
        created = report.number(Action.CREATED)
        if dry_run:
            self.stdout.write(f"Dry run: nothing was changed; {created} new plan limits would be initialized")
        else:
            self.stdout.write(self.style.SUCCESS(f"✓ Successfully initialized {created} new plan limits"))
