"""The catalogue as people compare it: what each plan gives of each feature, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch
from django.utils.translation import gettext as _

from ..catalogue import FeatureKind
from ..models import Feature, Plan, PlanLimit, PlanPrice
from ..money import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """What one plan gives of one feature; ``limit`` None is unlimited, 0 is not included."""

    feature: Feature
    limit: int | None

    @property
    def included(self) -> bool:
        return self.limit != 0

    @property
    def resets(self) -> bool:
        """Does its count start again?"""
        return self.included and self.limit is not None and self.feature.kind == FeatureKind.HAPPENS

    @property
    def cell(self) -> str:
        """In a table whose row names the feature."""
        if not self.included:
            return _("Not included")
        if self.feature.kind == FeatureKind.ON_OFF:
            return _("Included")
        return _("Unlimited") if self.limit is None else format_count(self.limit)

    @property
    def line(self) -> str:
        """In a list, on its own."""
        facts = {"features": self.feature.label}
        if not self.included:
            return _("No %(features)s") % facts
        if self.feature.kind == FeatureKind.ON_OFF:
            return self.feature.label[:1].upper() + self.feature.label[1:]
        if self.limit is None:
            return _("Unlimited %(features)s") % facts
        name = self.feature.unit if self.limit == 1 else self.feature.label
        return _("%(number)s %(feature)s") % {"number": format_count(self.limit), "feature": name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One plan that is for sale. Without a price it is free."""

    plan: Plan
    prices: tuple[PlanPrice, ...]
    """The default first."""
    price: PlanPrice | None
    """The one that is shown first."""
    benefits: tuple[Benefit, ...]
    """Of every feature that any of the plans names, in the order of the features."""

    @property
    def other_prices(self) -> tuple[PlanPrice, ...]:
        return tuple(price for price in self.prices if price != self.price)


def offers_for(term: str) -> tuple[Offer, ...]:
    """Every plan that is for sale, at its price for ``term`` where it has one. Three queries."""
    plans = list(
        Plan.objects.filter(is_active=True).prefetch_related(
            Prefetch("limits", PlanLimit.objects.select_related("feature")),
            Prefetch("prices", PlanPrice.objects.filter(amount_minor__gt=0)),
        )
    )
    named = {limit.feature_id: limit.feature for plan in plans for limit in plan.limits.all()}
    features = sorted(named.values(), key=lambda feature: (feature.position, feature.slug))
    return tuple(_offer(plan, features, term) for plan in plans)


def terms_in(offers: Iterable[Offer]) -> dict[str, str]:
    """What the prices of these pay for, ``{"year": "year"}`` as people read it, the shortest first."""
    prices = [price for offer in offers for price in offer.prices]
    length = {"day": 1, "month": 30, "year": 365}
    prices.sort(key=lambda price: length[price.interval] * price.interval_count)
    return {price.term: price.period for price in prices}


def _offer(plan: Plan, features: Iterable[Feature], term: str) -> Offer:
    prices = sorted(plan.prices.all(), key=lambda price: not price.is_default)
    chosen = next((price for price in prices if price.term == term), prices[0] if prices else None)
    limits = {limit.feature_id: limit.limit_value for limit in plan.limits.all()}
    benefits = tuple(Benefit(feature=feature, limit=limits.get(feature.pk, 0)) for feature in features)
    return Offer(plan=plan, prices=tuple(prices), price=chosen, benefits=benefits)
