"""Why an organization may or may not use a feature now: every row that decided, in a support person's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from django.db.models import Model

from . import clock
from .catalogue import has_ledger
from .conf import conf
from .decisions import Decision, LimitSource, Reason
from .lifecycle import State
from .models import Feature, Hold, HoldState, LimitOverride, PlanLimit, Subscription, UsageEntry
from .organizations import name_of
from .periods import Reset
from .quotas import check
from .zones import zone_of

SHOWN = 5
"""How many of the newest overrides, reservations and ledger entries are told."""

RESETS = {
    Reset.ANCHOR: "each billing month",
    Reset.MONTH: "on the first of each month",
    Reset.WEEK: "each Monday",
    Reset.DAY: "each midnight",
}


def explain(organization: Model, feature: str, amount: int = 1) -> list[str]:
    """Lines of text, the verdict first. Counts nothing. Raises UnknownFeature, CatalogueMissing, ValueError."""
    decision = check(organization, feature, amount)
    told = _Explanation(organization, decision, zone_of(organization))
    return [*told.verdict(), *told.plan(), *told.limit(), *told.usage(), *told.way_out(), *told.ledger()]


class _Explanation:
    def __init__(self, organization: Model, decision: Decision, zone: tzinfo) -> None:
        self.organization, self.decision, self.zone = organization, decision, zone
        self.feature = Feature.objects.get(pk=decision.feature)

    def verdict(self) -> Iterator[str]:
        decision = self.decision
        what = f"{decision.amount} more: {decision.singular if decision.amount == 1 else decision.plural}"
        if decision.kind == "on_off":
            what = decision.plural
        yield f"{name_of(self.organization)} {'may' if decision else 'may NOT'} use {what}. ({decision.reason})"
        if decision.reason is Reason.IN_GRACE:
            yield f"The limit is exceeded, or would be; that is allowed until {self._moment(decision.grace_end)}."
        if decision.message:
            yield f"People are told: {decision.message}"

    def plan(self) -> Iterator[str]:
        subscription = Subscription.objects.filter(organization_id=self.organization.pk).first()
        if subscription is None:
            yield f"Plan: no subscription yet, so {self.decision.plan} holds (TENANT_BILLING_FALLBACK_PLAN)."
            return
        now = clock.now()
        row = subscription.rolled(now)
        bought, end = row.plan_id, row.period_end
        if end is None:
            yield f"Plan: {bought}, without an end."
        elif end > now:
            yield f"Plan: {bought}, paid until {self._moment(end)}."
        elif row.grace_ends_at is not None and row.on_grace_period(now):
            grace = f"In grace until {self._moment(row.grace_ends_at)}"
            yield f"Plan: {bought} was paid until {self._moment(end)}. {grace}, so {self.decision.plan} holds here."
        else:
            yield f"Plan: {bought} was paid until {self._moment(end)}. That is over, so {conf.fallback_plan} holds."
        if row.next_plan_id is not None:
            paid = f"paid until {self._moment(row.next_period_end)}" if row.next_period_end else "to be paid then"
            yield f"  then: {row.next_plan_id}, {paid}."
        if row.state(now) is State.CANCELED:
            yield f"  canceled: then {conf.fallback_plan} holds."
        if self.decision.limit_source is LimitSource.TRIAL and self.decision.limit_until is not None:
            yield f"Trial: until {self._moment(self.decision.limit_until)}, with limits of its own."

    def limit(self) -> Iterator[str]:
        decision = self.decision
        until = f", until {self._moment(decision.limit_until)}" if decision.limit_until else ""
        source = {
            LimitSource.PLAN: f"from plan {decision.plan}",
            LimitSource.TRIAL: f"that of a trial of plan {decision.plan}",
            LimitSource.OVERRIDE: "from an override",
            LimitSource.NONE: f"plan {decision.plan} says nothing of {decision.feature}, so it is not included",
        }[decision.limit_source]
        yield f"Limit: {_number(decision.limit)}, {source}{until}."
        row = PlanLimit.objects.filter(plan=decision.plan, feature=self.feature).first()
        if row is not None and decision.limit_source is not LimitSource.PLAN:
            yield f"  without that: {row}"
        if row is not None and row.grace_days and decision.limit_source is not LimitSource.OVERRIDE:
            yield f"  it is soft: it may be exceeded for {row.grace_days} days, counted from the first unit over it."
        now = clock.now()
        for given in LimitOverride.objects.filter(organization_id=self.organization.pk, feature=self.feature)[:SHOWN]:
            if given.ends_at is not None and given.ends_at <= now:
                state = f"ended {self._moment(given.ends_at)}"
            elif given.starts_at > now:
                state = f"begins {self._moment(given.starts_at)}"
            else:
                state = "in force, unless a newer one is"
            yield f"  override {given.pk}: {_number(given.limit_value)}, by {given.actor}: {given.reason} ({state})"

    def usage(self) -> Iterator[str]:
        decision = self.decision
        if decision.kind == "on_off":
            yield "Used: it is on or off, nothing is counted."
            return
        if decision.period_start is not None and decision.period_end is not None:
            span = (
                f"from {self._moment(decision.period_start)} to {self._moment(decision.period_end)}; "
                f"it starts again {RESETS[Reset(self.feature.reset)]}"
            )
        else:
            span = "what is there now; it never starts again"
        yield f"Used: {decision.used} ({span})."
        if decision.over:
            yield f"  that is {decision.over} over the limit: nothing is taken away, nothing new is granted."
        live = Hold.objects.filter(
            organization_id=self.organization.pk, feature=self.feature, state=HoldState.HELD,
            expires_at__gt=clock.DatabaseNow(),
        )  # fmt: skip
        yield f"Held: {decision.held} in reservations."
        for hold in live[:SHOWN]:
            whose = f" by {hold.actor}" if hold.actor else ""
            what = f" for {hold.subject}" if hold.subject else ""
            yield f"  reservation {hold.key}: {hold.amount}{whose}{what}, expires {self._moment(hold.expires_at)}"

    def way_out(self) -> Iterator[str]:
        decision = self.decision
        if decision:
            return
        if decision.retry_at is not None:
            yield f"Could pass by itself: {self._moment(decision.retry_at)}."
        else:
            yield "Could pass by itself: no. Something has to change: the plan, the limit, or what is there."
        unlocks = [f"{plan} ({_number(limit)})" for plan, limit in decision.offers if plan in decision.unlocks]
        yield f"Plans that would let it pass: {', '.join(unlocks) or 'none'}."

    def ledger(self) -> Iterator[str]:
        if not has_ledger(self.feature.pk):
            return
        yield "Ledger, newest first:"
        for entry in UsageEntry.objects.filter(organization_id=self.organization.pk, feature=self.feature)[:SHOWN]:
            whose = f" by {entry.actor}" if entry.actor else ""
            what = f" for {entry.subject}" if entry.subject else ""
            yield f"  {self._moment(entry.at)}: {entry.change:+d} {entry.verb}{whose}{what}"

    def _moment(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M %Z")


def _number(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)
