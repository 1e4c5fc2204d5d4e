"""Signing up, and adding somebody to the team."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from .models import Membership, Organization, Role


class SignUpForm(UserCreationForm):
    """A user and the organization that this user owns."""

    organization = forms.CharField(
        label=_("Name of your shop or company"),
        max_length=Organization._meta.get_field("name").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )

    @transaction.atomic
    def sign_up(self) -> User:
        """All rows, or none. The package adds the organization's subscription, and counts the owner at first look."""
        user: User = self.save()
        organization = Organization.objects.create(name=self.cleaned_data["organization"])
        Membership.objects.create(user=user, organization=organization, role=Role.OWNER)
        return user


class MemberForm(forms.ModelForm):
    """Somebody who has signed up already. A real site would rather send an invitation, which tells nobody's name."""

    user = forms.ModelChoiceField(
        User.objects.filter(is_active=True),
        label=_("Username"),
        to_field_name="username",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
        error_messages={"invalid_choice": _("Nobody here has this username.")},
    )
    role = forms.ChoiceField(
        label=_("Role"),
        choices=[(role.value, role.label) for role in (Role.MEMBER, Role.OWNER)],
        help_text=_("Members work with invoices and customers. Owners also pay and choose the team."),
    )

    class Meta:
        model = Membership
        fields = ("user", "role")

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.organization = organization

    def clean_user(self) -> User:
        user: User = self.cleaned_data["user"]
        if self.instance.organization.memberships.filter(user=user).exists():
            raise forms.ValidationError(_("%(user)s is in the team already."), params={"user": user})
        return user
