"""Organizations as people name them on a command line."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import Model

from ...organizations import organization_model


def organization_named(key: str) -> Model:
    """The organization with this key. Raises CommandError."""
    try:
        found = organization_model()._default_manager.filter(pk=key).first()
    except (ValueError, ValidationError):  # not even the shape of a key
        found = None
    if found is None:
        raise CommandError(f"There is no organization with key {key!r}.")
    return found
