"""Somebody who is logged in and whose requests belong to an organization."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client, RequestFactory

from tests.testapp.models import Organization


def member(organization: Organization, user: User, **headers: str) -> Client:
    """A browser or a program of this member; ``headers`` go with each request."""
    client = Client(headers={"X-Organization": str(organization.pk), **headers})
    client.force_login(user)
    return client


def request_of(organization: Any, user: Any) -> HttpRequest:
    """A request as the site's middleware leaves it."""
    request = RequestFactory().get("/")
    request.user, request.organization = user, organization  # type: ignore[attr-defined]
    return request
