"""Who had a trial: one mark for each thing the site knows an organization by, hashed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from django.db import IntegrityError, models, router, transaction
from django.utils.translation import gettext_lazy as _


def digests(keys: Iterable[str]) -> list[str]:
    """What is stored of keys, each once: no address and no number of anybody."""
    return sorted({sha256(key.strip().casefold().encode()).hexdigest() for key in keys})


class TrialMarkManager(models.Manager["TrialMark"]):
    def mark(self, keys: Iterable[str], plan: str, now: datetime) -> bool:
        """Note the trial under all keys; False, and nothing is noted, where one of them had a trial."""
        rows = [TrialMark(digest=found, plan=plan, at=now) for found in digests(keys)]
        try:
            with transaction.atomic(using=router.db_for_write(TrialMark)):
                self.bulk_create(rows)
        except IntegrityError:
            return False
        return True

    def known(self, keys: Iterable[str]) -> bool:
        """Had one of these a trial?"""
        return self.filter(digest__in=digests(keys)).exists()


class TrialMark(models.Model):
    """One thing that a trial was given to: an organization, an owner, a domain, a telephone."""

    digest = models.CharField(max_length=64, primary_key=True)
    plan = models.CharField(_("plan"), max_length=32)
    at = models.DateTimeField(_("at"))

    objects = TrialMarkManager()

    class Meta:
        ordering = ["at", "digest"]
        verbose_name = _("trial mark")
        verbose_name_plural = _("trial marks")

    def __str__(self) -> str:
        return f"{self.digest[:8]} - {self.plan}"
