"""The form of an act on a payment: what is done, and why."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import payments
from ..exceptions import Busy, GatewayError, NotForSale, NotInReview, NotRecordable, NotRefundable
from ..models import PaymentTransaction
from ..money import to_minor

ACTS = (
    ("verify", gettext_lazy("Ask the gateway now")),
    ("record", gettext_lazy("Record that the money came")),
    ("refund", gettext_lazy("Send the money back")),
    ("apply_review", gettext_lazy("Apply it, though it was in doubt")),
    ("dismiss_review", gettext_lazy("Close the review; nothing is applied")),
)


REFUSALS = (Busy, NotRecordable, NotRefundable, NotInReview, NotForSale, GatewayError)
"""What an act may answer instead of being done."""


class PaymentActForm(forms.Form):
    """What is done about a payment, and why."""

    act = forms.ChoiceField(label=gettext_lazy("Act"), choices=ACTS)
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"), required=False, min_value=0, decimal_places=2, max_digits=15,
        help_text=gettext_lazy("Of a refund: empty sends all of it back. Of money that came: what came."),
    )  # fmt: skip
    number = forms.CharField(
        label=gettext_lazy("Number"), required=False, max_length=100,
        help_text=gettext_lazy("Of the bank's slip or the receipt, where money came."),
    )  # fmt: skip
    days = forms.IntegerField(
        label=gettext_lazy("Days"), required=False, min_value=1, max_value=payments.MOST_DAYS,
        help_text=gettext_lazy("Of applying: so many days of the plan; empty gives what was ordered."),
    )  # fmt: skip
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def clean(self) -> None:
        super().clean()
        for name in ("amount", "number"):
            if self.cleaned_data.get("act") == "record" and not self.cleaned_data.get(name) and name not in self.errors:
                self.add_error(name, _("Of money that came this is needed."))

    def run(self, payment: PaymentTransaction, actor: str) -> PaymentTransaction:
        """Do it. Raises NotRecordable, NotRefundable, NotInReview, NotForSale, GatewayError."""
        act, amount, reason = (self.cleaned_data[name] for name in ("act", "amount", "reason"))
        if act == "verify":
            return payments.verify(payment, actor=f"{actor}: {reason}")
        if act == "record":
            number = self.cleaned_data["number"]
            return payments.record(payment, amount_minor=to_minor(amount), number=number, actor=actor, reason=reason)
        if act == "refund":
            part = None if amount is None else to_minor(amount)
            return payments.refund(payment, part, actor=actor, reason=reason)
        if act == "apply_review":
            return payments.apply_review(payment, actor=actor, reason=reason, days=self.cleaned_data["days"])
        return payments.dismiss_review(payment, actor=actor, reason=reason)
