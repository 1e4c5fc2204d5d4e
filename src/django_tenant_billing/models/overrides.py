"""Limits of one organization that hold instead of its plan's, for a time and a reason."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..catalogue import MAX_LIMIT
from ..fields import OrganizationForeignKey
from .plans import Feature


class LimitOverride(models.Model):
    """Another limit for one organization. The newest in force decides; when it ends, the plan's limit is back."""

    organization = OrganizationForeignKey(on_delete=models.CASCADE, db_index=False, verbose_name=_("organization"))
    feature = models.ForeignKey(Feature, models.CASCADE, related_name="+", db_index=False, verbose_name=_("feature"))
    limit_value = models.BigIntegerField(
        _("limit"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_LIMIT)],
        help_text=_("Empty is unlimited, 0 is not included."),
    )
    reason = models.CharField(_("reason"), max_length=200)
    actor = models.CharField(_("by"), max_length=150)
    starts_at = models.DateTimeField(_("from"), default=clock.now)
    ends_at = models.DateTimeField(_("until"), null=True, blank=True, help_text=_("Empty for no end."))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("limit override")
        verbose_name_plural = _("limit overrides")
        indexes = [models.Index(fields=["organization", "feature"], name="tb_override_look")]
        constraints = [
            models.CheckConstraint(
                condition=Q(limit_value=None) | Q(limit_value__gte=0, limit_value__lte=MAX_LIMIT),
                name="tb_override_in_range",
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")), name="tb_override_ordered"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="tb_override_reason"),
        ]

    def __str__(self) -> str:
        value = _("unlimited") if self.limit_value is None else self.limit_value
        return f"{self.organization_id} - {self.feature_id}: {value}"

    def clean(self) -> None:
        if self.ends_at is not None and self.ends_at < self.starts_at:
            raise ValidationError({"ends_at": _("Name a moment after the override's start.")})
