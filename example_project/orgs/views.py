"""Signing up, and switching between the organizations of one user."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import RedirectURLMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.generic import FormView

from .forms import SignUpForm
from .http import OrganizationRequest
from .middleware import SESSION_KEY
from .models import Membership


@method_decorator(sensitive_post_parameters("password1", "password2"), name="dispatch")
class SignUp(RedirectURLMixin, FormView):
    """A new user, logged in, in a new organization; then where ``next`` leads: to the plan that was chosen."""

    form_class = SignUpForm
    template_name = "registration/sign_up.html"
    next_page = "index"
    request: HttpRequest

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        login(self.request, form.sign_up())
        return redirect(self.get_success_url())


@login_required
@require_POST
def switch(request: OrganizationRequest, organization_id: int) -> HttpResponse:
    """404 for an organization that the user does not belong to, as for one that does not exist."""
    membership = get_object_or_404(Membership, user=request.user, organization_id=organization_id)
    request.session[SESSION_KEY] = membership.organization_id
    return redirect("index")
