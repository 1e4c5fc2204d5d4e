"""Ask the gateways about open payments whose time has come. Run it every minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...payments import reconcile


class Command(BaseCommand):
    help = "Settle open payments by asking their gateways; run it every minute (cron, systemd timer, a task queue)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=50, help="ask about at most this many payments (default 50)")

    def handle(self, *, limit: int, **options: Any) -> None:
        sweep = reconcile(limit=limit)
        self.stdout.write(
            f"✓ asked {sweep.asked}: {sweep.paid} paid, {sweep.review} in review, "
            f"{sweep.closed} closed, {sweep.still_open} still open, {sweep.refunded} refunded"
        )
