"""The form of an act on a subscription, and the act itself: who did what, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from .. import clock, subscriptions
from ..catalogue import MAX_GRACE_DAYS
from ..models import Subscription

SET, SCHEDULE, TRY = "set_by_staff", "schedule_change", "start_trial"
EXTEND, EXTEND_TRIAL = "extend", "extend_trial"
ACTS = (
    (SET, _("Give the plan until the end below; paid time it replaces becomes credit")),
    (SCHEDULE, _("Change to the plan when what was paid ends")),
    ("undo_change", _("Undo that change")),
    (EXTEND, _("Give more days")),
    (TRY, _("Start a trial of the plan")),
    (EXTEND_TRIAL, _("Give more days of trial")),
    ("cancel", _("Cancel at the end of what was paid")),
    ("resume", _("Undo the cancellation")),
)
CALLED = dict(ACTS)
"""What each act is called; its name is that of the function in subscriptions/."""

TAKE_A_PLAN, TAKE_DAYS = (SET, SCHEDULE, TRY), (EXTEND, EXTEND_TRIAL)


class ActForm(forms.ModelForm):
    """What staff does to a subscription, and why. What an act does not take may not be changed beside it."""

    act = forms.ChoiceField(label=_("Act"), choices=ACTS)
    days = forms.IntegerField(label=_("Days"), min_value=1, max_value=MAX_GRACE_DAYS, required=False)
    reason = forms.CharField(label=_("Reason"), max_length=200)

    def clean(self) -> None:
        super().clean()
        act, end = self.cleaned_data.get("act"), self.cleaned_data.get("period_end")
        if act == SET and end is not None and end <= clock.now():
            self.add_error("period_end", _("Name a moment that is still to come."))
        if act != SET and "period_end" in self.changed_data:
            self.add_error("period_end", _("This act does not set an end."))
        if act not in TAKE_A_PLAN and "plan" in self.changed_data:
            self.add_error("plan", _("This act takes no plan."))
        if (act in TAKE_DAYS) != (self.cleaned_data.get("days") is not None) and "days" not in self.errors:
            self.add_error("days", _("How many?") if act in TAKE_DAYS else _("This act takes no days."))


def perform(subscription: Subscription, form: ActForm, actor: str) -> None:
    """Do what the form says. Raises NotPossible, NotForSale."""
    act, days, plan = form.cleaned_data["act"], form.cleaned_data["days"], subscription.plan_id
    organization: Model = subscription.organization
    # Forms know no microseconds: an end that nobody touched is not to come a moment earlier.
    end: datetime | None = subscription.period_end if "period_end" in form.changed_data else form.initial["period_end"]
    takes: Mapping[str, tuple[Any, ...]] = {
        SET: (plan, end), SCHEDULE: (plan,), TRY: (plan,), EXTEND: (days,), EXTEND_TRIAL: (days,),
    }  # fmt: skip
    service: Callable[..., Subscription] = getattr(subscriptions, act)
    service(organization, *takes.get(act, ()), actor=actor, reason=form.cleaned_data["reason"])
