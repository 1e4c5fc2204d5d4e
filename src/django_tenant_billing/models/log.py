"""The append-only log of payments: every attempt, claim, proof and step is one line, written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..masking import is_card, mask_cards
from .append_only import AppendOnlyModel, AppendOnlyQuerySet
from .payments import PaymentTransaction

WHOLE = frozenset({"pidx", "transaction_id", "transaction_code", "transaction_uuid", "ref_id", "amount_minor"})
"""Names of data that is kept whole where it is one word: what a gateway calls a payment finds and refunds it, and one
in ten ids of so many digits has the check digit of a card. A number with spaces or dashes is masked all the same."""


def short(value: Any, name: str = "") -> Any:
    """Scalars as they are; text and anything else cut to what a log line needs. No NUL: PostgreSQL refuses it.

    A number that could be a payment card's is masked, but for what is an id by its ``name``.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if name in WHOLE or not is_card(str(abs(value))) else mask_cards(str(value))
    # Cut before, for a gateway may write much, and behind: half a card number has no check digit.
    text = str(value)[:2000].replace("\x00", "")
    return (text if name in WHOLE and text.isalnum() else mask_cards(text))[:500]


class PaymentEventQuerySet(AppendOnlyQuerySet["PaymentEvent"]):
    def append(
        self,
        payment: PaymentTransaction | None,
        kind: PaymentEvent.Kind,
        *,
        gateway: str = "",
        reference: str = "",
        source: str = "",
        to: str = "",
        detail: str = "",
        actor: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one line, now. ``gateway`` and ``reference`` are for a claim that fits no payment."""
        self.create(
            payment=payment,
            reference=payment.reference if payment else reference,
            organization_key=payment.organization_key if payment else "",
            organization_name=payment.organization_name if payment else "",
            gateway=payment.gateway if payment else gateway,
            kind=kind,
            from_status=source,
            to_status=to,
            detail=mask_cards(detail)[:200],
            data={name: short(value, name) for name, value in (data or {}).items()},
            actor=actor[:200],
            at=clock.now(),
        )


class PaymentEvent(AppendOnlyModel):
    """One line of the log: an attempt, a claim, a proof, a step, a refusal. Written once, for ever.

    ``payment`` is NULL where a claim fits no payment of ours. No foreign key to the organization: the log outlives it.
    """

    class Kind(models.TextChoices):
        STARTED = "started", _("started")
        CLAIM = "claim", _("claim")
        ASKED = "asked", _("asked")
        PROOF = "proof", _("proof")
        NO_ANSWER = "no_answer", _("no answer")
        MOVED = "moved", _("moved")
        REFUSED = "refused", _("refused")

    payment = models.ForeignKey(
        PaymentTransaction, models.PROTECT, null=True, related_name="events", verbose_name=_("payment")
    )
    reference = models.CharField(_("reference"), max_length=20, blank=True)
    organization_key = models.CharField(_("organization key"), max_length=64, blank=True)
    organization_name = models.CharField(_("organization name"), max_length=200, blank=True)
    gateway = models.CharField(_("gateway"), max_length=50)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    from_status = models.CharField(_("from"), max_length=20, blank=True)
    to_status = models.CharField(_("to"), max_length=20, blank=True)
    detail = models.CharField(_("detail"), max_length=200, blank=True)
    data = models.JSONField(_("data"), default=dict)
    actor = models.CharField(_("actor"), max_length=200, blank=True)
    at = models.DateTimeField(_("at"))

    objects = PaymentEventQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("payment event")
        verbose_name_plural = _("payment events")

    def __str__(self) -> str:
        return f"{self.reference or '?'} - {self.kind} {self.to_status}".rstrip()
