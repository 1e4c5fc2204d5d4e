"""Reads a page as a person does: what it says, and its form with everything that is filled in."""

from __future__ import annotations

from html.parser import HTMLParser

BLOCKS = {"h1", "p", "dt", "dd", "button"}
FRAME = {"header", "footer"}


class Page(HTMLParser):
    """``lines`` are its headings, paragraphs, facts and [buttons]; ``action`` and ``fields`` are its form.

    Without what the site puts around every page.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.action = ""
        self.fields: dict[str, str] = {}
        self._frame = 0
        """In how many parts of the frame the reader is."""
        self._text: list[str] | None = None
        """What the open block says so far; None between blocks."""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._frame += tag in FRAME
        if self._frame:
            return
        if tag == "form" and not self.action:
            self.action = values.get("action", "")
        elif tag == "input" and "name" in values:
            self.fields[values["name"]] = values.get("value", "")
        elif tag in BLOCKS:
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        self._frame -= tag in FRAME
        if tag not in BLOCKS or self._text is None:
            return
        line = " ".join("".join(self._text).split())
        if tag == "dd" and self.lines:
            self.lines[-1] += f": {line}"
        elif line:
            self.lines.append(f"[{line}]" if tag == "button" else line)
        self._text = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
