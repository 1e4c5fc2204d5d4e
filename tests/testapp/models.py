"""Specimen models of a host site."""

from __future__ import annotations

import uuid

from django.db import models

from django_tenant_billing.guards import QuotaGuardedModel


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


class Programme(models.Model):
    """Not guarded; takes its projects with it."""

    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.name


class Project(QuotaGuardedModel):
    quota_feature = "projects"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="projects")
    programme = models.ForeignKey(Programme, models.CASCADE, related_name="projects", null=True, blank=True)
    follows = models.ForeignKey("self", models.CASCADE, related_name="followers", null=True, blank=True)
    code = models.CharField(max_length=20, unique=True)

    def __str__(self) -> str:
        return self.code


class FundedProject(Project):
    """A multi-table child."""

    budget = models.IntegerField(default=0)


class PlainProject(Project):
    """A proxy."""

    class Meta:
        proxy = True


class Task(QuotaGuardedModel):
    """Reaches its organization through its project, and has a key before it is saved."""

    quota_feature = "tasks"
    quota_organization = "project__organization"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    project = models.ForeignKey(Project, models.CASCADE, related_name="tasks", null=True)

    def __str__(self) -> str:
        return str(self.pk)


class Bill(QuotaGuardedModel):
    """Of a feature that happens; its key is given by hand."""

    quota_feature = "invoices"

    number = models.CharField(max_length=20, primary_key=True)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="bills")
    paid = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.number


def count_projects(organization: Organization) -> int:
    return Project.objects.filter(organization=organization).count()


def count_customers(organization: Organization) -> int:
    return Customer.objects.filter(organization=organization).count()
