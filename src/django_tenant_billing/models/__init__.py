"""The tables. What one aggregate decides about itself is a method here; what crosses to another is a service."""

from .log import PaymentEvent
from .payments import Activation, PaymentTransaction
from .plans import Feature, Plan, PlanLimit, PlanPrice
from .subscriptions import Subscription
from .usage import Usage, UsageCounter

__all__ = [
    "Activation",
    "Feature",
    "PaymentEvent",
    "PaymentTransaction",
    "Plan",
    "PlanLimit",
    "PlanPrice",
    "Subscription",
    "Usage",
    "UsageCounter",
]
