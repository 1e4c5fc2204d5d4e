"""The log is the truth: folded from its first line, it gives the state of every payment."""

from __future__ import annotations

from django_tenant_billing.models import Activation, PaymentTransaction
from django_tenant_billing.states import may_move


def assert_log_folds_to_state(*of: PaymentTransaction) -> None:
    """Every status was reached by legal steps that are all in the log; exactly what was ever paid was activated.

    Of these payments; of all, where none is named.
    """
    found = PaymentTransaction.objects.prefetch_related("events")
    for payment in found.filter(pk__in=[one.pk for one in of]) if of else found:
        status, was_paid = "", False
        for event in payment.events.all():
            if event.kind == "started":
                status = event.to_status
            elif event.kind == "moved":
                assert event.from_status == status
                assert may_move(event.from_status, event.to_status)
                status = event.to_status
                was_paid |= status == "paid"
        assert status == payment.status
        assert Activation.objects.filter(payment=payment).exists() == was_paid
