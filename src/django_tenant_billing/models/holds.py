"""Units that are reserved: held back from everybody else until work is done, dropped, or too late."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..fields import OrganizationForeignKey
from .plans import Feature


class HoldState(models.TextChoices):
    HELD = "held", _("held")
    COMMITTED = "committed", _("committed")
    RELEASED = "released", _("released")
    EXPIRED = "expired", _("expired")


class Hold(models.Model):
    """One feature of one reservation. The rows of a reservation share its key and always its state.

    ``held`` with a time that has passed is as good as expired: nobody waits for it, and who needs room sweeps it.
    """

    key = models.CharField(_("reservation"), max_length=32)
    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    feature = models.ForeignKey(Feature, models.PROTECT, related_name="+", db_index=False, verbose_name=_("feature"))
    amount = models.BigIntegerField(_("held"))
    committed = models.BigIntegerField(_("committed"), null=True, default=None)
    late = models.BooleanField(_("late"), default=False, help_text=_("Committed after it had expired."))
    state = models.CharField(_("state"), max_length=10, choices=HoldState.choices, default=HoldState.HELD)
    at = models.DateTimeField(_("held at"), help_text=_("Names the period that the units are counted in."))
    expires_at = models.DateTimeField(_("expires at"), help_text=_("By the clock of the database."))
    actor = models.CharField(_("by"), max_length=150, blank=True)
    subject = models.CharField(_("for"), max_length=200, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, default=None)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        indexes = [models.Index(fields=["organization", "feature", "state"], name="tb_hold_look")]
        constraints = [
            models.UniqueConstraint(fields=["key", "feature"], name="tb_hold_unique"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="tb_hold_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} - {self.feature_id}: {self.amount} {self.state}"
