"""``manage.py fourteen_months``: a subscription from its trial to its end, in a temporary place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...processes import ProcessFailed, environment_for, interrupt_on_signals, simulator, watch


class Command(BaseCommand):
    help = "Play fourteen months of one subscription in seconds, and close its books. Needs no account and no database."
    requires_system_checks: list[str] = []  # of this process; the one that plays checks itself

    def handle(self, **options: Any) -> None:
        interrupt_on_signals()
        try:
            with tempfile.TemporaryDirectory() as folder:
                database = Path(folder) / "months.sqlite3"
                with simulator(0, environment_for(database)) as wallets:
                    code = watch(environment_for(database, wallets.url), "play_months")
        except ProcessFailed as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("The months were interrupted.", returncode=130) from None
        if code:
            raise CommandError("The months did not end as they should; see above.", returncode=code)
