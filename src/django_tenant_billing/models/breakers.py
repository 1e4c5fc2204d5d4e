"""Whether a gateway may be asked at all, and how often: a breaker and a rate, shared by all workers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models, router
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from .rows import insert_missing

OPENS_AFTER = 5
"""Questions in a row that found no usable answer, until nobody asks any more."""

PROBE_EVERY = timedelta(seconds=60)
"""How often one worker tries again then."""


class BreakerManager(models.Manager["Breaker"]):
    def closed_to_us(self, using: str | None = None) -> QuerySet[Breaker]:
        """Those of gateways that nobody asks but a probe."""
        return self.using(using).exclude(opened_at=None, halted="")

    def holds(self, gateway: str) -> bool:
        """Is nobody but a probe let through to this gateway?"""
        return self.closed_to_us(router.db_for_write(Breaker)).filter(gateway=gateway).exists()

    def may_ask(self, gateway: str, now: datetime) -> bool:
        """May somebody ask this gateway now? While the breaker is open one worker in each minute may: the probe."""
        if not self.holds(gateway):
            return True
        probe = self._of(gateway).filter(halted="").exclude(opened_at=None)
        due = Q(probe_at=None) | Q(probe_at__lte=now) | Q(probe_at__gt=now + PROBE_EVERY)
        return bool(probe.filter(due).update(probe_at=now + PROBE_EVERY))

    def answered(self, gateway: str) -> None:
        """A usable answer came: all is well. Writes nothing where it was."""
        self._of(gateway).exclude(failures=0, opened_at=None).update(failures=0, opened_at=None, probe_at=None)

    def unanswered(self, gateway: str, now: datetime) -> None:
        """No usable answer: after several in a row nobody asks but a probe."""
        insert_missing(Breaker, [Breaker(gateway=gateway)], ["gateway"])
        opens = Q(failures__gte=OPENS_AFTER - 1, opened_at=None)
        # MariaDB assigns from left to right, and sees what it has just written: the count comes last.
        self._of(gateway).update(
            probe_at=Case(When(opens, then=Value(now + PROBE_EVERY)), default=F("probe_at")),
            opened_at=Case(When(opens, then=Value(now)), default=F("opened_at")),
            failures=F("failures") + 1,
        )

    def halt(self, gateway: str, reason: str) -> None:
        """Nobody asks until a person says so: the gateway refuses our key."""
        insert_missing(Breaker, [Breaker(gateway=gateway)], ["gateway"])
        self._of(gateway).update(halted=reason[:200])

    def resume(self, gateway: str) -> bool:
        """A person says that it may be asked again. False where nothing held it."""
        held = self._of(gateway).exclude(failures=0, opened_at=None, halted="")
        return bool(held.update(failures=0, opened_at=None, probe_at=None, halted=""))

    def _of(self, gateway: str) -> QuerySet[Breaker]:
        return self.using(router.db_for_write(Breaker)).filter(gateway=gateway)


class Breaker(models.Model):
    """One row for each gateway that ever failed to answer."""

    gateway = models.CharField(_("gateway"), max_length=50, unique=True)
    failures = models.PositiveIntegerField(_("unanswered in a row"), default=0)
    opened_at = models.DateTimeField(_("not asked since"), null=True, blank=True)
    probe_at = models.DateTimeField(_("tried again at"), null=True, blank=True)
    halted = models.CharField(_("halted because"), max_length=200, blank=True)

    objects = BreakerManager()

    class Meta:
        ordering = ["gateway"]
        verbose_name = _("breaker")
        verbose_name_plural = _("breakers")

    def __str__(self) -> str:
        return f"{self.gateway} - {self.halted or self.failures}"

    @property
    def why(self) -> str:
        """Why nobody asks, as a part of a sentence."""
        told = _("%(number)d questions in a row found no answer") % {"number": self.failures}
        return self.halted.rstrip(".") or str(told)
