"""The description of the JSON, as OpenAPI 3.1, for the address that it is served at."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from .endpoints import json_view

DOCUMENT = Path(__file__).parents[1] / "openapi.json"
HERE = "/api/openapi.json"
"""Where it lies under the include."""


@json_view("GET", revalidated=True)
def openapi(request: HttpRequest) -> HttpResponse:
    """``GET api/openapi.json``: for everybody, since it tells nothing of any organization."""
    return JsonResponse({**_document(), "servers": [{"url": request.path.removesuffix(HERE) or "/"}]})


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return document
