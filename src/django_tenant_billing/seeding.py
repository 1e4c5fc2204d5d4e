"""Putting the catalogue into the database, and giving every organization the rows it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.db import router, transaction

from . import clock
from .catalogue import Catalogue, FeatureKind, PlanSpec, counter_for
from .models import Feature, Plan, PlanLimit, PlanPrice, UsageCounter
from .organizations import organization_model
from .periods import FOREVER
from .subscriptions import backfill, organizations_without_rows


class Action(StrEnum):
    CREATED = "Created"
    UPDATED = "Updated"
    KEPT = "Kept"


@dataclass(frozen=True, slots=True)
class Change:
    """One plan limit: what was done to it, or would be."""

    action: Action
    text: str
    """As ``FREE - invoices: 10``; for a limit that differs from the catalogue, both values."""


@dataclass(frozen=True, slots=True)
class Report:
    changes: tuple[Change, ...]
    backfilled: int
    """Organizations that lacked a subscription or a usage row."""
    counted: int
    """Counters of features that exist, started from what the site counts."""

    def number(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)


class _DryRunOver(Exception):
    """Rolls the dry run back."""


def seed(catalogue: Catalogue, *, update: bool = False, dry_run: bool = False) -> Report:
    """Create what is missing, in one transaction. A limit somebody edited is kept unless ``update``.

    Plans, prices, features and labels that exist are left alone. With ``dry_run`` everything is tried and rolled back.
    """
    report = None
    try:
        with transaction.atomic(using=router.db_for_write(PlanLimit)):
            report = _seed(catalogue, update=update)
            if dry_run:
                raise _DryRunOver
    except _DryRunOver:
        pass
    assert report is not None  # noqa: S101 - an error has left by now
    return report


def _seed(catalogue: Catalogue, *, update: bool) -> Report:
    for position, feature in enumerate(catalogue.features):
        Feature.objects.get_or_create(
            slug=feature.slug,
            defaults={
                "singular": feature.singular, "plural": feature.plural, "kind": feature.kind,
                "reset": feature.reset.value, "kept_in_grace": feature.kept_in_grace, "position": position,
            },
        )  # fmt: skip
    for position, spec in enumerate(catalogue.plans):
        plan, created = Plan.objects.get_or_create(
            code=spec.code,
            defaults={
                "name": spec.name, "position": position, "grace_days": spec.grace_days, "trial_days": spec.trial_days,
            },
        )  # fmt: skip
        for number, price in enumerate(spec.prices if created else ()):
            PlanPrice.objects.create(
                plan=plan, amount_minor=price.price_minor, currency=price.currency, interval=price.interval,
                interval_count=price.interval_count, is_default=True if number == 0 else None,
            )  # fmt: skip
    changes = tuple(change for spec in catalogue.plans for change in _limits(spec, update=update))
    missing = organizations_without_rows()
    backfill(missing, clock.now())
    return Report(changes, len(missing), _start_counters(catalogue))


def _limits(spec: PlanSpec, *, update: bool) -> Iterator[Change]:
    for slug, wanted in spec.limits.items():
        values = {
            "limit_value": wanted.value, "trial_differs": wanted.trial_differs,
            "trial_limit_value": wanted.trial_value, "grace_days": wanted.grace_days,
        }  # fmt: skip
        limit, created = PlanLimit.objects.get_or_create(plan_id=spec.code, feature_id=slug, defaults=values)
        if created:
            yield Change(Action.CREATED, str(limit))
        elif any(getattr(limit, name) != value for name, value in values.items()):
            before = str(limit)
            for name, value in values.items():
                setattr(limit, name, value)
            if update:
                limit.save(update_fields=list(values))
            yield Change(Action.UPDATED if update else Action.KEPT, f"{before} (catalogue: {_value(limit)})")


def _value(limit: PlanLimit) -> str:
    return str(limit).rpartition(": ")[2]


def _start_counters(catalogue: Catalogue) -> int:
    started = 0
    # By the kind in the database: a feature that was seeded as another kind is counted in other rows.
    exists = set(Feature.objects.filter(kind=FeatureKind.EXISTS).values_list("pk", flat=True))
    for spec in catalogue.features:
        count = counter_for(spec.slug) if spec.slug in exists else None
        if count is None:
            continue
        counted = UsageCounter.objects.filter(feature_id=spec.slug, period_start=FOREVER.start)
        lacking = organization_model()._default_manager.exclude(pk__in=counted.values("organization_id"))
        for organization in lacking.iterator(chunk_size=500):
            UsageCounter.objects.start(organization.pk, spec.slug, count(organization))
            started += 1
    return started
