"""The request as views see it: what the two middlewares of this app put on it."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest

from .models import Membership, Organization


class OrganizationRequest(HttpRequest):
    """For annotations. Behind ``organization_required`` or a quota guard the organization is there."""

    user: User
    organization: Organization
    membership: Membership
    by_token: bool
    """Did the user come with a Bearer token, not with a session cookie?"""
