"""Note what time did to subscriptions: changes, grace, expiry. Run it every hour or every day."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ... import clock
from ...subscriptions import run_due


class Command(BaseCommand):
    help = "Note and announce what became due in subscriptions; safe to run twice, in parallel, and after days off."

    def handle(self, **options: Any) -> None:
        number = 0
        for number, event in enumerate(run_due(clock.now()), start=1):  # noqa: B007 - counted
            self.stdout.write(
                f"✓ {event.at:%Y-%m-%d %H:%M} UTC {event.organization_name}: {event.get_change_display()}"
            )
        self.stdout.write(f"✓ {number} due")
