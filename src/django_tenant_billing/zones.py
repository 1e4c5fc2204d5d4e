"""Whose calendar counts: the time zone of an organization."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from .conf import conf, load


def zone_of(organization: Any) -> tzinfo:
    """The zone that TENANT_BILLING_ORGANIZATION_TIME_ZONE gives this organization; unset, Django's default time zone.

    Raises ImproperlyConfigured where the function returned no zone, and ImportError where its path leads nowhere.
    """
    answer = load(conf.organization_time_zone, _default)(organization)
    # With a zone of pytz, known by its "localize", datetimes get the offset of a century ago and nobody is told.
    if isinstance(answer, tzinfo) and not hasattr(answer, "localize"):
        return answer
    if isinstance(answer, str):
        try:
            return ZoneInfo(answer)
        except (LookupError, ValueError, OSError):
            pass  # Unknown, malformed, or the name of a folder such as "Asia".
    raise ImproperlyConfigured(
        f"TENANT_BILLING_ORGANIZATION_TIME_ZONE returned {answer!r} for {organization!r} (key {organization.pk!r}). "
        'Return the name of a time zone, such as "Asia/Kathmandu", or a datetime.tzinfo that is not of pytz; for an '
        "organization without one, django.utils.timezone.get_default_timezone()."
    )


def zone_for(row: Any) -> tzinfo:
    """The zone of ``row.organization``, which may cost a query and is therefore touched only where the setting is set.

    Raises as zone_of.
    """
    return _default() if conf.organization_time_zone is None else zone_of(row.organization)


def _default(_organization: Any = None) -> tzinfo:
    return timezone.get_default_timezone()
