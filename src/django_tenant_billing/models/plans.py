"""The catalogue as rows: plans, their prices, features, and how much of a feature a plan gives."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from .. import vat
from ..catalogue import MAX_GRACE_DAYS, MAX_INTERVALS, MAX_LIMIT, FeatureKind
from ..money import format_money, to_major
from ..periods import Interval, Reset

PERIODS = {
    Interval.DAY: ngettext_lazy("day", "%(number)d days", "number"),
    Interval.MONTH: ngettext_lazy("month", "%(number)d months", "number"),
    Interval.YEAR: ngettext_lazy("year", "%(number)d years", "number"),
}
INTERVALS = [(Interval.DAY.value, _("day")), (Interval.MONTH.value, _("month")), (Interval.YEAR.value, _("year"))]


class Plan(models.Model):
    """What an organization is on. Its key is its code."""

    code = models.CharField(_("code"), max_length=32, primary_key=True)
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveSmallIntegerField(_("position"), default=0, help_text=_("Lower plans come first."))
    is_active = models.BooleanField(_("for sale"), default=True)
    grace_days = models.PositiveSmallIntegerField(
        _("days of grace"),
        default=0,
        validators=[MaxValueValidator(MAX_GRACE_DAYS)],
        help_text=_("For how many days it goes on after its paid end. Counts from the next payment on."),
    )

    trial_days = models.PositiveSmallIntegerField(
        _("days of trial"),
        default=0,
        validators=[MaxValueValidator(MAX_GRACE_DAYS)],
        help_text=_("For how many days it can be tried, once. 0: not at all."),
    )

    class Meta:
        ordering = ["position", "code"]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.code

    def default_price(self) -> PlanPrice | None:
        """The price a buyer pays who names none; None for a plan without one."""
        return self.prices.filter(is_default=True).first()


class PlanPrice(models.Model):
    """What a plan costs, and for how long. One default per plan."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="prices", verbose_name=_("plan"))
    amount_minor = models.BigIntegerField(_("price in paisa"), validators=[MinValueValidator(0)])
    currency = models.CharField(_("currency"), max_length=3, default="NPR")
    interval = models.CharField(_("interval"), max_length=8, choices=INTERVALS, default=Interval.MONTH.value)
    interval_count = models.PositiveSmallIntegerField(
        _("intervals"), default=1, validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVALS)]
    )
    # True or NULL, never False: NULLs do not conflict, so "one default per plan" holds on MariaDB too.
    is_default = models.BooleanField(
        _("default"), null=True, blank=True, default=None, choices=[(True, _("yes")), (None, _("no"))]
    )

    class Meta:
        ordering = ["plan", "amount_minor", "pk"]
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.UniqueConstraint(fields=["plan", "is_default"], name="tb_price_one_default"),
            models.UniqueConstraint(fields=["plan", "currency", "interval", "interval_count"], name="tb_price_unique"),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="tb_price_not_negative"),
            models.CheckConstraint(
                condition=Q(interval_count__gte=1, interval_count__lte=MAX_INTERVALS), name="tb_price_interval_in_range"
            ),
            models.CheckConstraint(condition=Q(is_default=True) | Q(is_default=None), name="tb_price_default_or_null"),
        ]

    def __str__(self) -> str:
        return (
            f"{self.plan_id} - {format_money(self.amount_minor, self.currency)} / {self.interval_count} {self.interval}"
        )

    @property
    def amount(self) -> object:
        """The price in rupees."""
        return to_major(self.amount_minor)

    @property
    def formatted_amount(self) -> str:
        return format_money(self.amount_minor, self.currency)

    @property
    def to_pay_minor(self) -> int:
        """What a buyer pays, in paisa: with the tax that is added to it, if any."""
        return vat.to_pay(self.amount_minor)

    @property
    def formatted_to_pay(self) -> str:
        return format_money(self.to_pay_minor, self.currency)

    @property
    def vat_note(self) -> str:
        """What stands beside the price: ``plus 13 % VAT``, ``includes 13 % VAT``, or nothing."""
        return vat.note_of_price()

    @property
    def term(self) -> str:
        """What it pays for, as clients name it: ``year``, ``3-month``."""
        return self.interval if self.interval_count == 1 else f"{self.interval_count}-{self.interval}"

    @property
    def period(self) -> str:
        """What it pays for, as people read it: ``year``, ``3 months``."""
        return str(PERIODS[Interval(self.interval)] % {"number": self.interval_count})


class Feature(models.Model):
    """Something a plan limits. Its key is its slug."""

    slug = models.CharField(_("slug"), max_length=50, primary_key=True)
    singular = models.CharField(_("label for one"), max_length=80)
    plural = models.CharField(_("label for many"), max_length=80)
    kind = models.CharField(_("kind"), max_length=10, choices=FeatureKind.choices)
    reset = models.CharField(
        _("starts again"),
        max_length=8,
        choices=[
            (Reset.ANCHOR.value, _("each billing month")),
            (Reset.MONTH.value, _("each calendar month")),
            (Reset.WEEK.value, _("each week")),
            (Reset.DAY.value, _("each day")),
        ],
        default=Reset.ANCHOR.value,
        help_text=_("For a feature that happens. A change counts from the next period."),
    )
    kept_in_grace = models.BooleanField(
        _("kept in grace"),
        default=True,
        help_text=_("In the days of grace: is it the limit of the plan, or that of the fallback plan?"),
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        ordering = ["position", "slug"]
        verbose_name = _("feature")
        verbose_name_plural = _("features")

    def __str__(self) -> str:
        return self.slug

    @property
    def unit(self) -> str:
        """The label for one, in the reader's language where a catalogue of messages has it."""
        return gettext(self.singular)

    @property
    def label(self) -> str:
        """The label for many, likewise."""
        return gettext(self.plural)


class PlanLimit(models.Model):
    """How much of a feature a plan gives. NULL is unlimited; 0, or no row, is not included."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="limits", verbose_name=_("plan"))
    feature = models.ForeignKey(Feature, models.CASCADE, related_name="limits", verbose_name=_("feature"))
    limit_value = models.BigIntegerField(
        _("limit"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_LIMIT)],
        help_text=_("Empty is unlimited, 0 is not included."),
    )
    trial_differs = models.BooleanField(_("another limit during a trial"), default=False)
    trial_limit_value = models.BigIntegerField(
        _("limit during a trial"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_LIMIT)],
        help_text=_("Only where it differs. Empty is unlimited, 0 is not included."),
    )
    grace_days = models.PositiveSmallIntegerField(
        _("days of grace"),
        default=0,
        validators=[MaxValueValidator(MAX_GRACE_DAYS)],
        help_text=_("For how many days the limit may be exceeded before it holds. 0 is a hard limit."),
    )

    class Meta:
        ordering = ["plan__position", "plan", "feature__position", "feature"]
        verbose_name = _("plan limit")
        verbose_name_plural = _("plan limits")
        constraints = [
            models.UniqueConstraint(fields=["plan", "feature"], name="tb_limit_unique"),
            models.CheckConstraint(
                condition=Q(limit_value=None) | Q(limit_value__gte=0, limit_value__lte=MAX_LIMIT),
                name="tb_limit_in_range",
            ),
            models.CheckConstraint(
                condition=Q(trial_limit_value=None)
                | Q(trial_differs=True, trial_limit_value__gte=0, trial_limit_value__lte=MAX_LIMIT),
                name="tb_limit_trial_in_range",
            ),
        ]

    def __str__(self) -> str:
        parts = [_number(self.limit_value)]
        if self.trial_differs:
            parts.append(_("%(limit)s on trial") % {"limit": _number(self.trial_limit_value)})
        if self.grace_days:
            parts.append(_("%(days)d days of grace") % {"days": self.grace_days})
        return f"{self.plan_id} - {self.feature_id}: {', '.join(parts)}"


def _number(limit: int | None) -> str:
    return str(_("unlimited") if limit is None else limit)
