"""Specimen models of a host site."""

from __future__ import annotations

from django.db import models


class Organization(models.Model):
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.name


class Invoice(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invoices")
    number = models.CharField(max_length=20, unique=True)

    def __str__(self) -> str:
        return self.number


class Customer(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="customers")
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.name


def count_customers(organization: Organization) -> int:
    return Customer.objects.filter(organization=organization).count()
