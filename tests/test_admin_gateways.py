"""Gateways that are not asked, in the admin: seen where payments are, and asked again by whoever may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from django_tenant_billing import clock
from django_tenant_billing.models import Breaker

pytestmark = pytest.mark.django_db

LIST = reverse("admin:tenant_billing_breaker_changelist")


def logged_in(*permissions: str) -> Client:
    user = User.objects.create_user("staff", password="secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def breaker(db: None) -> Breaker:
    for _question in range(6):
        Breaker.objects.unanswered("khalti", clock.now())
    return Breaker.objects.get()


def ask_again(client: Client, breaker: Breaker) -> str:
    body = {"action": "ask_again", "_selected_action": [breaker.pk]}
    return client.post(LIST, body, follow=True).content.decode()


def test_the_list_of_payments_warns_of_a_gateway_that_is_not_asked(breaker: Breaker) -> None:
    client = logged_in("view_paymenttransaction")
    address = reverse("admin:tenant_billing_paymenttransaction_changelist")
    assert (
        "khalti is not asked but by a probe: 6 questions in a row found no answer."
        in client.get(address).content.decode()
    )
    Breaker.objects.halt("khalti", "Khalti refused our key.")
    assert "by a probe: Khalti refused our key. See Breakers." in client.get(address).content.decode()
    Breaker.objects.resume("khalti")
    assert "not asked" not in client.get(address).content.decode()


def test_whoever_may_change_breakers_lets_a_gateway_be_asked_again(breaker: Breaker) -> None:
    page = ask_again(logged_in("view_breaker", "change_breaker"), breaker)
    assert "1 gateway is asked again." in page
    breaker.refresh_from_db()
    assert (breaker.failures, breaker.opened_at) == (0, None)


def test_whoever_may_only_look_changes_nothing(breaker: Breaker) -> None:
    client = logged_in("view_breaker")
    assert "khalti" in client.get(LIST).content.decode()
    ask_again(client, breaker)
    breaker.refresh_from_db()
    assert breaker.opened_at is not None
