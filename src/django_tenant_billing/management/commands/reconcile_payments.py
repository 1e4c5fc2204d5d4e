"""Ask the gateways about open payments whose time has come. Run it every minute."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ... import clock
from ...models import Breaker, Heartbeat
from ...payments import Sweep, reconcile


class Command(BaseCommand):
    help = "Settle open payments by asking their gateways; run it every minute (cron, systemd timer, a task queue)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=300, help="ask about at most this many payments (default 300)")
        parser.add_argument(
            "--since", help="ask about every payment started since then, due or not: 2026-10-01 or 2026-10-01T12:00"
        )
        parser.add_argument(
            "--per-second", type=int, default=5, help="questions to one gateway in a second (default 5)"
        )
        parser.add_argument("--resume", metavar="GATEWAY", help="ask this gateway again that was halted or failed")

    def handle(
        self, *, limit: int, since: str | None, per_second: int, resume: str | None, verbosity: int, **options: Any
    ) -> None:
        if limit < 1 or per_second < 1:
            raise CommandError("--limit and --per-second are numbers from 1 up.")
        if resume is not None:
            held = Breaker.objects.resume(resume)
            self.stdout.write(f"✓ {resume} is asked again" if held else f"{resume} was not held back by anything")

        def tell(sweep: Sweep) -> None:
            if verbosity > 1 or since is not None:
                self.stdout.write(f"… asked {sweep.asked}")

        sweep = reconcile(limit=limit, since=_moment(since), per_second=per_second, progress=tell)
        Heartbeat.objects.beat("reconcile_payments", clock.now())
        self.stdout.write(
            f"✓ asked {sweep.asked}: {sweep.paid} paid, {sweep.review} in review, "
            f"{sweep.closed} closed, {sweep.still_open} still open, {sweep.refunded} refunded"
        )
        for breaker in Breaker.objects.closed_to_us():
            told = f"{breaker.gateway} is not asked but by a probe each minute, or not at all: {breaker.why}"
            self.stderr.write(told)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00")
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"--since {text}: write it as 2026-10-01 or 2026-10-01T12:00.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)
