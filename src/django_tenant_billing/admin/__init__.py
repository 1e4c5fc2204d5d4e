"""The admin: limits are edited here and count from the next request; money and its log are only read."""

from .catalogue import FeatureAdmin, PlanAdmin, PlanLimitAdmin
from .gateways import BreakerAdmin
from .logs import ActivationAdmin, PaymentEventAdmin, SubscriptionEventAdmin
from .organizations import (
    HoldAdmin,
    LimitOverrideAdmin,
    UsageAdmin,
    UsageEntryAdmin,
)
from .payments import PaymentTransactionAdmin
from .receipts import ReceiptAdmin
from .subscriptions import SubscriptionAdmin

__all__ = [
    "ActivationAdmin",
    "BreakerAdmin",
    "FeatureAdmin",
    "HoldAdmin",
    "LimitOverrideAdmin",
    "PaymentEventAdmin",
    "PaymentTransactionAdmin",
    "PlanAdmin",
    "PlanLimitAdmin",
    "ReceiptAdmin",
    "SubscriptionAdmin",
    "SubscriptionEventAdmin",
    "UsageAdmin",
    "UsageEntryAdmin",
]
