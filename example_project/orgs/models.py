"""The tenants of this site, who belongs to them, and tokens for programs that act for a user."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils.translation import gettext_lazy as _


class Organization(models.Model):
    """The tenant: every row of this site belongs to one, and it is what TENANT_BILLING_ORGANIZATION_MODEL names."""

    name = models.CharField(_("name"), max_length=80)

    class Meta:
        ordering = ["name"]
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    MEMBER = "member", _("member")
    # From outside; does not count as a team member of the plan.
    ACCOUNTANT = "accountant", _("accountant")


class Membership(models.Model):
    """One user in one organization."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} - {self.organization} - {self.role}"


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(self, user: User, label: str) -> str:
        """A new token, in plain text this once: only its SHA-256 is stored."""
        plain = secrets.token_urlsafe(32)
        self.create(user=user, label=label, digest=_digest(plain))
        return plain

    def user_of(self, plain: str) -> User | None:
        """Whose token this is; None for an unknown token and for a user who may no longer log in."""
        token = self.select_related("user").filter(digest=_digest(plain), user__is_active=True).first()
        return None if token is None else token.user


class ApiToken(models.Model):
    """``Authorization: Bearer ...``. Delete the row to revoke the token."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=80)
    # 256 random bits need no slow hash and no salt, so that one indexed look-up finds them.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiTokenManager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.user} - {self.label}"


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()
