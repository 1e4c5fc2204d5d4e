"""Taking a purchase back: what it gave is undone as far as it is still to come, and what else was paid is kept.

What had begun with it ends now, what waits for its time comes earlier, and what it took the place of goes on. The
order in which several purchases are taken back does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ..exceptions import NotForSale
from ..lifecycle import Change, days_between
from ..periods import Interval, add
from .activations import Activation
from .counters import UsageCounter
from .history import SubscriptionEvent
from .purchases import give_back, put, replace_by, shift_next
from .quotes import Terms, quoted
from .subscriptions import Subscription


def take_back(row: Subscription, span: Activation, now: datetime, *, actor: str, reason: str = "") -> None:
    """Undo a purchase whose payment went back to the payer. The caller holds the lock. Once.

    Of days that were had nothing comes back. Where its unused days became credit, that credit goes, as far as it is
    still there. Raises NotForSale where that would make credit of two currencies.
    """
    row.catch_up(now)
    before, in_force = row.snapshot(), row.plan_in_force(now)
    span.taken_back_at = now
    if span.closed_at is not None:
        _uncredit(row, span, now)
    elif span.ends_at > now:
        _rewind(row, span, now)
    span.closed_at = span.closed_at or now
    span.save(update_fields=["taken_back_at", "closed_at", "credited_minor"])
    if row.plan_in_force(now) != in_force:
        UsageCounter.objects.close(row.organization_id, now)
    row.save()
    SubscriptionEvent.objects.append(
        row, Change.TAKEN_BACK, before=before, at=now, actor=actor, reason=reason, payment=span.payment,
        data={"plan": span.plan, "spent_credit_minor": span.spent_credit_minor, "credited_minor": span.credited_minor},
    )  # fmt: skip


def _rewind(row: Subscription, span: Activation, now: datetime) -> None:
    """Take an open span out of the time to come: what follows it comes earlier, what it took the place of goes on."""
    if row.period_end is None:  # A gift without an end goes on.
        _close([span], now)
        _credit(row, span)
        return
    others = [other for other in Activation.objects.open_of(row, now) if other != span]
    given, canceled_at = _given_days(row, [span, *others], now), row.canceled_at
    follows = [other for other in others if other.starts_at > max(span.starts_at, now)]
    _close([span, *follows], now)
    _credit(row, span)
    reopened = _reopen(row, span, now)
    if _holds(span, now):
        row.restore(_before(span, reopened), span.at, now)
        for other in reopened:
            if other.taken_back_at is not None:
                _rewind(row, other, now)
    else:
        if span.starts_at == row.trial_ends_at:
            row.anchor = datetime.fromisoformat(span.before["anchor"])
        _cut(row, row.period_end, span.starts_at)
        _close(reopened, now)
        follows += [other for other in reopened if other.taken_back_at is None]
    follows.sort(key=lambda other: other.starts_at)
    for other in follows:
        _put_anew(row, other, now)
    if follows:
        row.canceled_at = canceled_at
    if rest := list(Activation.objects.open_of(row, now)):
        _give_days(row, max(given - _given_days(row, rest, now), 0), now)
    row.grant_grace()


def _holds(span: Activation, now: datetime) -> bool:
    """Does the subscription stand as it does because of this purchase? Otherwise its time is still to come."""
    trial_ends_at = span.before["trial_ends_at"]
    follows_trial = trial_ends_at is not None and datetime.fromisoformat(trial_ends_at) == span.starts_at
    return span.starts_at <= now or (follows_trial and span.plan == span.before["plan"])


def _before(span: Activation, reopened: list[Activation]) -> dict[str, Any]:
    """How it stood before, without a prepaid next plan that has found its time elsewhere since."""
    before = dict(span.before)
    if before["next_period_end"] is not None and not any(other.plan == before["next_plan"] for other in reopened):
        before |= {"next_plan": None, "next_period_end": None}
    return before


def _close(spans: Iterable[Activation], now: datetime) -> None:
    Activation.objects.filter(pk__in=[span.pk for span in spans]).update(closed_at=now)


def _cut(row: Subscription, end: datetime, moment: datetime) -> None:
    """Let what is paid, of a plan that ends at ``end`` and of the next one, end at a moment."""
    if row.next_period_end is not None and moment > end:
        row.next_period_end = min(row.next_period_end, moment)
        return
    if row.next_period_end is not None:
        row.next_plan_id = row.next_period_end = None
    row.period_end = min(end, moment)


def _uncredit(row: Subscription, span: Activation, now: datetime) -> None:
    """The credit that its unused days became goes: what is left of it, then from the value of what it paid for."""
    gone = min(span.credited_minor, row.credit_minor)
    row.credit_minor, short = row.credit_minor - gone, span.credited_minor - gone
    heir = span.replaced_by
    while heir is not None and heir.closed_at is not None:
        before = heir.credited_minor
        _devalue(heir, short)
        short, heir = before - heir.credited_minor, heir.replaced_by
    for other in Activation.objects.open_of(row, now).filter(spent_credit_minor__gt=0):
        short -= _devalue(other, short)
    span.credited_minor = short


def _devalue(span: Activation, amount_minor: int) -> int:
    """Take credit that is no more out of what it paid for; how much there was of it."""
    part = min(amount_minor, span.spent_credit_minor)
    span.spent_credit_minor, span.value_minor = span.spent_credit_minor - part, span.value_minor - part
    span.credited_minor = max(span.credited_minor - part, 0)
    span.save(update_fields=["spent_credit_minor", "value_minor", "credited_minor"])
    return part


def _credit(row: Subscription, span: Activation) -> None:
    """The credit that was spent on it comes back."""
    if span.spent_credit_minor:
        if row.credit_minor and row.credit_currency != span.currency:
            raise NotForSale(span.plan, _("there is credit in another currency already"))
        row.credit_minor, row.credit_currency = row.credit_minor + span.spent_credit_minor, span.currency


def _reopen(row: Subscription, span: Activation, now: datetime) -> list[Activation]:
    """What it took the place of is no credit any more; where that was spent elsewhere since, it is forgiven."""
    reopened = list(Activation.objects.using(span._state.db).filter(replaced_by=span, ends_at__gt=now))
    for other in reopened:
        row.credit_minor -= min(other.credited_minor, row.credit_minor)
        other.closed_at, other.credited_minor, other.replaced_by = None, 0, None
        other.save(update_fields=["closed_at", "credited_minor", "replaced_by"])
    return reopened


def _put_anew(row: Subscription, span: Activation, now: datetime) -> None:
    """Buy again, at ``now``, what waits for its time."""
    interval = Interval(span.interval)
    offer = quoted(row, Terms(span.plan, span.price_minor, span.currency, interval, span.interval_count), now)
    span.before = row.snapshot()
    give_back(row, offer.credits, now)
    put(row, offer, now)
    span.starts_at, span.ends_at, span.closed_at = offer.starts_at, offer.ends_at, None
    span.save(update_fields=["starts_at", "ends_at", "closed_at", "before"])
    replace_by(span, offer.credits)


def _given_days(row: Subscription, spans: Iterable[Activation], now: datetime) -> int:
    """Days still to come that nobody paid for."""
    end, zone = row.paid_until or now, row.zone
    return days_between(now, end, zone) - sum(days_between(max(s.starts_at, now), s.ends_at, zone) for s in spans)


def _give_days(row: Subscription, days: int, now: datetime) -> None:
    if days and row.period_end is not None:
        row.anchor = end = add(row.period_end, Interval.DAY, days, row.zone)
        shift_next(row, now, end)
        row.period_end = end
