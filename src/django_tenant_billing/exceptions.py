"""Every error of the package.

BillingError
├── OrganizationNotFound      (PermissionDenied: 403)   the request belongs to no organization
├── NotAuthorized             (PermissionDenied: 403)   the site's AUTHORIZE said no
├── UnknownFeature            (LookupError)             a slug nobody defined: a bug, not a refusal
├── CatalogueMissing          (LookupError)             nothing is seeded yet
├── InvalidCatalogue          (ImproperlyConfigured)    TENANT_BILLING_CATALOGUE cannot be read
├── QuotaExceeded             (PermissionDenied: 403)   the limit in force leaves no room
├── QuotaContended                                      the counter moved at each of many tries
├── ReleaseTooLarge           (ValueError)              more given back than was ever counted
├── KeyReused                 (ValueError)              an idempotency key came again with another request
├── UnknownReservation        (LookupError)             no reservation of this organization has this key
├── NotForSale                (ValueError)              a plan that is unknown, free or retired
├── NotPossible               (ValueError)              a subscription does not allow this as it stands
│   └── TrialUsed                                       the one trial was had
├── NotRefundable             (ValueError)              a payment whose money cannot be sent back like this
├── NotRecordable             (ValueError)              money that staff saw and that does not fit the payment
├── NotInReview               (ValueError)              nobody has to decide about this payment, or not so
├── AlreadyPaid               (ValueError)              an earlier attempt for the same thing has just turned out paid
├── TooManyAttempts                                     three attempts to pay are open already
├── Throttled                                           too often in too short a time (429, Retry-After)
├── Busy                                                somebody else holds the row for too long (503): try again
├── NotProven                                           activate_plan() on a payment that is not paid
├── IllegalTransition                                   the transition table says no
├── InsideTransaction         (RuntimeError)            a gateway must not be asked while a transaction is open
├── AppendOnly                (TypeError)               a log row is never changed
└── GatewayError
    ├── GatewayNotConfigured  (ImproperlyConfigured)    an alias or an option nobody set
    ├── GatewayUnavailable                              no usable answer: unknown, never "failed"
    │   ├── GatewayTimeout                              the total deadline passed
    │   └── GatewayRefusesUs                            it refuses our key: nobody asks until a person mends that
    ├── GatewayRejected                                 the gateway refused our request, with its reasons
    └── CallbackRejected      (SuspiciousOperation: 400)  a claim that cannot be read
        └── SignatureRejected                           a claim whose signature is missing or wrong
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SuspiciousOperation
from django.utils.translation import gettext as _

from .decisions import Decision
from .lifecycle import State
from .marking import gettext_noop


class BillingError(Exception):
    """Base of every error of this package."""


class OrganizationNotFound(BillingError, PermissionDenied):
    """The request belongs to no organization."""

    def __init__(self) -> None:
        super().__init__(_("Organization not found"))


class NotAuthorized(BillingError, PermissionDenied):
    """TENANT_BILLING_AUTHORIZE refused ``action`` on this organization."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(_("You do not have permission to do this."))


class UnknownFeature(BillingError, LookupError):
    """No feature has this slug."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(
            f"There is no feature {feature!r}. Check the spelling, or add it to the catalogue and run: "
            "manage.py init_plan_limits"
        )


class CatalogueMissing(BillingError, LookupError):
    """No feature at all: the catalogue was never seeded."""

    def __init__(self) -> None:
        super().__init__("There are no plans and features yet. Run: manage.py init_plan_limits")


class InvalidCatalogue(BillingError, ImproperlyConfigured):
    """TENANT_BILLING_CATALOGUE cannot be read; ``where`` is the path inside it."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(f"TENANT_BILLING_CATALOGUE: {where}: {problem}")


class QuotaExceeded(BillingError, PermissionDenied):
    """The limit in force leaves no room; ``decision`` has every number."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(decision.message)


class QuotaContended(BillingError):
    """The counter changed between reading and counting at every try."""

    def __init__(self, feature: str, tries: int) -> None:
        super().__init__(
            f"Counting {feature!r} met a moving counter {tries} times. Try again; if it repeats, check that the "
            "database runs at READ COMMITTED: manage.py check"
        )


class ReleaseTooLarge(BillingError, ValueError):
    """More would be given back than is counted in the current period."""

    def __init__(self, feature: str, amount: int) -> None:
        super().__init__(
            f"Cannot release {amount} of {feature!r}: less than that is counted in the current period. "
            "If the count is wrong, run: manage.py recount_usage"
        )


class KeyReused(BillingError, ValueError):
    """An idempotency key stands for one request for ever, and this is another."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"The idempotency key {key!r} was used before, for another request. A key names one request: the same "
            "verb, features, amounts and when_short. Make a new key."
        )


class UnknownReservation(BillingError, LookupError):
    """No reservation of this organization has this key."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"This organization has no reservation {key!r}.")


class NotForSale(BillingError, ValueError):
    """This plan cannot be bought."""

    def __init__(self, plan: str, reason: str) -> None:
        self.plan = plan
        super().__init__(_("Plan %(plan)r cannot be bought: %(reason)s.") % {"plan": plan, "reason": reason})


IMPOSSIBLE = {
    "cancel": gettext_noop("Cannot cancel a subscription that is %(state)s: %(reason)s."),
    "resume": gettext_noop("Cannot resume a subscription that is %(state)s: %(reason)s."),
    "change": gettext_noop("Cannot change a subscription that is %(state)s: %(reason)s."),
    "undo_change": gettext_noop("Cannot undo the change of a subscription that is %(state)s: %(reason)s."),
    "extend": gettext_noop("Cannot extend a subscription that is %(state)s: %(reason)s."),
    "start_trial": gettext_noop("Cannot start a trial of a subscription that is %(state)s: %(reason)s."),
    "extend_trial": gettext_noop("Cannot extend the trial of a subscription that is %(state)s: %(reason)s."),
}
"""What is said of an act that is not possible: whole sentences, which can be translated."""


class NotPossible(BillingError, ValueError):
    """A subscription does not allow an act as it stands; ``state`` as of lifecycle.py."""

    def __init__(self, act: str, state: str, reason: str) -> None:
        self.state = state
        super().__init__(_(IMPOSSIBLE[act]) % {"state": State(state).label, "reason": reason})


class TrialUsed(NotPossible):
    """The one trial of this organization, or of what it is known by, was had."""


class NotRefundable(BillingError, ValueError):
    """The money of a payment cannot be sent back, or not like this."""

    def __init__(self, reference: str, reason: str) -> None:
        facts = {"reference": reference, "reason": reason}
        super().__init__(_("Payment %(reference)s cannot be refunded: %(reason)s.") % facts)


class NotRecordable(BillingError, ValueError):
    """Money that a person has seen does not fit this payment. Nothing was changed."""

    def __init__(self, reference: str, reason: str) -> None:
        facts = {"reference": reference, "reason": reason}
        super().__init__(_("Payment %(reference)s cannot be recorded: %(reason)s.") % facts)


class NotInReview(BillingError, ValueError):
    """Nobody has to decide about this payment, or it cannot be decided like this."""

    def __init__(self, reference: str, reason: str) -> None:
        facts = {"reference": reference, "reason": reason}
        super().__init__(_("Payment %(reference)s cannot be decided so: %(reason)s.") % facts)


class AlreadyPaid(BillingError, ValueError):
    """An earlier attempt to pay for the same thing, asked about once more, turned out to be paid."""

    def __init__(self, payment: Any) -> None:
        self.payment = payment
        super().__init__(f"Payment {payment.reference} has paid for this already. Nothing more is due.")


class TooManyAttempts(BillingError):
    """The organization has so many open attempts to pay that another one would be a mistake."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"{number} attempts to pay are still open. Finish or cancel one at the gateway, or try again in an hour."
        )


class Throttled(BillingError):
    """Done too often in too short a time; ``seconds`` until the next try."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Too many tries. Try again in {seconds} seconds.")


class Busy(BillingError):
    """Somebody else holds what this needs for longer than a caller should wait. Nothing was changed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is busy with another request. Nothing was changed; try again in a few seconds.")


class NotProven(BillingError):
    """activate_plan() was called on a payment whose gateway has not confirmed it."""

    def __init__(self, reference: str, status: str) -> None:
        super().__init__(
            f"Payment {reference} is {status!r}, not 'paid'. Ask the gateway first: "
            "django_tenant_billing.payments.settle(payment), or run: manage.py reconcile_payments"
        )


class IllegalTransition(BillingError):
    """A payment may not go from ``source`` to ``target``."""

    def __init__(self, reference: str, source: str, target: str) -> None:
        super().__init__(f"Payment {reference} may not go from {source!r} to {target!r}.")


class InsideTransaction(BillingError, RuntimeError):
    """A gateway was to be asked while a database transaction is open."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"payments.{what}() asks a gateway and must not run inside a transaction: the lock would be held over the "
            "network and the log would die with a rollback. Call it outside atomic(); for a view under "
            "ATOMIC_REQUESTS, decorate it with django.db.transaction.non_atomic_requests."
        )


class AppendOnly(BillingError, TypeError):
    """A log or a history is written once and never changed."""

    def __init__(self) -> None:
        super().__init__("This log is append-only: write a new event instead.")


class GatewayError(BillingError):
    """Something went wrong between us and a gateway."""


class GatewayNotConfigured(GatewayError, ImproperlyConfigured):
    """No such gateway, or its settings cannot be used."""


class GatewayUnavailable(GatewayError):
    """No usable answer came; what happened at the gateway is unknown."""


class GatewayTimeout(GatewayUnavailable):
    """The total deadline passed before the whole answer was there."""


class GatewayRefusesUs(GatewayUnavailable):
    """It refuses our key: what happened is unknown, and asking again is no use until a person mends that."""


class GatewayRejected(GatewayError):
    """The gateway understood the request and refused it; ``reasons`` are its own words by field."""

    def __init__(self, message: str, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__(message)


class CallbackRejected(GatewayError, SuspiciousOperation):
    """A claim that cannot be read: repeated or oversized parameters."""


class SignatureRejected(CallbackRejected):
    """A claim whose signature is missing, covers too little, or is wrong: somebody made it up."""
