"""What the organizations of this site do: they send invoices to customers."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from orgs.models import Organization


class Customer(models.Model):
    """Somebody an organization sends invoices to. Exists, so it is counted while it is there."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="customers")
    name = models.CharField(_("name"), max_length=80)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("customer")
        verbose_name_plural = _("customers")

    def __str__(self) -> str:
        return self.name


class InvoiceManager(models.Manager["Invoice"]):
    def issue(self, organization: Organization, customer: Customer, amount: Decimal) -> Invoice:
        """A new invoice with the organization's next number; the lock keeps two from getting the same."""
        with transaction.atomic():
            Organization.objects.select_for_update().get(pk=organization.pk)
            last = self.filter(organization=organization).aggregate(last=models.Max("number"))["last"]
            return self.create(organization=organization, number=(last or 0) + 1, customer=customer, amount=amount)


class Invoice(models.Model):
    """Happens, so it is counted in the month it was made, whatever becomes of it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invoices")
    number = models.PositiveIntegerField()
    customer = models.ForeignKey(Customer, models.RESTRICT, related_name="invoices", verbose_name=_("customer"))
    amount = models.DecimalField(
        _("amount in rupees"), max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))]
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = InvoiceManager()

    class Meta:
        ordering = ["-number"]
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        constraints = [models.UniqueConstraint(fields=["organization", "number"], name="invoice_number_unique")]

    def __str__(self) -> str:
        return f"INV-{self.number:04}"
