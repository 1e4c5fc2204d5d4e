"""The rows a new organization gets: at sign-up, at first touch, or by the backfill. Never in its way."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import Exists, Model, OuterRef

from .. import clock
from ..conf import conf
from ..exceptions import CatalogueMissing
from ..models import Subscription, Usage
from ..models.rows import insert_missing
from ..organizations import organization_model

logger = logging.getLogger("tenant_billing")

BATCH = 500


def subscription_of(organization: Model) -> Subscription:
    """The organization's subscription; created on the fallback plan at first touch. Raises CatalogueMissing."""
    return Subscription.objects.ensure(organization.pk, clock.now())


def usage_of(organization: Model) -> Usage:
    """The organization's usage row; created at first touch."""
    return Usage.objects.ensure(organization.pk)


def welcome(organization: Model) -> bool:
    """Give a new organization its subscription and usage. False, and nothing raised, where that cannot be yet:
    a sign-up never fails because of billing, and first touch makes the rows up later.
    """
    try:
        with transaction.atomic(using=router.db_for_write(Subscription)):
            subscription_of(organization)
            usage_of(organization)
    except CatalogueMissing:
        return False
    except DatabaseError as error:
        logger.warning("No billing rows yet for new organization %s: %s", organization.pk, type(error).__name__)
        return False
    return True


def organizations_without_rows() -> list[Any]:
    """Keys of organizations that lack a subscription or a usage row."""
    return list(
        organization_model()
        ._default_manager.exclude(
            Exists(Subscription.objects.filter(organization_id=OuterRef("pk")))
            & Exists(Usage.objects.filter(organization_id=OuterRef("pk")))
        )
        .values_list("pk", flat=True)
    )


def backfill(keys: list[Any], now: datetime) -> None:
    """Create the subscription and usage rows that these organizations lack, in batches."""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        insert_missing(
            Subscription,
            [
                Subscription(organization_id=key, plan_id=conf.fallback_plan, anchor=now, period_start=now)
                for key in batch
            ],
            ["organization"],
        )
        insert_missing(Usage, [Usage(organization_id=key) for key in batch], ["organization"])
