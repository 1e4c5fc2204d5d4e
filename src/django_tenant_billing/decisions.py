"""The frozen answer to "may this organization use that much of this feature?"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils.translation import gettext as _


class Reason(StrEnum):
    """Why a decision came out as it did."""

    WITHIN_LIMIT = "within_limit"
    UNLIMITED = "unlimited"
    LIMIT_REACHED = "limit_reached"
    NOT_INCLUDED = "not_included"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One feature of one organization at one moment. True where it is allowed."""

    feature: str
    singular: str
    """The feature's label for one unit, as in "Reached invoice limit"."""
    plural: str
    kind: str = "happens"
    """``"happens"``, ``"exists"`` or ``"on_off"``."""
    plan: str
    """Code of the plan in force."""
    amount: int
    """How many units were asked for."""
    limit: int | None
    """None is unlimited; 0 is not included."""
    used: int
    held: int
    """Reserved and not yet committed."""
    period_start: datetime | None
    period_end: datetime | None
    """When the count starts again; None for a feature that never resets."""
    upgradable: bool
    """Would an active plan give more of this feature?"""

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def allowed(self) -> bool:
        return self.limit is None or self.used + self.held + self.amount <= self.limit

    @property
    def reason(self) -> Reason:
        if self.limit is None:
            return Reason.UNLIMITED
        if self.limit == 0:
            return Reason.NOT_INCLUDED
        return Reason.WITHIN_LIMIT if self.allowed else Reason.LIMIT_REACHED

    @property
    def remaining(self) -> int | None:
        """Units left; None when unlimited, never below 0."""
        return None if self.limit is None else max(self.limit - self.used - self.held, 0)

    @property
    def percent(self) -> int | None:
        """Whole percent of the limit in use, rounded down; None when unlimited, 100 when nothing is included."""
        if self.limit is None:
            return None
        return 100 if self.limit == 0 else (self.used + self.held) * 100 // self.limit

    @property
    def message(self) -> str:
        """What a person is told. Empty when allowed."""
        if self.allowed:
            return ""
        if self.reason is Reason.NOT_INCLUDED:
            text = _("The %(plan)s plan does not include %(features)s.") % {"plan": self.plan, "features": self.plural}
        else:
            text = _("Reached %(feature)s limit (%(limit)d).") % {"feature": self.singular, "limit": self.limit}
        return f"{text} {_('Upgrade your plan.')}" if self.upgradable else text
