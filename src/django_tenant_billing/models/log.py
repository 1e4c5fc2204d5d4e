"""The append-only log of payments: every attempt, claim, proof and step is one line, written once."""

from __future__ import annotations

import json
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

LONGEST = 4000
"""Of all that one line tells, in bytes of JSON."""


def short(value: Any, name: str = "") -> Any:
    """Scalars as they are; text and anything else cut to what a log line needs. No NUL and no half of a surrogate pair,
    which JSON can bring: PostgreSQL refuses both.

    A number that could be a payment card's is masked, but for what is an id by its ``name``.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if name in WHOLE or not is_card(str(abs(value))) else mask_cards(str(value))
    # Cut before, for a gateway may write much, and behind: half a card number has no check digit.
    text = str(value)[:2000].replace("\x00", "").encode(errors="replace").decode()
    return (text if name in WHOLE and text.isalnum() else mask_cards(text))[:500]


def _facts(data: Mapping[str, Any], *, claimed: bool) -> dict[str, Any]:
    """As much of it as one line may tell; what a browser claimed is no id that anybody needs."""
    facts: dict[str, Any] = {}
    for name, value in data.items():
        more = {**facts, short(name)[:50]: short(value, "" if claimed else name)}
        if len(json.dumps(more, ensure_ascii=False).encode()) > LONGEST:
            break
        facts = more
    return facts


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
            reference=payment.reference if payment else mask_cards(reference),
            organization_key=payment.organization_key if payment else "",
            organization_name=payment.organization_name if payment else "",
            gateway=payment.gateway if payment else gateway,
            kind=kind,
            from_status=source,
            to_status=to,
            detail=short(detail)[:200],
            data=_facts(data or {}, claimed=kind == PaymentEvent.Kind.CLAIM),
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
