"""When a command that has to run regularly last did: what a check and the admin warn by."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from .rows import upsert

STOPPED_AFTER = timedelta(hours=26)
"""A command that runs daily and has not run for this long has stopped."""

SILENT_AFTER = timedelta(minutes=10)
"""reconcile_payments is to run every minute; a long run beats when it is done."""


class HeartbeatManager(models.Manager["Heartbeat"]):
    def beat(self, name: str, now: datetime) -> None:
        """Note that this command has just done all its work."""
        upsert(Heartbeat, [Heartbeat(name=name, at=now)], ["name"], ["at"])


class Heartbeat(models.Model):
    """One row for each command."""

    name = models.CharField(_("command"), max_length=50, primary_key=True)
    at = models.DateTimeField(_("last ran at"))

    objects = HeartbeatManager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return f"{self.name} - {self.at:%Y-%m-%d %H:%M} UTC"
