"""From a guarded row to the organization it is counted for: what its class says, where it leads, what is stored.

Below ``guards.py``, whose models these functions read by their two class attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from django.core.checks import Error
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ObjectDoesNotExist
from django.db.models import ForeignKey, Model, OuterRef, Subquery

from .conf import conf


class Guard(NamedTuple):
    """What a class says of its rows, checked."""

    feature: str
    path: list[str]
    """Foreign keys from the row to its organization."""
    root: type[Model]
    """The topmost guarded model, whose table holds one row for each unit."""


@cache
def guard_of(model: Any) -> Guard:
    """Raises ImproperlyConfigured for a class whose rows could not be counted: the checks may not have run."""
    for problem in problems_of(model):
        raise ImproperlyConfigured(f"{problem.msg} {problem.hint}")
    return Guard(model.quota_feature, model.quota_organization.split("__"), root_of(model))


def guarded_tables(model: type[Model]) -> list[Any]:
    """The concrete guarded classes that a row of this model is a row of, its own first."""
    guarded: list[Any] = [base for base in model.__mro__ if hasattr(base, "quota_organization")]
    return [base for base in guarded if not base._meta.abstract]


def root_of(model: type[Model]) -> type[Model]:
    """The model whose table holds one row for each unit."""
    root: type[Model] = guarded_tables(model)[-1]
    return root


def problems_of(model: Any) -> Iterator[Error]:
    """Why rows of this guarded class could not be counted; the hint says what to write."""
    feature, path = getattr(model, "quota_feature", None), model.quota_organization
    if not feature:
        yield Error(
            f"{model._meta.label} does not say which feature counts its rows.",
            'Write in the class: quota_feature = "the slug of a feature"',
            obj=model,
            id="tenant_billing.E020",
        )
    if not _leads_to_organization(model, path):
        yield Error(
            f"{model._meta.label}: quota_organization = {path!r} does not lead to {conf.organization_model}.",
            'Name its foreign key to the organization, or a path of foreign keys such as "project__organization".',
            obj=model,
            id="tenant_billing.E021",
        )
    root: Any = root_of(model)
    same = (feature, path) == (getattr(root, "quota_feature", None), root.quota_organization)
    if not same or not all(issubclass(table, root) for table in guarded_tables(model)):
        yield Error(
            f"{model._meta.label} is also a row of {root._meta.label}, and is counted as that.",
            "Leave quota_feature and quota_organization to the parent, and inherit from one guarded model only.",
            obj=model,
            id="tenant_billing.E022",
        )


def _leads_to_organization(model: Any, path: str) -> bool:
    for name in path.split("__"):
        try:
            field = model._meta.get_field(name)
        except (FieldDoesNotExist, AttributeError):  # the latter: a model that is not installed stays text
            return False
        if not isinstance(field, ForeignKey):
            return False
        model = field.related_model
    labels = [base._meta.label_lower for base in getattr(model, "__mro__", ()) if hasattr(base, "_meta")]
    return conf.organization_model.lower() in labels


def owner_of(row: Model) -> Model | None:
    """The organization that a row leads to; None where the way ends before."""
    found: Any = row
    for name in guard_of(type(row)).path:
        try:
            found = getattr(found, name, None)
        except ObjectDoesNotExist:
            return None
    return found if found is not None and found.pk is not None else None


def amounts_of(rows: Iterable[Model]) -> list[tuple[Model, int]]:
    """Organizations and how many of the rows are theirs, in the order in which everybody locks their counters."""
    owners: dict[Any, Model | None] = {}
    amounts: dict[Any, tuple[Model, int]] = {}
    for row in rows:
        first: Any = row._meta.get_field(guard_of(type(row)).path[0])
        key = getattr(row, first.attname)
        if key is None or key not in owners:
            owners[key] = owner_of(row)
        owner = owners[key]
        if owner is not None:
            amounts[owner.pk] = (owner, amounts.get(owner.pk, (owner, 0))[1] + 1)
    return [amounts[key] for key in sorted(amounts, key=str)]


def stored_owners(model: type[Model], using: str, keys: Any) -> dict[Any, Any]:
    """``{(root, key of a row): key of its organization}`` as stored, whatever an instance in memory says.

    Locks the rows: of two who delete the same row, the second finds it gone.
    """
    guard = guard_of(model)
    rows = guard.root._base_manager.using(using)
    # A subquery, not a join: the lock is for these rows alone.
    owner = Subquery(rows.filter(pk=OuterRef("pk")).values("__".join([*guard.path, "pk"])))
    locked = rows.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk", owner)
    return {(guard.root, key): owner for key, owner in locked}
