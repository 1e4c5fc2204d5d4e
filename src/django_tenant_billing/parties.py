"""Who sells and who buys, as receipts name them: from the site's settings, never more than a receipt can hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.utils.functional import Promise

from .conf import conf, load

logger = logging.getLogger("tenant_billing")

LONGEST = {"name": 200, "address": 500, "pan": 20}

DATA_IS_MISSING = (ObjectDoesNotExist, DatabaseError, AttributeError, LookupError, TypeError, ValueError)
"""What a function raises that does not find of one organization what it looks for. Anything else is a bug of all of
them, and shows where an attempt begins: nothing was paid then."""


class Party(NamedTuple):
    """Texts; empty where nothing is known."""

    name: str = ""
    address: str = ""
    pan: str = ""


def party_of(given: object) -> Party | None:
    """What a mapping of these names to texts says; None where it is something else."""
    if not isinstance(given, Mapping) or not set(given) <= set(LONGEST):
        return None
    if not all(value is None or isinstance(value, str | Promise) for value in given.values()):
        return None
    return Party(**{name: _text(given.get(name) or "", longest) for name, longest in LONGEST.items()})


def seller() -> Party:
    """As TENANT_BILLING_SELLER says now. Where that is malformed, nobody: the check E026 says so."""
    return party_of(conf.seller) or Party()


def buyer_of(organization: Any) -> dict[str, str]:
    """What TENANT_BILLING_BUYER says of an organization, as a payment keeps it; empty without a setting.

    Also empty, and logged, where the function finds nothing or answers something else. Called where an attempt to pay
    begins: no code of a site runs where money is applied, so that none can be in the way.
    """
    if conf.buyer is None:
        return {}
    try:
        answer = load(conf.buyer, dict)(organization)
    except DATA_IS_MISSING:
        logger.exception("TENANT_BILLING_BUYER failed for organization %s: receipts have its name.", organization.pk)
        return {}
    found = party_of(answer)
    if found is None:
        logger.error(
            "TENANT_BILLING_BUYER returned no mapping of name, address and pan to texts for organization %s: receipts "
            "have its name.",
            organization.pk,
        )
        return {}
    return {name: text for name, text in found._asdict().items() if text}


def _text(value: object, longest: int) -> str:
    # PostgreSQL takes no NUL and no half of a surrogate pair.
    return str(value).replace("\x00", "").encode(errors="replace").decode().strip()[:longest]
