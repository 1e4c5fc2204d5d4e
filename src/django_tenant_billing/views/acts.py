"""What people do to their subscription beside paying, by the names that its addresses have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db.models import Model

from .. import subscriptions

Act = Callable[[Model, str, str | None, str], object]
"""Takes the organization, a plan, the term of one of its prices (None: the default) and the actor."""

ACTS: Mapping[str, Act] = {
    "cancel": lambda organization, _plan, _term, actor: subscriptions.cancel(organization, actor=actor),
    "resume": lambda organization, _plan, _term, actor: subscriptions.resume(organization, actor=actor),
    "undo-change": lambda organization, _plan, _term, actor: subscriptions.undo_change(organization, actor=actor),
    "schedule-change": lambda organization, plan, _term, actor: subscriptions.schedule_change(
        organization, plan, actor=actor
    ),
    "start-trial": lambda organization, plan, _term, actor: subscriptions.start_trial(organization, plan, actor=actor),
    "buy-with-credit": lambda organization, plan, term, actor: subscriptions.buy_with_credit(
        organization, plan, term, actor=actor
    ),
}

OF_A_PLAN = frozenset({"schedule-change", "start-trial", "buy-with-credit"})
"""Those that need a plan."""
