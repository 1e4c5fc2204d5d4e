"""Every place where a secret could come to light, searched while a site fails in every way there is."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.http import HttpRequest
from django.test import Client, override_settings
from django.views.debug import ExceptionReporter

from tests.servers import shown


class Sinks:
    """Searches texts as they come; ``found`` tells what was seen of which secret, and where."""

    def __init__(
        self, secrets: Collection[str], log: pytest.LogCaptureFixture, output: pytest.CaptureFixture[str]
    ) -> None:
        self.secrets = secrets
        self.searched: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self._log, self._output = log, output

    def search(self, place: str, text: object) -> None:
        self.searched[place] += 1
        self.found[place] += sum(secret in str(text) for secret in self.secrets)

    def error(self, error: BaseException, request: HttpRequest | None = None) -> None:
        """All that error pages, reporters and pickles could show of it, of what it came from, and of their frames."""
        for place, text in shown(error, self._log).items():
            if place != "log":
                self.search(place.replace("context", "error").replace("cause", "error"), text)
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            self.search("pickle", pickle.dumps(error))
        for link in chain_of(error):
            for name, value in locals_of(link.__traceback__):
                self.search("a reporter's frames", f"{name}={value}")
        for debug in (True, False) if request is not None else ():
            with override_settings(DEBUG=debug):
                reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
                self.search("html page of a request", reporter.get_traceback_html())
                self.search("text page of a request", reporter.get_traceback_text())

    def records(self) -> None:
        """What was logged and printed since the last time, with the frames of the errors that were logged with it."""
        for record in self._log.records:
            self.search(f"log of {record.name.split('.')[0]}", (record.getMessage(), vars(record)))
            if record.exc_info is not None and record.exc_info[1] is not None:
                for name, value in locals_of(record.exc_info[2]):
                    self.search("a reporter's frames", f"{name}={value}")
        self._log.clear()
        for place, text in zip(("stdout", "stderr"), self._output.readouterr(), strict=True):
            self.search(place, text)

    def rows(self) -> None:
        """Every row of every table of ours."""
        for model in apps.get_app_config("tenant_billing").get_models():
            self.search("rows", list(model._default_manager.values()))

    def answer(self, place: str, answer: Any) -> None:
        self.search(place, (answer.headers, answer.content.decode()))

    def pages(self, client: Client) -> None:
        """The pages and the JSON of an organization."""
        for path in ("", "plans/", "payments/", "checkout/?plan=PRO"):
            self.answer("pages", client.get(f"/billing/{path}"))
        for path in ("usage/", "subscription/"):
            self.answer("JSON", client.get(f"/billing/{path}"))

    def admin(self, staff: Client) -> None:
        """The lists of payments and of their log, and the pages of the latest of them."""
        for name in ("paymenttransaction", "paymentevent"):
            path = f"/admin/tenant_billing/{name}/"
            self.answer("admin", staff.get(path))
            for row in apps.get_model("tenant_billing", name)._default_manager.order_by("-pk")[:5]:
                self.answer("admin", staff.get(f"{path}{row.pk}/change/"))

    def kept(self) -> None:
        """What is in the cache."""
        self.search("cache", vars(cache._connections[cache._alias]))  # type: ignore[attr-defined]

    @property
    def places(self) -> set[str]:
        """Where a secret was found."""
        return {place for place, times in self.found.items() if times}


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came from, whether by ``from`` or by chance."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def locals_of(traceback: TracebackType | None) -> Iterator[tuple[str, str]]:
    """Every local variable of every frame, as reporters of errors send them."""
    while traceback is not None:
        for name, value in list(traceback.tb_frame.f_locals.items()):
            yield name, repr(value)
        traceback = traceback.tb_next
