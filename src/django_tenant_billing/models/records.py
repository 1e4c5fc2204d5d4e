"""What was answered to an idempotency key, and the optional ledger of who used what."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import OrganizationForeignKey
from .plans import Feature


class IdempotencyKey(models.Model):
    """The first answer to a key, and what was asked: the same again is answered the same, denials included."""

    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    key = models.CharField(_("key"), max_length=100)
    body = models.JSONField(_("asked"))
    answer = models.JSONField(_("answered"))
    released_at = models.DateTimeField(_("given back at"), null=True, default=None)
    created_at = models.DateTimeField(_("created at"), db_index=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="tb_key_unique")]

    def __str__(self) -> str:
        return self.key


class UsageEntry(models.Model):
    """One line of a feature's ledger: the change of ``used``, by whom and for which object."""

    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    feature = models.ForeignKey(Feature, models.PROTECT, related_name="+", db_index=False, verbose_name=_("feature"))
    change = models.BigIntegerField(_("change"))
    verb = models.CharField(_("verb"), max_length=10)
    actor = models.CharField(_("by"), max_length=150, blank=True)
    subject = models.CharField(_("for"), max_length=200, blank=True)
    at = models.DateTimeField(_("counted at"), help_text=_("Names the period whose count changed."))
    created_at = models.DateTimeField(_("written at"))

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        indexes = [models.Index(fields=["organization", "feature", "at"], name="tb_entry_look")]

    def __str__(self) -> str:
        return f"{self.organization_id} - {self.feature_id}: {self.change:+d}"
