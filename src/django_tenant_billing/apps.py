"""Wires the app up: the checks, and the rows that appear with a new organization."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save
from django.utils.translation import gettext_lazy as _


class TenantBillingConfig(AppConfig):
    name = "django_tenant_billing"
    label = "tenant_billing"
    verbose_name = _("Tenant billing")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .checks import register_checks  # noqa: PLC0415 - models are loaded by now, not before
        from .conf import conf  # noqa: PLC0415
        from .subscriptions import welcome  # noqa: PLC0415

        register_checks()

        def welcome_organization(instance: Any, *, created: bool, raw: bool, **_kwargs: Any) -> None:
            if created and not raw:
                welcome(instance)

        post_save.connect(
            welcome_organization, sender=conf.organization_model, weak=False, dispatch_uid="tenant_billing.welcome"
        )
