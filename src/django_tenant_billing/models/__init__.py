"""The tables. What one aggregate decides about itself is a method here; what crosses to another is a service."""

from .activations import Activation
from .breakers import Breaker
from .counters import UsageCounter
from .heartbeats import Heartbeat
from .history import SubscriptionEvent
from .holds import Hold, HoldState
from .log import PaymentEvent
from .overrides import LimitOverride
from .payments import PaymentTransaction
from .plans import Feature, Plan, PlanLimit, PlanPrice
from .receipts import Receipt, ReceiptSequence
from .records import IdempotencyKey, UsageEntry
from .subscriptions import Subscription
from .throttles import Throttle
from .trials import TrialMark
from .usage import Usage

__all__ = [
    "Activation",
    "Breaker",
    "Feature",
    "Heartbeat",
    "Hold",
    "HoldState",
    "IdempotencyKey",
    "LimitOverride",
    "PaymentEvent",
    "PaymentTransaction",
    "Plan",
    "PlanLimit",
    "PlanPrice",
    "Receipt",
    "ReceiptSequence",
    "Subscription",
    "SubscriptionEvent",
    "Throttle",
    "TrialMark",
    "Usage",
    "UsageCounter",
    "UsageEntry",
]
