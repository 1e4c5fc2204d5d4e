"""Set the counts of features that exist to what the site's own tables say."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...catalogue import counter_for
from ...exceptions import UnknownFeature
from ...models import Feature
from ...organizations import organization_model
from ...quotas import recount
from ._organizations import organization_named

PROGRESS = 1000
"""Counters between two lines on standard error that say how far it is."""


class Command(BaseCommand):
    help = "Recount features that exist (those with count= in the catalogue) and repair their counters."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("features", nargs="*", help="slugs; without any, every feature that has a count=")
        parser.add_argument("--organization", help="the key of one organization; without it, all of them")
        parser.add_argument("--dry-run", action="store_true", help="show the differences, change nothing")

    def handle(self, *, features: list[str], organization: str | None, dry_run: bool, **options: Any) -> None:
        slugs = features or [slug for slug in Feature.objects.values_list("pk", flat=True) if counter_for(slug)]
        for slug in slugs:
            if counter_for(slug) is None:
                raise CommandError(f"{slug!r} has no count= in TENANT_BILLING_CATALOGUE, so nothing can be recounted.")
            if not Feature.objects.filter(pk=slug).exists():
                raise CommandError(str(UnknownFeature(slug)))
        organizations = organization_model()._default_manager.all()
        if organization is not None:
            organizations = organizations.filter(pk=organization_named(organization).pk)
        total, looked, repaired = organizations.count() * len(slugs), 0, 0
        for row in organizations.iterator(chunk_size=500):
            for slug in slugs:
                before, after = recount(row, slug, dry_run=dry_run) or (0, 0)
                looked += 1
                if before != after:
                    repaired += 1
                    verb = "Would repair" if dry_run else "Repaired"
                    self.stdout.write(f"✓ {verb}: {row} - {slug}: {before} -> {after}")
                if looked % PROGRESS == 0:
                    self.stderr.write(f"... {looked} of {total}")
        self.stdout.write(f"✓ {looked} counters looked at, {repaired} {'differ' if dry_run else 'repaired'}")
