"""One act on several subscriptions: a page asks for the reason, each is done or says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import subscriptions
from ..catalogue import MAX_GRACE_DAYS
from ..exceptions import NotPossible
from ..models import Subscription
from .base import page
from .subscription_acts import CALLED, TAKE_DAYS

MOST = 100
"""So many at once: each is a transaction of its own, and somebody waits for the page."""


class SeveralForm(forms.Form):
    """How many days, and why."""

    days = forms.IntegerField(label=gettext_lazy("Days"), min_value=1, max_value=MAX_GRACE_DAYS)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def __init__(self, act: str, *args: Any) -> None:
        super().__init__(*args)
        if act not in TAKE_DAYS:
            del self.fields["days"]


def act_on_several(
    site_admin: Any, request: HttpRequest, queryset: QuerySet[Subscription], act: str
) -> HttpResponse | None:
    """The page that asks; None, which is the list again, once it is done. What is not possible is told and left."""
    chosen = list(queryset.select_related("organization").order_by("pk")[: MOST + 1])
    if len(chosen) > MOST:
        messages.error(request, _("Choose at most %(most)d subscriptions at once.") % {"most": MOST})
        return None
    form = SeveralForm(act, request.POST if "reason" in request.POST else None)
    if not form.is_valid():
        shown = {"chosen": chosen, "form": form, "action": request.POST["action"], "checkbox": ACTION_CHECKBOX_NAME}
        return page(site_admin, request, "several", title=CALLED[act], **shown)
    service: Callable[..., Subscription] = getattr(subscriptions, act)
    done, actor = 0, request.user.get_username()
    takes = [form.cleaned_data["days"]] if "days" in form.fields else []
    for subscription in chosen:
        try:
            service(subscription.organization, *takes, actor=actor, reason=form.cleaned_data["reason"])
        except NotPossible as error:
            messages.error(request, f"{subscription.organization}: {error}")
        else:
            done += 1
    if done:
        told = ngettext("%(number)d subscription was changed.", "%(number)d subscriptions were changed.", done)
        messages.success(request, told % {"number": done})
    return None
