"""Look at the database and say what is wrong with it, and what waits. For monitoring: it changes nothing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections, router

from ... import clock
from ...auditing import IDS, Finding, Severity, audit, books, case_of
from ...auditing.payments import findings_of
from ...models import PaymentTransaction
from ...money import format_money

UNABLE = 3


class Command(BaseCommand):
    help = (
        "Does the database keep what is promised? Exits with 0: yes; 1: something is wrong; 2: nothing is wrong, but "
        "something waits; 3: it could not look. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", action="append", metavar="ID", help=f"only this, repeatable: {', '.join(IDS)}")
        parser.add_argument("--payment", metavar="REFERENCE", help="only this payment, with its log")
        parser.add_argument("--database", help="the alias of a database, a read-only replica for one")
        parser.add_argument("--json", action="store_true", help="one object a line, the summary last")

    def handle(
        self,
        *,
        only: list[str] | None,
        payment: str | None,
        database: str | None,
        verbosity: int,
        **options: Any,
    ) -> None:
        using, as_json = database or router.db_for_write(PaymentTransaction), bool(options["json"])
        if using not in connections:
            raise CommandError(f"--database {using}: it is not in DATABASES.", returncode=UNABLE)
        if unknown := set(only or ()) - set(IDS):
            raise CommandError(f"--only {min(unknown)}: write one of {', '.join(IDS)}.", returncode=UNABLE)
        try:
            if payment is not None:
                self._one(using, payment)
                return
            number: Counter[Severity] = Counter()
            for finding in audit(using, clock.now(), only or IDS):
                number[finding.severity] += 1
                if as_json or finding.severity is not Severity.NOTE or verbosity > 1:
                    self._tell(finding, as_json=as_json)
            self._sum_up(using, number, as_json=as_json)
        except DatabaseError as error:
            raise CommandError(f"The database {using!r} cannot be read: {error}", returncode=UNABLE) from error
        _exit(number)

    def _one(self, using: str, reference: str) -> None:
        """A payment, its log from the first line, and what is wrong with it."""
        keys = PaymentTransaction.objects.using(using).filter(reference=reference).values_list("pk", flat=True)
        number: Counter[Severity] = Counter()
        found = [case for key in keys for case in case_of(using, key)]
        if not found:
            raise CommandError(f"There is no payment {reference}.", returncode=UNABLE)
        for case in found:
            payment = case.payment
            self.stdout.write(f"{payment}: {payment.formatted_money} at {payment.gateway}, {payment.organization_name}")
            for event in payment.events.using(using).iterator(chunk_size=500):
                step = " -> ".join(filter(None, (event.from_status, event.to_status)))
                words = (f"{event.at:%Y-%m-%d %H:%M:%S}", event.kind, step, event.detail, event.actor)
                self.stdout.write("  " + "  ".join(filter(None, words)))
            for finding in findings_of(case):
                number[finding.severity] += 1
                self._tell(finding, as_json=False)
        _exit(number)

    def _tell(self, finding: Finding, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(finding.as_dict()))
        else:
            self.stdout.write(f"{'✗' if finding.severity is Severity.VIOLATION else '!'} {finding}")

    def _sum_up(self, using: str, number: Counter[Severity], *, as_json: bool) -> None:
        sums = books(using)
        if as_json:
            found = {severity.value: number[severity] for severity in Severity}
            self.stdout.write(json.dumps({"summary": found, "books": {name: asdict(b) for name, b in sums.items()}}))
            return
        for currency, book in sums.items():
            parts = ("came", "applied", "in_review", "dismissed", "refunded")
            told = ", ".join(
                f"{name.replace('_', ' ')} {format_money(getattr(book, name), currency)}" for name in parts
            )
            self.stdout.write(f"{told}, {book.open_payments} payments open")
        counted = ", ".join(f"{number[severity]} {severity.value}s" for severity in Severity)
        self.stdout.write(f"{'✗' if number[Severity.VIOLATION] else '✓'} {counted}")


def _exit(number: Counter[Severity]) -> None:
    if number[Severity.VIOLATION]:
        sys.exit(1)
    if number[Severity.WARNING]:
        sys.exit(2)
