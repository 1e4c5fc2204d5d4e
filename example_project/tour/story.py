"""Tells what happens over HTTP, step by step: the request as it is sent, the answer as it comes."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import Any
from urllib.parse import urlencode

import requests
from django.core.management.base import OutputWrapper
from django.core.management.color import Style

from .pages import Page

WIDTH = min(shutil.get_terminal_size((100, 24)).columns, 100)
SECONDS = 20


class TourStopped(Exception):
    """Something answered otherwise than the story says."""


class Story:
    """Every request is printed, sent without cookies or redirects of its own, and must get the expected status."""

    def __init__(self, stdout: OutputWrapper, style: Style) -> None:
        self._stdout = stdout
        self._style = style
        self._step = 0
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy could not reach this machine

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self.tell()
        for line in textwrap.wrap(f"{self._step}. {text}", WIDTH, subsequent_indent="   "):
            self.tell(self._style.MIGRATE_HEADING(line))

    def tell(self, text: str = "") -> None:
        self._stdout.write(text)

    def ask(
        self,
        method: str,
        url: str,
        expected: int,
        *,
        token: str = "",
        body: dict[str, Any] | None = None,
        form: dict[str, str] | None = None,
        brief: bool = False,
    ) -> requests.Response:
        """Send one request and tell of it; ``brief`` leaves out the bodies. Raises TourStopped."""
        self._session.cookies.clear()
        if not brief:
            self._show_request(method, url, token, body, form)
        try:
            answer = self._session.request(
                method,
                url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                json=body,
                data=form,
                timeout=SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise TourStopped(f"Step {self._step}: {method} {url}\ngot no answer: {error}") from error
        style = self._style.SUCCESS if answer.status_code < 400 else self._style.WARNING
        status = f"{answer.status_code} {answer.reason}"
        self.show(f"{method} {url}  {status}" if brief else status, style)
        if answer.status_code != expected:
            asked = f"{method} {url}\nanswered {status}, not {expected}"
            raise TourStopped(f"Step {self._step}: {asked}:\n\n{answer.text[:2000]}")
        if not brief:
            self._show_answer(answer)
        return answer

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Raises TourStopped where the story would be wrong."""
        if found != wanted:
            raise TourStopped(f"Step {self._step}: {what} is {found!r}, not {wanted!r}.")

    def _show_request(
        self, method: str, url: str, token: str, body: dict[str, Any] | None, form: dict[str, str] | None
    ) -> None:
        self.tell()
        self.show(f"{method} {url}", self._style.HTTP_INFO)
        if token:
            self.show(f"Authorization: Bearer {token[:6]}...")
        if body is not None:
            self.show(json.dumps(body))
        if form is not None:
            self.show(urlencode(form))
        self.tell()

    def _show_answer(self, answer: requests.Response) -> None:
        if "Location" in answer.headers:
            self.show(f"Location: {answer.headers['Location']}")
        elif answer.headers["Content-Type"].startswith("application/json"):
            for line in json_lines(answer.json()):
                self.show(line)
        else:
            for line in Page(answer.text).lines:
                self.show(line)

    def show(self, text: str, style: Any = str) -> None:
        """Print a line of a request or an answer, indented and wrapped."""
        indent = " " * (4 + len(text) - len(text.lstrip()))
        wrapped = textwrap.wrap(
            text.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False
        )
        for line in wrapped:
            self.tell(style(line))


def json_lines(value: dict[str, Any], indent: str = "") -> list[str]:
    """A JSON object for reading: one line for each entry, whose value may be one object of such lines again."""
    lines = [f"{indent}{{"]
    for position, (name, entry) in enumerate(value.items(), 1):
        comma = "," if position < len(value) else ""
        if isinstance(entry, dict) and any(isinstance(inner, dict) for inner in entry.values()):
            inner = json_lines(entry, f"{indent}  ")
            lines += [f'{indent}  "{name}": {{', *inner[1:-1], f"{inner[-1]}{comma}"]
        else:
            lines.append(f'{indent}  "{name}": {json.dumps(entry, ensure_ascii=False)}{comma}')
    return [*lines, f"{indent}}}"]
