"""The admin: limits are edited here and count from the next request; money and its log are only read."""

from .catalogue import FeatureAdmin, PlanAdmin, PlanLimitAdmin
from .gateways import BreakerAdmin
from .organizations import (
    HoldAdmin,
    LimitOverrideAdmin,
    UsageAdmin,
    UsageEntryAdmin,
)
from .payments import ActivationAdmin, PaymentEventAdmin, PaymentTransactionAdmin
from .receipts import ReceiptAdmin
from .subscriptions import SubscriptionAdmin, SubscriptionEventAdmin

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
