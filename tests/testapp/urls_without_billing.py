"""A site that uses quotas alone."""

from __future__ import annotations

from . import views

urlpatterns = views.urlpatterns
