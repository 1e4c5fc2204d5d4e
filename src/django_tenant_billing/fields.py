"""Relations to the organization whose migrations never drift, whatever the site calls its reverse names."""

from __future__ import annotations

from typing import Any

from django.db import models

from .conf import conf


class _ToOrganization:
    """Names Django's own field class in migrations and leaves out ``related_name``, which a setting decides."""

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()  # type: ignore[misc]
        kwargs.pop("related_name", None)
        parent = type(self).__mro__[2]
        return name, f"django.db.models.{parent.__name__}", args, kwargs


class OrganizationForeignKey(_ToOrganization, models.ForeignKey):  # type: ignore[type-arg]
    """Many of ours to one organization; no reverse name unless one is given."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("related_name", "+")
        kwargs.setdefault("to", conf.organization_model)
        super().__init__(**kwargs)


class OrganizationOneToOneField(_ToOrganization, models.OneToOneField):  # type: ignore[type-arg]
    """One of ours to one organization, reached as ``organization.<TENANT_BILLING_RELATED_PREFIX><related_name>``."""

    def __init__(self, *, related_name: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("to", conf.organization_model)
        # A clone in a migration's state has no reverse name: deconstruct() dropped it.
        super().__init__(related_name=related_name and conf.related_prefix + related_name, **kwargs)
