"""How often something was done of late: a counter for each name, moved by one conditional UPDATE."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models, router
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from .rows import insert_missing

KEPT = timedelta(days=1)
"""How long a counter is kept that nobody counts on any more. Longer than any window."""


class ThrottleManager(models.Manager["Throttle"]):
    def take(self, name: str, limit: int, window: timedelta, now: datetime) -> datetime | None:
        """Count one try under this name. None where it may go on; otherwise when the window ends, and nothing counts.

        Exact under any concurrency: the guard stands in the WHERE of the one statement that counts.
        """
        rows = self.using(router.db_for_write(Throttle)).filter(name=name)
        # Also where the clock was set back: a window far in the future would not end. One that begins a moment from
        # now was opened by a rival whose statement was faster.
        over = Q(started_at__lte=now - window) | Q(started_at__gt=now + window)
        free = rows.filter(over | Q(count__lt=limit))
        # MariaDB assigns from left to right, and sees what it has just written: the count comes first.
        counted = {
            "count": Case(When(over, then=Value(1)), default=F("count") + 1),
            "started_at": Case(When(over, then=Value(now)), default=F("started_at")),
        }
        if not free.update(**counted):
            insert_missing(Throttle, [Throttle(name=name, started_at=now, count=0)], ["name"])
            if not free.update(**counted):
                return rows.values_list("started_at", flat=True).get() + window
        return None

    def forget(self, now: datetime) -> None:
        """Delete the counters that nobody counts on any more."""
        self.using(router.db_for_write(Throttle)).filter(started_at__lt=now - KEPT).delete()


class Throttle(models.Model):
    """How many tries of one kind there were since ``started_at``. Holds no address in clear: see throttling.py."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    started_at = models.DateTimeField(_("since"), db_index=True)
    count = models.PositiveIntegerField(_("count"))

    objects = ThrottleManager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("throttle")
        verbose_name_plural = _("throttles")

    def __str__(self) -> str:
        return f"{self.name} - {self.count}"
