"""Tell why an organization may or may not use a feature now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...exceptions import CatalogueMissing, UnknownFeature
from ...explain import explain
from ._organizations import organization_named


class Command(BaseCommand):
    help = "Why may this organization use this feature now, or why not? Shows every row that decided; changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", help="its key")
        parser.add_argument("feature", help="its slug")
        parser.add_argument("--amount", type=int, default=1, help="for how many units; 1 without it")

    def handle(self, *, organization: str, feature: str, amount: int, **options: Any) -> None:
        try:
            lines = explain(organization_named(organization), feature, amount)
        except (CatalogueMissing, UnknownFeature, ValueError) as error:
            raise CommandError(str(error)) from error
        for line in lines:
            self.stdout.write(line)
