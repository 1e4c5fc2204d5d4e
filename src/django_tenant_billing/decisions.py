"""The frozen answer to "may this organization use that much of this feature?".

One value for the exception, the JSON, the pages, the admin and ``billing_explain``, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from .money import format_count

NEAR_PERCENT = 80
"""From how many percent of a limit on it is near."""


class Reason(StrEnum):
    """Why a decision came out as it did."""

    WITHIN_LIMIT = "within_limit"
    UNLIMITED = "unlimited"
    IN_GRACE = "in_grace"
    """Over a soft limit, and allowed until the grace time ends."""
    LIMIT_REACHED = "limit_reached"
    NOT_INCLUDED = "not_included"


class LimitSource(StrEnum):
    """Where the limit in force came from."""

    PLAN = "plan"
    TRIAL = "trial"
    OVERRIDE = "override"
    NONE = "none"
    """The plan in force does not name the feature: not included."""


class Offer(NamedTuple):
    """What one plan that is for sale gives of a feature."""

    plan: str
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One feature of one organization at one moment. True where it is allowed.

    Always ``used + held + remaining - over == limit``, unless the feature is unlimited.
    """

    feature: str
    singular: str
    """The feature's label for one unit, as the catalogue has it."""
    plural: str
    kind: str = "happens"
    """``"happens"``, ``"exists"`` or ``"on_off"``."""
    plan: str
    """Code of the plan in force."""
    amount: int
    """How many units were asked for."""
    limit: int | None
    """None is unlimited; 0 is not included."""
    limit_source: LimitSource = LimitSource.PLAN
    limit_until: datetime | None = None
    """When an override or a trial ends, and the limit with it; None where it stays."""
    used: int
    held: int
    """Reserved, not yet committed, and not expired."""
    period_start: datetime | None
    period_end: datetime | None
    """When the count starts again; None for a feature that never resets."""
    grace_days: int = 0
    """For how many days a soft limit may be exceeded; 0 is a hard limit."""
    grace_ends_at: datetime | None = None
    """When the grace time under way ends; None where the limit has not been exceeded."""
    hold_expires_at: datetime | None = None
    """When the first of the reservations under way expires by itself."""
    offers: tuple[Offer, ...] = ()
    """What the plans for sale give of this feature, lowest plan first."""
    as_of: datetime
    """The moment that was decided for."""

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        """What a page shows of it: ``4 of 10``."""
        if self.limit == 0:
            return _("not included")
        if self.kind == "on_off":
            return _("included")
        if self.limit is None:
            return _("%(used)s, no limit") % {"used": format_count(self.used)}
        return _("%(used)s of %(limit)s") % {"used": format_count(self.used), "limit": format_count(self.limit)}

    @property
    def unit(self) -> str:
        """The label for one unit in the reader's language, as in "Reached invoice limit"."""
        return _(self.singular)

    @property
    def label(self) -> str:
        """The label for many units in the reader's language."""
        return _(self.plural)

    @property
    def allowed(self) -> bool:
        return self.fits or self.in_grace

    @property
    def fits(self) -> bool:
        """Is there room for ``amount`` within the limit?"""
        return self._fits_under(self.limit)

    @property
    def in_grace(self) -> bool:
        """Does it take grace time to allow it, and is there some?"""
        if self.fits or not self.limit or not self.grace_days:
            return False
        return self.as_of < self.grace_end

    @property
    def grace_end(self) -> datetime:
        """When the grace time ends: the one under way, or one that would start now."""
        return self.grace_ends_at or self.as_of + timedelta(days=self.grace_days)

    @property
    def reason(self) -> Reason:
        if self.limit is None:
            return Reason.UNLIMITED
        if self.limit == 0:
            return Reason.NOT_INCLUDED
        if self.in_grace:
            return Reason.IN_GRACE
        return Reason.WITHIN_LIMIT if self.allowed else Reason.LIMIT_REACHED

    @property
    def remaining(self) -> int | None:
        """Units left; None when unlimited, never below 0."""
        return None if self.limit is None else max(self.limit - self.used - self.held, 0)

    @property
    def over(self) -> int:
        """Units used or held above the limit."""
        return 0 if self.limit is None else max(self.used + self.held - self.limit, 0)

    @property
    def percent(self) -> int | None:
        """Whole percent of the limit in use, rounded down; None when unlimited, 100 when nothing is included."""
        if self.limit is None:
            return None
        return 100 if self.limit == 0 else (self.used + self.held) * 100 // self.limit

    @property
    def is_near(self) -> bool:
        """Is so much of a limit in use that a person should hear of it? Of what is on or off nothing ever is."""
        return bool(self.limit) and (self.percent or 0) >= NEAR_PERCENT

    @property
    def retry_at(self) -> datetime | None:
        """The earliest moment at which this request could pass by itself; None when allowed, or never by itself."""
        if self.allowed or self.limit is None:
            return None
        waits = []
        if self.amount <= self.limit:
            waits.append(self.period_end)
        if self.used + self.amount <= self.limit:
            waits.append(self.hold_expires_at)
        if self.limit_until is not None and self._fits_under(dict(self.offers).get(self.plan, 0)):
            waits.append(self.limit_until)
        return min((moment for moment in waits if moment is not None), default=None)

    def _fits_under(self, limit: int | None) -> bool:
        return limit is None or self.used + self.held + self.amount <= limit

    @property
    def upgradable(self) -> bool:
        """Would a plan for sale give more of it? Where an override decides, none does: it outlasts the plan."""
        if self.limit is None or self.limit_source is LimitSource.OVERRIDE:
            return False
        return any(offer.limit is None or offer.limit > self.limit for offer in self.offers)

    @property
    def unlocks(self) -> tuple[str, ...]:
        """The plans for sale under which this request would fit, lowest first; empty when it is allowed, and where an
        override decides, whatever the plan.
        """
        if self.allowed or self.limit_source is LimitSource.OVERRIDE:
            return ()
        return tuple(offer.plan for offer in self.offers if self._fits_under(offer.limit))

    @property
    def message(self) -> str:
        """What a person is told. Empty when allowed."""
        if self.allowed:
            return ""
        if self.reason is Reason.NOT_INCLUDED:
            text = _("The %(plan)s plan does not include %(features)s.") % {"plan": self.plan, "features": self.label}
        else:
            text = _("Reached %(feature)s limit (%(limit)d).") % {"feature": self.unit, "limit": self.limit}
        return " ".join((text, _("Upgrade your plan."))) if self.upgradable else text

    def facts(self) -> dict[str, Any]:
        """Every number of the JSON that tells of this decision; moments are ISO 8601 in UTC."""
        return {
            "used": self.used,
            "held": self.held,
            "limit": self.limit,
            "remaining": self.remaining,
            "over": self.over,
            "percent": self.percent,
            "allowed": self.allowed,
            "reason": self.reason.value,
            "limit_source": self.limit_source.value,
            "limit_until": _iso(self.limit_until),
            "period_start": _iso(self.period_start),
            "resets_at": _iso(self.period_end),
            "grace_ends_at": _iso(self.grace_ends_at),
            "retry_at": _iso(self.retry_at),
            "unlocks": list(self.unlocks),
        }

    def pack(self) -> dict[str, Any]:
        """As plain JSON values, to be stored and unpacked to an equal value."""
        packed = asdict(self)
        for name in MOMENTS:
            packed[name] = _iso(packed[name])
        return packed

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> Decision:
        """The decision that ``pack`` made this of."""
        values = dict(packed)
        for name in MOMENTS:
            values[name] = values[name] and datetime.fromisoformat(values[name])
        values["limit_source"] = LimitSource(values["limit_source"])
        values["offers"] = tuple(Offer(*offer) for offer in values["offers"])
        return cls(**values)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


MOMENTS = ("limit_until", "period_start", "period_end", "grace_ends_at", "hold_expires_at", "as_of")
