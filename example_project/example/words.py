"""Words of Django's own forms that its Nepali lacks. Nothing imports this: makemessages reads it."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

WORDS = [
    _("- Select an option -"),
    _("The two password fields didn’t match."),
    _("Your password can’t be too similar to your other personal information."),
    _("Your password can’t be a commonly used password."),
    _("Your password can’t be entirely numeric."),
]
