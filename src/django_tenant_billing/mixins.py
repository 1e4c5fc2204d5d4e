"""``QuotaRequiredMixin``: the guard of class-based views, exact through a kill where there is a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

from . import asking, quotas, refusals
from .decorators import quota_required, succeeded
from .exceptions import QuotaExceeded


class QuotaRequiredMixin:
    """Put it before the view's own class and set ``quota_feature``.

    A view with a form checks on every request and consumes in ``form_valid``, in one transaction with what it saves:
    an invalid form costs nothing, and rows and count are kept or lost together, also when ``form_valid`` answers 400
    or above. A view without a form is guarded as by ``@quota_required``.
    """

    quota_feature: str
    quota_amount: int = 1

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not getattr(self, "quota_feature", None):
            raise ImproperlyConfigured(f'{type(self).__name__} needs quota_feature = "the slug of a feature".')
        view: Callable[..., Any] = super().dispatch  # type: ignore[misc]
        if hasattr(self, "form_valid"):
            return self._dispatch_form(view, request, *args, **kwargs)
        if getattr(self, "view_is_async", False):

            async def awaiting(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                return await view(request, *args, **kwargs)

            return quota_required(self.quota_feature, self.quota_amount)(awaiting)(request, *args, **kwargs)
        return quota_required(self.quota_feature, self.quota_amount)(view)(request, *args, **kwargs)

    def _dispatch_form(self, view: Callable[..., Any], request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        organization = refusals.admit(request, json=refusals.prefers_json(request))
        if not isinstance(organization, Model):
            return organization
        # On the instance, so that a site's own form_valid is inside the transaction from its first line to its last.
        counted = self._counted(request, organization, getattr(self, "form_valid"))  # noqa: B009 - a mixin declares no form_valid
        setattr(self, "form_valid", counted)  # noqa: B010 - nor types it, or super().form_valid() would be Any
        try:
            asking.entering(request, organization, self.quota_feature, self.quota_amount)
            return view(request, *args, **kwargs)
        except QuotaExceeded as error:
            return refusals.quota_exceeded(request, error.decision)

    def _counted(
        self, request: HttpRequest, organization: Model, form_valid: Callable[..., HttpResponseBase]
    ) -> Callable[..., HttpResponseBase]:
        def counted(*args: Any, **kwargs: Any) -> HttpResponseBase:
            asking.forget(request, organization, self.quota_feature)
            try:
                with quotas.counting(organization, self.quota_feature, self.quota_amount, actor=request.user):
                    response = form_valid(*args, **kwargs)
                    if not succeeded(response):
                        raise _WorkRefused(response)
            except _WorkRefused as refused:
                return refused.response
            return response

        return counted


class _WorkRefused(Exception):
    """Takes the site's own refusal out through the transaction, which rolls back."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response
