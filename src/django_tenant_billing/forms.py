"""``QuotaFormMixin``: a form that checks its quota with its fields and counts with its ``save()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.forms.models import BaseModelForm

from . import quotas
from .exceptions import QuotaExceeded
from .guards import QuotaGuardedModel, as_form_error
from .organizations import organization_model

__all__ = ["QuotaFormMixin"]


class QuotaFormMixin:
    """Put it before the form's own class, set ``quota_feature``, and pass ``organization=`` when making the form.

    Validation says that there is no room as an error of the form. ``save()``, the site's own from its first line to
    its last, and its count are one transaction; it raises QuotaExceeded when somebody else took the last unit since.
    A ModelForm of a row that exists checks and counts nothing. ``save(commit=False)`` counts nothing: save the
    instance inside ``quotas.consuming(form.organization, ...)``. The view needs no guard of its own.

    Raises ImproperlyConfigured for a form that is not set up so, or whose model counts the same rows itself.
    """

    quota_feature: str
    quota_amount: int = 1

    def __init__(self, *args: Any, organization: Model | None = None, **kwargs: Any) -> None:
        name = type(self).__name__
        if not getattr(self, "quota_feature", None):
            raise ImproperlyConfigured(f'{name} needs quota_feature = "the slug of a feature".')
        if not isinstance(organization, organization_model()):
            raise ImproperlyConfigured(
                f"{name} needs the organization it counts for: {name}(..., organization=request.organization). In a "
                "form view, return it from get_form_kwargs()."
            )
        self.organization: Any = organization  # the site's own model
        super().__init__(*args, **kwargs)
        instance = getattr(self, "instance", None)
        if isinstance(instance, QuotaGuardedModel) and instance.quota_feature == self.quota_feature:
            raise ImproperlyConfigured(
                f"{name} would count {self.quota_feature!r} twice: {type(instance).__name__} counts its own rows. "
                "Leave QuotaFormMixin out."
            )
        save = getattr(self, "save", None)
        if save is None:
            raise ImproperlyConfigured(f"{name} needs a save() method: its work is what is counted.")
        # On the instance, so that a site's own save() is inside the transaction from its first line to its last.
        setattr(self, "save", self._counted(save))  # noqa: B010 - a mixin declares no save

    def clean(self) -> Any:
        cleaned = super().clean()  # type: ignore[misc]
        if self._makes_something():
            try:
                quotas.enter(self.organization, self.quota_feature, self.quota_amount)
            except QuotaExceeded as error:
                self.add_error(None, as_form_error(error))  # type: ignore[attr-defined]
        return cleaned

    def _makes_something(self) -> bool:
        instance = getattr(self, "instance", None)
        return instance is None or bool(instance._state.adding)

    def _counted(self, save: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            commit = kwargs.get("commit", args[0] if args and isinstance(self, BaseModelForm) else True)
            if not commit or not self._makes_something():
                return save(*args, **kwargs)
            with quotas.consuming(self.organization, self.quota_feature, self.quota_amount):
                return save(*args, **kwargs)

        counted.alters_data = True  # type: ignore[attr-defined] # as Django marks save(): templates must not call it
        return counted
