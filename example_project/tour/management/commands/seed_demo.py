"""Fill the database with the demo's users, organizations and plans, and print how to log in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ...seed import PASSWORD, seed


class Command(BaseCommand):
    help = "Create the demo's users, organizations and plans where they are missing, and print logins and tokens."

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("seed_demo makes an admin whose password everybody knows, so it needs DEBUG=True.")
        self.stdout.write(f"Logins, all with the password {PASSWORD}:")
        for login in seed():
            self.stdout.write(f"  {login.username:6} {login.about}")
            if login.token:
                self.stdout.write(f"         Bearer token: {login.token}")
