"""Marking texts for translation without asking for the settings."""

from __future__ import annotations


def gettext_noop(message: str) -> str:
    """This text is translated where it is shown.

    Django's own reads USE_I18N, and so cannot be called while a site's settings, which may import us, are being read.
    The name is what makemessages looks for.
    """
    return message


HALVES_OF_THE_DAY = (gettext_noop("a.m."), gettext_noop("p.m."))
"""As Django writes times. Its own Nepali has them in English; what an app says goes before what Django says."""
