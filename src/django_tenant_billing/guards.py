"""``QuotaGuardedModel``: a model whose rows count themselves, whoever inserts or deletes them.

What Django does without an instance is not counted: ``loaddata`` and other raw saves, ``QuerySet.update()``, SQL, data
migrations, database cascades, and moving a row to another organization, from none or to none, by changing what leads to
it. After those run ``manage.py recount_usage``. Rows and counters are one transaction where they are in one database.
A view or form that saves guarded rows needs no guard of the same feature: that would count twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

from django.core.checks import CheckMessage, Error
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, router, transaction
from django.db.models.signals import class_prepared, post_delete, post_save, pre_delete

from . import owners, quotas
from .exceptions import QuotaExceeded

__all__ = ["QuotaGuardedModel", "QuotaGuardedQuerySet", "as_form_error"]

Row = TypeVar("Row", bound=models.Model)


class QuotaGuardedQuerySet(models.QuerySet[Row]):
    """Counts what ``bulk_create`` inserts and ``delete`` removes, in one statement per organization and feature."""

    def bulk_create(
        self,
        objs: Iterable[Row],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        update_conflicts: bool = False,  # noqa: FBT001, FBT002
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> list[Row]:
        """All rows and their units, or nothing. Raises QuotaExceeded, and ValueError for the options on conflicts."""
        if ignore_conflicts or update_conflicts:
            raise ValueError(
                "bulk_create() of a guarded model takes neither ignore_conflicts nor update_conflicts: nobody could "
                "count how many of the rows are new. Look up which exist, and bulk_create() the others."
            )
        rows = list(objs)
        feature, amounts = owners.guard_of(self.model).feature, owners.amounts_of(rows)
        for organization, amount in amounts:
            quotas.enter(organization, feature, amount)
        self._for_write = True
        with transaction.atomic(using=self.db):
            created = super().bulk_create(rows, batch_size, update_fields=update_fields, unique_fields=unique_fields)
            for organization, amount in amounts:
                quotas.consume(organization, feature, amount)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's; what the rows, and guarded rows that go with them, were counted for is given back at the end."""
        self._for_write = True
        with transaction.atomic(using=self.db):
            # The signals of this delete name this queryset as their origin, and find both there.
            self._quota_owners = owners.stored_owners(self.model, self.db, self.order_by().values("pk"))
            self._quota_released: Counter[tuple[str, Any]] = Counter()
            deleted = super().delete()
            for feature, owner in sorted(self._quota_released, key=str):
                quotas.release_gone(owner, feature, self._quota_released[feature, owner])
        return deleted


class QuotaGuardedModel(models.Model):
    """Base of a model whose rows are what a feature counts. Set ``quota_feature``.

    Inserting a row consumes one unit in the insert's transaction, counted last; a failed insert costs nothing.
    Raises QuotaExceeded, UnknownFeature. Updating is free. Deleting gives back a unit of a feature that exists; one
    that happens stays counted. A delete never fails because less is counted than there was. ``full_clean``, so every
    ModelForm and the admin, says beside a form's other errors that there is no room.

    Multi-table children and proxies are counted as the row of their parent that they are. A row that leads to no
    organization (a NULL on the way) is not counted.
    """

    quota_feature: ClassVar[str]
    """Slug of the feature that counts these rows."""
    quota_organization: ClassVar[str] = "organization"
    """The foreign key that leads to the organization, or a path of them such as ``"project__organization"``."""

    _quota_created = False

    objects = QuotaGuardedQuerySet.as_manager()

    class Meta:
        abstract = True

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        return [*super().check(**kwargs), *owners.problems_of(cls), *_unguarded_managers(cls)]

    def full_clean(self, *args: Any, **kwargs: Any) -> None:
        errors: dict[str, list[ValidationError]] = {}
        try:
            self._enter_quota(router.db_for_write(type(self), instance=self))
        except QuotaExceeded as error:
            errors = {NON_FIELD_ERRORS: [as_form_error(error)]}
        try:
            super().full_clean(*args, **kwargs)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        if errors:
            raise ValidationError(errors)

    def save_base(
        self,
        raw: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        force_insert: Any = False,  # noqa: FBT002
        force_update: bool = False,  # noqa: FBT001, FBT002
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        if raw or force_update or update_fields:
            super().save_base(raw, force_insert, force_update, using, update_fields)
            return
        using = using or router.db_for_write(type(self), instance=self)
        guard = owners.guard_of(type(self))
        # A multi-table child may be added to a parent's row that is counted already.
        extends = guard.root is not self._meta.concrete_model and self._is_stored(using)
        if not extends:
            self._enter_quota(using)
        # Only the signal knows whether Django inserted or updated; a receiver may save the row once more meanwhile.
        outer, self._quota_created = self._quota_created, False
        try:
            with transaction.atomic(using=using):
                super().save_base(raw, force_insert, force_update, using, update_fields)
                owner = owners.owner_of(self) if self._quota_created and not extends else None
                if owner is not None:
                    quotas.consume(owner, guard.feature, subject=self)
        finally:
            self._quota_created = outer

    def _enter_quota(self, using: str) -> None:
        """The check before a row that seems new is inserted. Raises QuotaExceeded."""
        if not self._state.adding and self.pk is not None:
            return
        owner = owners.owner_of(self)
        if owner is None:
            return
        try:
            quotas.enter(owner, owners.guard_of(type(self)).feature)
        except QuotaExceeded:
            # Saving under a key that is there already is an update, which is free.
            if not self._is_stored(using):
                raise

    def _is_stored(self, using: str) -> bool:
        root = owners.guard_of(type(self)).root
        key = self.pk if self.pk is not None else getattr(self, root._meta.pk.attname)
        return key is not None and root._base_manager.using(using).filter(pk=key).exists()


def as_form_error(error: QuotaExceeded) -> ValidationError:
    """The refusal as a form says it; its code is the decision's reason, such as ``limit_reached``."""
    return ValidationError(error.decision.message, code=error.decision.reason.value)


def _unguarded_managers(model: type[models.Model]) -> Iterator[Error]:
    for manager in model._meta.managers:
        if not isinstance(manager.get_queryset(), QuotaGuardedQuerySet):
            yield Error(
                f"{model._meta.label}.{manager.name}.bulk_create() would count nothing.",
                "Let its queryset inherit from QuotaGuardedQuerySet: Manager.from_queryset(QuotaGuardedQuerySet)()",
                obj=model,
                id="tenant_billing.E023",
            )


def _note_insert(instance: QuotaGuardedModel, created: bool, raw: bool, **_kwargs: Any) -> None:  # noqa: FBT001
    if created and not raw:
        instance._quota_created = True


def _note_owner(sender: type[models.Model], instance: models.Model, using: str, origin: Any, **_kwargs: Any) -> None:
    """Before a delete: find whose row it is, and lock it."""
    notes = _notes(origin, instance)
    key = (owners.guard_of(sender).root, instance.pk)
    # What another delete of the same instance left behind, which failed, is not to be believed.
    if not (hasattr(origin, "_quota_released") and key in notes):
        notes[key] = owners.stored_owners(sender, using, [instance.pk]).get(key)


def _release(sender: type[models.Model], instance: models.Model, origin: Any, **_kwargs: Any) -> None:
    """After a delete: give back. Once, though Django announces a row that was collected as two classes twice."""
    guard = owners.guard_of(sender)
    owner = _notes(origin, instance).pop((guard.root, instance.pk), None)
    if owner is None:
        return
    if hasattr(origin, "_quota_released"):
        origin._quota_released[guard.feature, owner] += 1
    else:
        quotas.release_gone(owner, guard.feature, 1)


def _notes(origin: Any, instance: models.Model) -> dict[Any, Any]:
    """What one delete knows, kept on what it started from: the instance or queryset that every signal of it names."""
    notes: dict[Any, Any] = vars(instance if origin is None else origin).setdefault("_quota_owners", {})
    return notes


def _connect(sender: type[models.Model], **_kwargs: Any) -> None:
    if not issubclass(sender, QuotaGuardedModel):
        return
    post_save.connect(_note_insert, sender=sender)
    # Deleting a multi-table child announces its parent too.
    if sender._meta.concrete_model is owners.root_of(sender):
        pre_delete.connect(_note_owner, sender=sender)
        post_delete.connect(_release, sender=sender)


class_prepared.connect(_connect)
