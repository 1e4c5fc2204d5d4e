"""Somebody who is logged in and whose requests belong to an organization."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from tests.testapp.models import Organization


def member(organization: Organization, user: User, **headers: str) -> Client:
    """A browser or a program of this member; ``headers`` go with each request."""
    client = Client(headers={"X-Organization": str(organization.pk), **headers})
    client.force_login(user)
    return client
