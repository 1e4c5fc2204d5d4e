"""Payments with their logs and what they gave, in batches: a million of them need no more memory than one batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from ..models import Activation, PaymentEvent, PaymentTransaction, Receipt, SubscriptionEvent
from ..models.purchases import CHANGES
from .folding import Line, Story, fold

BATCH = 500

COLUMNS = (
    "payment_id", "kind", "from_status", "to_status", "detail", "actor", "data", "at", "reference", "gateway",
)  # fmt: skip

Kind = PaymentEvent.Kind
TOLD = (Kind.STARTED, Kind.MOVED, Kind.PROOF, Kind.NO_ANSWER)
"""Lines that something follows from. Of claims there may be any number: a browser writes them."""


@dataclass(frozen=True, slots=True)
class Case:
    """One payment and all that is known of it."""

    payment: PaymentTransaction
    lines: list[Line]
    story: Story
    activation: Activation | None
    receipt: Receipt | None
    bought: int
    """How often the history of subscriptions says that it bought something."""


def cases(using: str) -> Iterator[Case]:
    """Every payment, oldest first. Of one that changes meanwhile, the log may be newer than the row."""
    latest = 0
    while batch := list(_payments(using).filter(pk__gt=latest).order_by("pk")[:BATCH]):
        latest = batch[-1].pk
        yield from _read(using, batch)


def case_of(using: str, key: int) -> list[Case]:
    """One payment as it stood at one moment, while others work on it; empty where it is gone.

    Row and log are written in one commit, so they belong together if the row did not change while the log was read.
    """
    this = _payments(using).filter(pk=key)
    while True:
        found = list(_read(using, list(this.all())))
        if list(this.values_list("updated_at", flat=True)) == [case.payment.updated_at for case in found]:
            return found


def _payments(using: str) -> QuerySet[PaymentTransaction]:
    return PaymentTransaction.objects.using(using)


def _read(using: str, batch: Sequence[PaymentTransaction]) -> Iterator[Case]:
    if not batch:
        return
    span = {"payment_id__gte": batch[0].pk, "payment_id__lte": batch[-1].pk}
    lines: dict[int, list[Line]] = defaultdict(list)
    told = PaymentEvent.objects.using(using).filter(**span, kind__in=TOLD).order_by("payment_id", "pk")
    for row in told.values_list(*COLUMNS).iterator(chunk_size=BATCH):
        lines[row[0]].append(Line(*row))
    activations = {found.payment_id: found for found in Activation.objects.using(using).filter(**span)}
    receipts = {found.payment_id: found for found in Receipt.objects.using(using).filter(**span)}
    history = SubscriptionEvent.objects.using(using).filter(**span, change__in=set(CHANGES.values()))
    bought = Counter(history.order_by().values_list("payment_id", flat=True))
    for payment in batch:
        own = lines[payment.pk]
        given, receipt = activations.get(payment.pk), receipts.get(payment.pk)
        yield Case(payment, own, fold(own), given, receipt, bought[payment.pk])
