"""Optional: QuotaExceeded raised anywhere in a view becomes the contract's 403."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from . import refusals
from .exceptions import QuotaExceeded


class QuotaExceededMiddleware(MiddlewareMixin):
    """Add it last to MIDDLEWARE. The decorator and the mixin need none."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, QuotaExceeded):
            return refusals.quota_exceeded(request, exception.decision)
        return None
