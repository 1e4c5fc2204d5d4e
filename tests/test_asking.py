"""What a request has asked already is not asked again, and a guarded view costs two queries at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.views import View
from django.views.generic import FormView

from django_tenant_billing import quotas
from django_tenant_billing.asking import ask, ask_all
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.decorators import quota_required
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.mixins import QuotaRequiredMixin
from django_tenant_billing.models import UsageCounter
from django_tenant_billing.testing import set_used
from tests.testapp.models import Customer, Organization

Requested = Callable[..., HttpRequest]


@pytest.fixture
def requested(organization: Organization, user: User) -> Requested:
    def build(method: str = "GET") -> HttpRequest:
        request = RequestFactory().generic(method, "/")
        request.user = user
        request.organization = organization  # type: ignore[attr-defined]
        return request

    return build


def queries(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    sent = [query["sql"] for query in captured.captured_queries]
    return sum(not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")) for sql in sent)


def shown(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(ask(request, "invoices").used))


def plain(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


class Form(FormView):  # type: ignore[type-arg]
    """A form view that saves nothing: every query it makes is the guard's."""

    def get_form(self, form_class: Any = None) -> Any:
        return type("Valid", (), {"is_valid": lambda self: True})()

    def form_valid(self, form: Any) -> HttpResponse:
        return HttpResponse("saved")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse("form")


class GuardedForm(QuotaRequiredMixin, Form):
    quota_feature = "invoices"


class GuardedView(QuotaRequiredMixin, View):
    quota_feature = "invoices"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("got")

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("posted")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("view", "most"),
    [(quota_required("invoices")(plain), 1), (GuardedView.as_view(), 1), (GuardedForm.as_view(), 2)],
    ids=["decorator", "mixin", "form"],
)
def test_a_guarded_view_costs_two_queries_at_most(
    requested: Requested, organization: Organization, view: Any, most: int, method: str
) -> None:
    set_used(organization, "invoices", 1)
    before = quotas.check(organization, "invoices").used
    request = requested(method)
    assert queries(lambda: view(request)) <= most
    assert quotas.check(organization, "invoices").used == before + (method == "POST")


def test_a_guard_is_free_where_the_request_asks_anyway(requested: Requested, organization: Organization) -> None:
    set_used(organization, "invoices", 1)
    unguarded = queries(lambda: shown(requested()))
    guarded = queries(lambda: quota_required("invoices")(shown)(requested()))
    assert unguarded == guarded == 1


def test_after_everything_was_asked_nothing_is_asked_again(requested: Requested, organization: Organization) -> None:
    request = requested()
    assert next(decision.feature for decision in ask_all(request)) == "invoices"
    assert queries(lambda: (shown(request), ask(request, "customers", 3), GuardedForm.as_view()(request))) == 0


def test_a_form_view_that_was_asked_before_only_counts(requested: Requested, organization: Organization) -> None:
    set_used(organization, "invoices", 1)
    request = requested("POST")
    ask(request, "invoices")
    assert queries(lambda: GuardedForm.as_view()(request)) == 1
    assert ask(request, "invoices").used == 2


def test_the_same_answer_serves_other_amounts(requested: Requested, organization: Organization) -> None:
    set_used(organization, "invoices", 8)
    request = requested()
    assert [bool(ask(request, "invoices", amount)) for amount in (1, 2, 3)] == [True, True, False]


def test_what_the_request_consumed_is_read_anew(requested: Requested, organization: Organization) -> None:
    request = requested("POST")
    assert ask(request, "invoices").used == 0
    assert quota_required("invoices")(shown)(request).content == b"1"


def test_a_remembered_no_is_asked_again_by_the_guard(requested: Requested, organization: Organization) -> None:
    set_used(organization, "invoices", 10)
    request = requested()
    assert not ask(request, "invoices")
    quotas.release(organization, "invoices")
    assert quota_required("invoices")(plain)(request).status_code == 200


def test_a_remembered_yes_never_lets_one_count_over_the_limit(requested: Requested, organization: Organization) -> None:
    request = requested("POST")
    assert ask(request, "invoices")
    set_used(organization, "invoices", 10)
    assert GuardedForm.as_view()(request).status_code == 403
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")


def test_asking_starts_the_count_of_what_exists_before_the_work_adds_to_it(
    requested: Requested, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_CATALOGUE = default_catalogue(count={"customers": "tests.testapp.models.count_customers"})
    Customer.objects.create(organization=organization, name="Maya")

    class Create(QuotaRequiredMixin, Form):
        quota_feature = "customers"

        def form_valid(self, form: Any) -> HttpResponse:
            Customer.objects.create(organization=organization, name="Hari")
            return super().form_valid(form)

    request = requested("POST")
    assert ask(request, "customers").used == 1
    assert Create.as_view()(request).status_code == 200
    assert UsageCounter.objects.get(feature="customers").used == 2 == Customer.objects.count()


def test_two_organizations_in_one_request_are_two_answers(requested: Requested, organization: Organization) -> None:
    set_used(organization, "invoices", 3)
    request = requested()
    assert ask(request, "invoices").used == 3
    request.organization = Organization.objects.create(name="Pahad Foods")  # type: ignore[attr-defined]
    assert ask(request, "invoices").used == 0
