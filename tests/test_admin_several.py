"""One act on several subscriptions from their list: a reason is asked, each is done or says why not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_tenant_billing import subscriptions
from django_tenant_billing.admin import bulk
from django_tenant_billing.models import Plan, Subscription, SubscriptionEvent
from tests.manual import begin, came, use_bank
from tests.test_admin_payments import staff
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

LIST = "/admin/tenant_billing/subscription/"


@pytest.fixture
def paid(settings: Any, organization: Organization) -> list[Organization]:
    """Two that paid, and one on FREE."""
    use_bank(settings)
    second, third = (Organization.objects.create(name=name) for name in ("Everest Crafts", "Fewa Boats"))
    for number, payer in enumerate((organization, second)):
        came(begin(payer), number=f"SLIP-{number}")
    return [organization, second, third]


def send(client: Client, action: str, **form: str) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in Subscription.objects.all()], **form}
    answer = client.post(LIST, chosen, follow=True)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_page_names_all_asks_days_and_reason_and_changes_nothing_yet(
    staff: Client, paid: list[Organization]
) -> None:
    page = send(staff, "give_days")
    assert "This is done to 3 subscriptions:" in page
    assert "Give more days" in page
    for organization in paid:
        assert f"<li>{organization}</li>" in page
    assert 'name="days"' in page
    assert "This field is required." not in page
    for form in ({"reason": "", "days": "3"}, {"reason": "x", "days": "0"}, {"reason": "x"}):
        refused = send(staff, "give_days", **form)
        assert "This is done to 3 subscriptions:" in refused
        assert "errorlist" in refused
    assert not SubscriptionEvent.objects.exclude(change="started").exists()


def test_what_is_possible_is_done_and_the_rest_says_why_not(staff: Client, paid: list[Organization]) -> None:
    page = send(staff, "give_days", days="3", reason="an outage")
    assert "2 subscriptions were changed." in page
    assert "Fewa Boats: Cannot extend a subscription that is active: there is no end to move." in page
    events = SubscriptionEvent.objects.filter(change="extended")
    assert {(event.actor, event.reason, event.data["days"]) for event in events} == {("asha", "an outage", 3)}
    assert events.count() == 2


def test_several_are_canceled_with_a_reason_and_no_days(staff: Client, paid: list[Organization]) -> None:
    assert 'name="days"' not in send(staff, "cancel_them")
    assert "2 subscriptions were changed." in send(staff, "cancel_them", reason="asked by letter")
    assert Subscription.objects.canceled().count() == 2
    assert "subscription was changed" not in send(staff, "cancel_them", reason="again")


def test_several_trials_last_longer(staff: Client, paid: list[Organization]) -> None:
    Plan.objects.filter(pk="PRO").update(trial_days=5)
    subscriptions.start_trial(paid[2], "PRO", actor="user 1")
    assert "1 subscription was changed." in send(staff, "extend_trials", days="2", reason="a holiday")
    assert SubscriptionEvent.objects.filter(change="trial_extended").count() == 1


def test_the_hidden_fields_of_the_page_are_what_does_it(staff: Client, paid: list[Organization]) -> None:
    page = send(staff, "cancel_them")
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.partition('class="tb-admin"')[2])
    form: dict[str, list[str]] = {}
    for name, value in hidden:
        form.setdefault(name, []).append(value)
    form.pop("csrfmiddlewaretoken")
    assert (
        "2 subscriptions were changed." in staff.post(LIST, {**form, "reason": "asked"}, follow=True).content.decode()
    )


def test_too_many_at_once_are_refused(staff: Client, paid: list[Organization], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    assert "Choose at most 2 subscriptions at once." in send(staff, "cancel_them", reason="asked")
    assert not Subscription.objects.canceled().exists()


def test_who_may_only_look_does_nothing_to_several(paid: list[Organization]) -> None:
    looker = User.objects.create_user("bina", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client = Client()
    client.force_login(looker)
    send(client, "cancel_them", reason="asked")
    assert not Subscription.objects.canceled().exists()
