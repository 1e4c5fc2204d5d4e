"""Idempotency keys: the first answer to a key is the answer, denials included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import Model

from .. import clock
from ..decisions import Decision
from ..exceptions import KeyReused, QuotaExceeded
from ..models import IdempotencyKey, Usage

MAX_KEY = 100


class Answer(NamedTuple):
    """What was answered, as JSON values; whether now or before; whether it was given back since."""

    values: dict[str, Any]
    replayed: bool
    released: bool


def once(organization: Model, key: str, body: dict[str, Any], act: Callable[[], dict[str, Any]]) -> Answer:
    """What ``act`` answers, the first time; the stored answer from then on. Key and count are one commit.

    Outside a transaction a denial is kept too; inside one it lives and dies with it. Raises QuotaExceeded as the first
    time, KeyReused where ``body`` is another one, ValueError for a key that is not 1 to 100 printable characters.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise ValueError(f"An idempotency key is text of 1 to {MAX_KEY} printable characters, not {key!r}.")
    with transaction.atomic(using=router.db_for_write(IdempotencyKey)):
        # One request with a key at a time: the second of two finds the first one's answer.
        Usage.objects.lock(organization.pk)
        rows = IdempotencyKey.objects.using(router.db_for_write(IdempotencyKey))
        found = rows.filter(organization_id=organization.pk, key=key).first()
        replayed = found is not None
        if found is None:
            try:
                answer = {"granted": act()}
            except QuotaExceeded as error:
                answer = {"denied": error.decision.pack()}
            found = rows.create(
                organization_id=organization.pk, key=key, body=body, answer=answer, created_at=clock.now()
            )
        elif found.key != key or found.body != body:  # MariaDB takes "k", "K" and "k " for the same key
            raise KeyReused(key)
    if "denied" in found.answer:
        raise QuotaExceeded(Decision.unpack(found.answer["denied"]))
    return Answer(found.answer["granted"], replayed, found.released_at is not None)
