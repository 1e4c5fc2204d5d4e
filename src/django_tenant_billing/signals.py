"""Signals, all sent after commit and robustly: a raising receiver never hides a success."""

from __future__ import annotations

from django.dispatch import Signal

# Arguments: payment. The organization is on the plan it paid for.
plan_activated = Signal()

# Arguments: payment. Money came that a person has to look at (payment.detail says why).
payment_needs_review = Signal()

# Arguments: payment. Its money went back, all or a part (payment.status, payment.refunded_minor).
payment_refunded = Signal()

# Arguments: subscription, event (a SubscriptionEvent: what changed, when, by whom and why). Sent for each line of the
# history of a subscription.
subscription_changed = Signal()

# Arguments: organization, decision, percent. Counting or reserving went past 60, 80 or 100 percent of the limit. Sent
# once for each crossing; only while a receiver is connected does finding it cost a read.
usage_warning = Signal()

# Arguments: payment (None where it fits none of ours), gateway, reason. Something that no honest payer does: a bad
# signature, somebody else's reference, a burst of callbacks. payment.suspicion keeps the gravest
# reason. Sent when that changes, and once a minute where there is no payment; every time is a line of the log.
suspicious_payment = Signal()
