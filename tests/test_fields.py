"""Relations to the organization: reverse names by a setting, and migrations that never drift from it."""

import pytest
from django.db import models
from django.db.models.fields.related import ForeignKey
from django.test import override_settings

from django_tenant_billing.fields import OrganizationForeignKey, OrganizationOneToOneField
from django_tenant_billing.models import PaymentTransaction, Subscription, Usage, UsageCounter
from tests.testapp.models import Organization


def test_migrations_see_djangos_own_field_and_no_reverse_name() -> None:
    one = OrganizationOneToOneField(on_delete=models.CASCADE, related_name="subscription")
    many = OrganizationForeignKey(on_delete=models.SET_NULL, null=True)
    assert one.deconstruct()[1:] == (
        "django.db.models.OneToOneField",
        [],
        {"on_delete": models.CASCADE, "to": "testapp.organization"},
    )
    assert many.deconstruct()[1:] == (
        "django.db.models.ForeignKey",
        [],
        {"on_delete": models.SET_NULL, "null": True, "to": "testapp.organization"},
    )


@pytest.mark.parametrize("prefix", ["", "billing_"])
def test_the_prefix_changes_the_reverse_name_and_not_the_migration(prefix: str) -> None:
    plain = OrganizationOneToOneField(on_delete=models.CASCADE, related_name="usage")
    with override_settings(TENANT_BILLING_RELATED_PREFIX=prefix):
        named = OrganizationOneToOneField(on_delete=models.CASCADE, related_name="usage")
        unnamed = OrganizationOneToOneField(on_delete=models.CASCADE)
    assert named.remote_field.related_name == f"{prefix}usage"
    assert unnamed.remote_field.related_name is None
    assert named.deconstruct() == unnamed.deconstruct() == plain.deconstruct()


def test_a_foreign_key_has_no_reverse_name_unless_one_is_given() -> None:
    assert OrganizationForeignKey(on_delete=models.CASCADE).remote_field.related_name == "+"
    assert OrganizationForeignKey(on_delete=models.CASCADE, related_name="x").remote_field.related_name == "x"


def test_another_model_may_be_named_as_a_migrations_state_does() -> None:
    assert OrganizationForeignKey(on_delete=models.CASCADE, to="a.B").deconstruct()[3]["to"] == "a.b"
    assert OrganizationOneToOneField(on_delete=models.CASCADE, to="a.B").deconstruct()[3]["to"] == "a.b"


def test_every_relation_to_the_tenant_is_called_organization() -> None:
    for model in (Subscription, Usage, UsageCounter, PaymentTransaction):
        field = model._meta.get_field("organization")
        assert isinstance(field, ForeignKey)
        assert field.related_model is Organization
        assert [f.name for f in model._meta.get_fields() if f.related_model is Organization] == ["organization"]


def test_the_organization_reaches_its_subscription_and_usage_and_nothing_else_of_ours() -> None:
    ours = {
        relation.get_accessor_name()
        for relation in Organization._meta.related_objects
        if relation.related_model._meta.app_label == "tenant_billing"
    }
    assert ours == {"subscription", "usage"}
