"""The people of an organization: every member sees them, owners add and remove them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import CreateView, DeleteView
from django_tenant_billing import quotas
from django_tenant_billing.mixins import QuotaRequiredMixin

from .decorators import organization_required, owner_required
from .forms import MemberForm
from .http import OrganizationRequest
from .models import Membership, Organization, Role


@organization_required
def team(request: OrganizationRequest) -> HttpResponse:
    context = {"team": request.organization.memberships.select_related("user"), "owner": Role.OWNER}
    return render(request, "orgs/team.html", context)


@method_decorator(owner_required, name="dispatch")
class AddMember(QuotaRequiredMixin, CreateView):
    """First the role, then the quota: whoever may not add anybody is not told that there is no room."""

    quota_feature = "team_members"
    request: OrganizationRequest
    form_class = MemberForm
    template_name = "orgs/member_form.html"
    success_url = reverse_lazy("team")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"organization": self.request.organization}


@method_decorator(owner_required, name="dispatch")
class RemoveMember(DeleteView):
    """Gives the unit back in the transaction that removes the row. One owner always stays."""

    request: OrganizationRequest
    object: Membership
    template_name = "orgs/member_confirm_delete.html"

    def get_queryset(self) -> QuerySet[Membership]:
        return self.request.organization.memberships.select_related("user")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            # Locked, so that two owners cannot remove each other at the same moment.
            organization = Organization.objects.select_for_update().get(pk=self.request.organization.pk)
            others = organization.memberships.exclude(pk=self.object.pk)
            if not others.filter(role=Role.OWNER).exists():
                messages.error(self.request, _("%(user)s is the only owner and stays.") % {"user": self.object.user})
                return redirect("team")
            deleted, _by_model = organization.memberships.filter(pk=self.object.pk).delete()
            if deleted and self.object.role != Role.ACCOUNTANT:
                quotas.release(organization, "team_members")
        return redirect("index" if self.object.user == self.request.user else "team")
