"""What must hold of every counter, and which rows an organization lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from ..conf import conf
from ..models import Hold, HoldState, LimitOverride, Plan, PlanLimit, Subscription, Usage, UsageCounter
from ..models.plans import Feature
from ..organizations import organization_model
from .findings import Finding, Severity

BATCH = 500
EXPLAIN = "manage.py billing_explain {organization} {feature}"
SEED = "manage.py init_plan_limits"


def counter_findings(using: str, only: Collection[str], now: datetime) -> Iterator[Finding]:
    if "I-11" in only:
        yield from _impossible(using)
        yield from _over(using, now)
    if "I-14" in only:
        yield from _overlapping(using)
    if "rows" in only:
        yield from _lacking(using)


def _found(id_: str, counter: UsageCounter, problem: str, severity: Severity = Severity.VIOLATION) -> Finding:
    names = {"organization": counter.organization_id, "feature": counter.feature_id}
    return Finding(
        id=id_,
        severity=severity,
        subject="organization {organization}, {feature}".format(**names),
        problem=problem,
        command=EXPLAIN.format(**names),
    )


def _impossible(using: str) -> Iterator[Finding]:
    """I-11: counts are never below 0, and what a counter holds is what its reservations hold. One statement."""
    holds = Hold.objects.filter(
        organization_id=OuterRef("organization_id"), feature_id=OuterRef("feature_id"), state=HoldState.HELD,
        at__gte=OuterRef("period_start"), at__lt=OuterRef("period_end"),
    ).order_by()  # fmt: skip
    total = holds.values("organization_id").annotate(total=Sum("amount")).values("total")
    counters = UsageCounter.objects.using(using).annotate(in_holds=Coalesce(Subquery(total), 0))
    odd = counters.filter(Q(used__lt=0) | Q(held__lt=0) | ~Q(held=F("in_holds")))
    for counter in odd.order_by("pk").iterator(chunk_size=BATCH):
        if min(counter.used, counter.held) < 0:
            yield _found("I-11", counter, f"{counter.used} are used and {counter.held} held, which is less than none")
        else:
            yield _found("I-11", counter, f"{counter.held} are held, and its reservations hold {counter.in_holds}")


def _overlapping(using: str) -> Iterator[Finding]:
    """I-14: a moment is counted in one period at most."""
    ordered = UsageCounter.objects.using(using).order_by("organization_id", "feature_id", "period_start")
    for one, next_ in pairwise(ordered.iterator(chunk_size=BATCH)):
        same = (one.organization_id, one.feature_id) == (next_.organization_id, next_.feature_id)
        if same and next_.period_start < one.period_end:
            problem = f"the period from {one.period_start:%Y-%m-%d %H:%M} runs into that from "
            yield _found("I-14", next_, f"{problem}{next_.period_start:%Y-%m-%d %H:%M} UTC")


def _over(using: str, now: datetime) -> Iterator[Finding]:
    """I-11: more is used than the limit gives now. A lower plan or limit, or a soft one, may do that: nothing is
    granted while it lasts.
    """
    limits = {(row.plan_id, row.feature_id): row for row in PlanLimit.objects.using(using)}
    lost = set(Feature.objects.using(using).filter(kept_in_grace=False).values_list("pk", flat=True))
    here = UsageCounter.objects.using(using).filter(period_start__lte=now, period_end__gt=now).order_by("pk")
    latest = 0
    while batch := list(here.filter(Q(used__gt=0) | Q(held__gt=0), pk__gt=latest)[:BATCH]):
        latest = batch[-1].pk
        keys = {counter.organization_id for counter in batch}
        rows = {row.organization_id: row for row in Subscription.objects.using(using).filter(organization_id__in=keys)}
        overrides = _overrides(using, keys, now)
        for counter in batch:
            row, feature = rows.get(counter.organization_id), counter.feature_id
            plan = conf.fallback_plan if row is None else row.plan_in_force(now)
            if row is not None and feature in lost and row.on_grace_period(now):
                plan = conf.fallback_plan
            named = limits.get((plan, feature))
            if (counter.organization_id, feature) in overrides:
                limit = overrides[counter.organization_id, feature]
            elif named is None:
                limit = 0
            else:
                tried = named.trial_differs and row is not None and row.on_trial(now)
                limit = named.trial_limit_value if tried else named.limit_value
            if limit is not None and counter.used + counter.held > limit:
                problem = f"{counter.used} used and {counter.held} held of {limit}: nothing is granted until it is less"
                yield _found("I-11", counter, problem, Severity.NOTE)


def _overrides(using: str, keys: Iterable[Any], now: datetime) -> dict[tuple[Any, str], int | None]:
    rows = LimitOverride.objects.using(using).filter(organization_id__in=list(keys), starts_at__lte=now)
    rows = rows.filter(Q(ends_at=None) | Q(ends_at__gt=now)).order_by("pk")
    return {(row.organization_id, row.feature_id): row.limit_value for row in rows}


def _lacking(using: str) -> Iterator[Finding]:
    """Organizations that have no subscription or no usage row, and plans that give nothing of anything."""
    for what, model in (("subscription", Subscription), ("usage row", Usage)):
        own = model._default_manager.filter(organization_id=OuterRef("pk"))
        lacking = organization_model()._default_manager.using(using).filter(~Exists(own)).order_by("pk")
        for key in lacking.values_list("pk", flat=True).iterator(chunk_size=BATCH):
            yield Finding(
                id="rows", severity=Severity.WARNING, subject=f"organization {key}",
                problem=f"it has no {what}", command=SEED,
            )  # fmt: skip
    held = Plan.objects.using(using).exclude(subscriptions=None).filter(limits=None).order_by("pk")
    for plan in held.distinct():
        yield Finding(
            id="rows", severity=Severity.WARNING, subject=f"plan {plan.pk}",
            problem="organizations are on it, and it has no limits, so that every feature is denied", command=SEED,
        )  # fmt: skip
