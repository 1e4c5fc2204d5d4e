"""Words that are translated here, though no line of this site says them. For makemessages: nothing imports this."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

# The features' labels: the catalogue writes them into the database once, in English.
FEATURES = [_("invoices"), _("customers"), _("team members"), _("API calls"), _("reports")]

# What Django's own Nepali lacks.
FORMS = [
    _("Select an option"),
    _("The two password fields didn’t match."),
    _("Your password can’t be too similar to your other personal information."),
    _("Your password can’t be a commonly used password."),
    _("Your password can’t be entirely numeric."),
]
