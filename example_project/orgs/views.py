"""Switching between the organizations of one user."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from .http import OrganizationRequest
from .middleware import SESSION_KEY
from .models import Membership


@login_required
@require_POST
def switch(request: OrganizationRequest, organization_id: int) -> HttpResponse:
    membership = get_object_or_404(Membership, user=request.user, organization_id=organization_id)
    request.session[SESSION_KEY] = membership.organization_id
    return redirect("index")
