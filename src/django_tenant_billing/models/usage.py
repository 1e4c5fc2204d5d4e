"""How much an organization has used: the head row. The numbers are in UsageCounter."""

from __future__ import annotations

from typing import Any, Self

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..conf import conf
from ..decisions import Decision
from ..fields import OrganizationOneToOneField
from ..zones import zone_for
from .counters import UsageCounter
from .rows import insert_missing


class UsageQuerySet(models.QuerySet["Usage"]):
    """Usage rows: first touch, the lock that orders what carries a key, and what printing a plan needs."""

    def ensure(self, organization_id: Any) -> Usage:
        """The organization's usage row; created when it has none."""
        found = self.filter(organization_id=organization_id).first()
        if found is None:
            insert_missing(Usage, [Usage(organization_id=organization_id)], ["organization"])
            # Where the row was written: a replica may not have it yet.
            found = self.using(router.db_for_write(Usage)).get(organization_id=organization_id)
        return found

    def lock(self, organization_id: Any) -> None:
        """Lock the row until the transaction ends. Taken before the subscription's and any counter's."""
        rows = self.using(router.db_for_write(Usage)).select_for_update().filter(organization_id=organization_id)
        if rows.first() is None:
            self.ensure(organization_id)
            rows.get()

    def select_related(self, *fields: Any) -> Self:
        """As Django's; where a subscription is named, its plan comes along."""
        name = conf.related_prefix + "subscription"
        plans = [f"{field}__plan" for field in fields if isinstance(field, str) and field.split("__")[-1] == name]
        return super().select_related(*fields, *plans)


class Usage(models.Model):
    """The head of what one organization has used. One row per organization; the numbers are in UsageCounter."""

    organization = OrganizationOneToOneField(
        on_delete=models.CASCADE, related_name="usage", verbose_name=_("organization")
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = UsageQuerySet.as_manager()

    class Meta:
        ordering = ["organization"]
        verbose_name = _("usage")
        verbose_name_plural = _("usage")

    def __str__(self) -> str:
        return str(self.organization)

    def decide(self, feature: str, amount: int = 1) -> Decision:
        """May the organization use ``amount`` more of this feature now? One query; counts nothing."""
        return UsageCounter.objects.look(self.organization_id, clock.now(), zone_for(self), feature, amount)[0].decision

    def can_create_invoice(self) -> tuple[bool, str | None]:
        """``(True, None)``, or ``(False, why not)``. A look, not a grant: see quotas.consume."""
        return self._can("invoices")

    def can_add_customer(self) -> tuple[bool, str | None]:
        """As can_create_invoice, for customers."""
        return self._can("customers")

    def can_add_team_member(self) -> tuple[bool, str | None]:
        """As can_create_invoice, for team members."""
        return self._can("team_members")

    @property
    def invoices_created(self) -> int:
        """Invoices of the current period."""
        return self._used("invoices")

    @property
    def customers_created(self) -> int:
        """Customers there are."""
        return self._used("customers")

    @property
    def team_members_added(self) -> int:
        """Team members there are."""
        return self._used("team_members")

    @property
    def api_calls_used(self) -> int:
        """API calls of the current period."""
        return self._used("api_calls")

    def _can(self, feature: str) -> tuple[bool, str | None]:
        decision = self.decide(feature)
        return decision.allowed, decision.message or None

    def _used(self, feature: str) -> int:
        now = clock.now()
        counters = UsageCounter.objects.filter(
            organization_id=self.organization_id, feature_id=feature, period_start__lte=now, period_end__gt=now
        )
        return sum(counters.values_list("used", flat=True))
