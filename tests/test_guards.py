"""Models that count their own rows, by whichever way a row comes and goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.models.deletion import Collector
from django.db.models.signals import post_save
from django.forms import modelform_factory
from django.test import Client
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_tenant_billing import quotas
from django_tenant_billing.catalogue import default_catalogue
from django_tenant_billing.exceptions import QuotaExceeded, UnknownFeature
from django_tenant_billing.guards import QuotaGuardedModel, QuotaGuardedQuerySet
from django_tenant_billing.models import Feature, UsageCounter
from django_tenant_billing.testing import set_used
from tests.testapp.models import Bill, FundedProject, Organization, PlainProject, Programme, Project, Task

pytestmark = pytest.mark.usefixtures("guarded")

ProjectForm = modelform_factory(Project, fields=["organization", "code"])


def used(organization: Organization, feature: str = "projects") -> int:
    return quotas.check(organization, feature).used


def make(organization: Organization, number: int) -> list[Project]:
    return [Project.objects.create(organization=organization, code=f"p{index}") for index in range(number)]


@pytest.fixture
def other(guarded: None) -> Organization:
    return Organization.objects.create(name="Terai Traders")


# --- a row comes -----------------------------------------------------------------------------------------------------


def test_an_insert_consumes_one_and_an_update_nothing(organization: Organization) -> None:
    project = Project(organization=organization, code="a")
    project.save()
    project.save()
    project.code = "b"
    project.save(update_fields=["code"])
    project.save(force_update=True)
    Project.objects.get().save()
    assert (used(organization), Project.objects.get().code) == (1, "b")


@pytest.mark.parametrize(
    "insert",
    [
        lambda of: Project.objects.create(organization=of, code="a"),
        lambda of: of.projects.create(code="a"),
        lambda of: Project.objects.get_or_create(code="a", defaults={"organization": of}),
        lambda of: Project.objects.update_or_create(code="a", defaults={"organization": of}),
        lambda of: Project(organization_id=of.pk, code="a").save(force_insert=True),
        lambda of: ProjectForm({"organization": of.pk, "code": "a"}).save(),
        lambda of: Project.objects.bulk_create(Project(organization=of, code="a") for _once in range(1)),
        lambda of: PlainProject.objects.create(organization=of, code="a"),
        lambda of: FundedProject.objects.create(organization=of, code="a"),
    ],
    ids=["create", "related", "get_or_create", "update_or_create", "save", "form", "bulk", "proxy", "child"],
)
def test_every_way_to_insert_counts_one_and_is_refused_when_there_is_no_room(
    organization: Organization, insert: Callable[[Organization], Any]
) -> None:
    set_used(organization, "projects", 10)
    with pytest.raises((QuotaExceeded, ValueError)):
        insert(organization)
    assert (used(organization), Project.objects.count()) == (10, 0)
    set_used(organization, "projects", 9)
    insert(organization)
    assert (used(organization), Project.objects.count()) == (10, 1)


@pytest.mark.parametrize("manager", [Project.objects, FundedProject.objects, PlainProject.objects])
def test_finding_or_updating_what_is_there_counts_nothing_even_at_the_limit(
    organization: Organization, manager: Any
) -> None:
    manager.create(organization=organization, code="a")
    set_used(organization, "projects", 10)
    assert manager.get_or_create(code="a", defaults={"organization": organization})[1] is False
    assert manager.update_or_create(code="a", defaults={"organization": organization})[1] is False
    manager.get().save()
    assert used(organization) == 10


def test_saving_under_a_key_that_is_there_is_an_update_also_at_the_limit(organization: Organization) -> None:
    Bill.objects.create(number="1", organization=organization)
    set_used(organization, "invoices", 10)
    Bill(number="1", organization=organization, paid=True).save()
    with pytest.raises(QuotaExceeded):
        Bill(number="2", organization=organization).save()
    assert (used(organization, "invoices"), str(Bill.objects.get()), Bill.objects.get().paid) == (10, "1", True)


def test_a_copy_made_by_emptying_the_key_is_a_new_row(organization: Organization) -> None:
    for project in (Project(organization=organization, code="a"), FundedProject(organization=organization, code="b")):
        project.save()
        project.pk = project.id = None
        project.code += "-copy"
        project.save()
    assert (used(organization), Project.objects.count()) == (4, 4)


def test_a_row_that_somebody_deleted_and_save_brings_back_is_counted_again(organization: Organization) -> None:
    project, same = make(organization, 1)[0], Project.objects.get()
    same.delete()
    assert used(organization) == 0
    project.save()
    assert (used(organization), Project.objects.count()) == (1, 1)
    Project.objects.all().delete()
    set_used(organization, "projects", 10)
    with pytest.raises(QuotaExceeded):
        project.save()
    assert (used(organization), Project.objects.count()) == (10, 0)


def test_a_failed_insert_costs_nothing_and_leaves_the_callers_transaction_usable(organization: Organization) -> None:
    make(organization, 1)
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            Project.objects.create(organization=organization, code="p0")
        with pytest.raises(IntegrityError):
            Project.objects.bulk_create([Project(organization=organization, code=code) for code in ("new", "p0")])
        assert used(organization) == 1
    assert (used(organization), Project.objects.count()) == (1, 1)


def test_a_transaction_that_is_rolled_back_takes_rows_counts_and_releases_with_it(organization: Organization) -> None:
    (kept,) = make(organization, 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Project.objects.create(organization=organization, code="a")
        Project.objects.bulk_create([Project(organization=organization, code="b")])
        kept.delete()
        Project.objects.all().delete()
        assert used(organization) == 0
        raise ZeroDivisionError
    assert (used(organization), Project.objects.count()) == (1, 1)


def test_a_denial_at_the_count_itself_takes_the_row_back(organization: Organization) -> None:
    """Somebody takes the last unit between the check and the count."""

    def rival(instance: Project, **_kwargs: Any) -> None:
        set_used(organization, "projects", 10)

    set_used(organization, "projects", 9)
    with connected(rival), pytest.raises(QuotaExceeded):
        Project.objects.create(organization=organization, code="a")
    assert not Project.objects.exists()


class connected:  # noqa: N801 - a context manager
    """``with connected(receiver):`` hears of saved projects."""

    def __init__(self, receiver: Callable[..., None]) -> None:
        self.receiver = receiver

    def __enter__(self) -> None:
        post_save.connect(self.receiver, sender=Project)

    def __exit__(self, *_exception: object) -> None:
        post_save.disconnect(self.receiver, sender=Project)


def test_a_receiver_that_saves_the_new_row_again_does_not_hide_or_double_it(organization: Organization) -> None:
    def numbering(instance: Project, created: bool, **_kwargs: Any) -> None:
        if created:
            instance.code = f"p-{instance.pk}"
            instance.save()

    with connected(numbering):
        Project.objects.create(organization=organization, code="a")
    assert (used(organization), Project.objects.get().code[:2]) == (1, "p-")


def test_a_path_leads_through_other_rows(organization: Organization) -> None:
    (project,) = make(organization, 1)
    Task.objects.create(project=project)
    Task.objects.bulk_create([Task(project_id=project.pk), Task(project=project)])
    assert used(organization, "tasks") == 3
    assert len({str(task) for task in Task.objects.all()}) == 3


def test_a_row_of_no_organization_is_not_counted(organization: Organization) -> None:
    task = Task.objects.create()
    Task.objects.bulk_create([Task(), Task(project=None)])
    assert used(organization, "tasks") == 0
    task.full_clean(exclude=["project"])
    Task.objects.all().delete()


def test_a_row_of_an_organization_that_is_gone_is_refused_by_the_database(organization: Organization) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Project.objects.create(organization_id=organization.pk + 1000, code="a")
        connection.check_constraints()


def test_a_feature_that_nobody_defined_is_a_bug_that_shows(organization: Organization) -> None:
    Feature.objects.filter(slug="projects").delete()
    with pytest.raises(UnknownFeature):
        Project.objects.create(organization=organization, code="a")


def test_the_count_starts_from_the_truth_before_the_first_insert(organization: Organization, settings: Any) -> None:
    make(organization, 9)
    UsageCounter.objects.all().delete()
    catalogue = default_catalogue(count={})
    catalogue["features"]["projects"] = {
        "singular": "project", "plural": "projects", "kind": "exists", "count": "tests.testapp.models.count_projects",
    }  # fmt: skip
    settings.TENANT_BILLING_CATALOGUE = catalogue
    Project.objects.create(organization=organization, code="a")
    assert used(organization) == 10
    UsageCounter.objects.all().delete()
    # The form knows too, though nothing was counted yet.
    assert not ProjectForm({"organization": organization.pk, "code": "b"}).is_valid()
    Project.objects.get(code="a").delete()
    assert used(organization) == 9


# --- many rows come --------------------------------------------------------------------------------------------------


def test_bulk_create_counts_every_organization_or_none(organization: Organization, other: Organization) -> None:
    set_used(organization, "projects", 8)
    set_used(other, "projects", 9)
    rows = [Project(organization=of, code=f"{index}") for index, of in enumerate([other, organization, organization])]
    Project.objects.bulk_create(rows)
    assert (used(organization), used(other), Project.objects.count()) == (10, 10, 3)
    set_used(organization, "projects", 8)
    again = [Project(organization=row.organization, code=f"again {row.code}") for row in rows]
    with pytest.raises(QuotaExceeded):
        Project.objects.bulk_create(again)
    assert (used(organization), used(other), Project.objects.count()) == (8, 10, 3)
    assert Project.objects.bulk_create([]) == []


def test_bulk_create_asks_once_for_an_organization_that_many_rows_name_by_key(organization: Organization) -> None:
    Project.objects.bulk_create([Project(organization=organization, code="warm")])
    rows = [Project(organization_id=organization.pk, code=f"{index}") for index in range(9)]
    with CaptureQueriesContext(connection) as queries:
        Project.objects.bulk_create(rows)
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 4  # the organization, the check, the rows, the count
    assert used(organization) == 10


@pytest.mark.parametrize(
    "options",
    [{"ignore_conflicts": True}, {"update_conflicts": True, "update_fields": ["code"], "unique_fields": ["id"]}],
)
def test_bulk_create_refuses_what_nobody_could_count_and_says_what_to_do(
    organization: Organization, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="Look up which exist"):
        Project.objects.bulk_create([Project(organization=organization, code="a")], **options)
    with pytest.raises(ValueError, match="multi-table"):
        FundedProject.objects.bulk_create([FundedProject(organization=organization, code="a")])
    assert (used(organization), Project.objects.count()) == (0, 0)


# --- forms and the admin ---------------------------------------------------------------------------------------------


def test_full_validation_says_that_there_is_no_room_beside_the_other_errors(organization: Organization) -> None:
    set_used(organization, "projects", 10)
    form = ProjectForm({"organization": organization.pk, "code": ""})
    assert not form.is_valid()
    assert form.errors == {"code": ["This field is required."], "__all__": ["Reached project limit (10)."]}
    assert form.has_error("__all__", "limit_reached")
    with pytest.raises(ValidationError, match="Reached project limit"):
        Project(organization=organization, code="a").full_clean()
    set_used(organization, "projects", 9)
    Project(organization=organization, code="a").full_clean()
    assert used(organization) == 9


def test_validation_of_a_row_that_is_there_or_of_no_organization_yet_asks_nothing(organization: Organization) -> None:
    (project,) = make(organization, 1)
    set_used(organization, "projects", 10)
    assert ProjectForm({"organization": organization.pk, "code": "b"}, instance=project).is_valid()
    without = modelform_factory(Project, fields=["code"])({"code": "c"})
    assert without.is_valid()
    with pytest.raises(ValidationError) as raised:
        Project(organization=Organization(name="not saved"), code="d").full_clean()
    assert "__all__" not in raised.value.message_dict


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="secret"))
    return client


def test_the_admin_counts_and_tells_its_form_that_there_is_no_room(organization: Organization, staff: Client) -> None:
    Programme.objects.create(name="Roads")
    set_used(organization, "projects", 9)
    add = "/admin/testapp/project/add/"
    data = {"organization": organization.pk, "code": "a"}
    assert staff.post(add, data).status_code == 302
    page = staff.post(add, {**data, "code": "b"})
    assert (page.status_code, used(organization), Project.objects.count()) == (200, 10, 1)
    assert "Reached project limit (10)." in page.content.decode()
    assert "Roads" in page.content.decode()
    assert staff.post(f"/admin/testapp/project/{Project.objects.get().pk}/change/", data).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [Project.objects.get().pk], "post": "yes"}
    assert staff.post("/admin/testapp/project/", chosen).status_code == 302
    assert (used(organization), Project.objects.count()) == (9, 0)


# --- a row goes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "delete",
    [
        lambda project: project.delete(),
        lambda project: Project.objects.filter(pk=project.pk).delete(),
        lambda project: project.organization.projects.filter(pk=project.pk).delete(),
        lambda project: project.programme.delete(),
        lambda project: Programme.objects.all().delete(),
        lambda project: project.follows.delete(),
        lambda project: PlainProject.objects.get(pk=project.pk).delete(),
        lambda project: PlainProject.objects.filter(pk=project.pk).delete(),
        lambda project: collect(project).delete(),
    ],
    ids=["row", "queryset", "related", "cascade", "cascades", "follower", "proxy", "proxies", "collector"],
)
def test_every_way_to_delete_gives_back_one_for_each_row(
    organization: Organization, delete: Callable[[Project], Any]
) -> None:
    programme = Programme.objects.create(name="Roads")
    first = Project.objects.create(organization=organization, code="first")
    project = Project.objects.create(organization=organization, code="a", programme=programme, follows=first)
    Task.objects.create(project=project)
    make(organization, 3)
    delete(project)
    assert used(organization) == Project.objects.count() >= 3
    assert used(organization, "tasks") == Task.objects.count() == 0


def collect(project: Project) -> Collector:
    """As code that knows Django's inside: no origin."""
    collector = Collector(using="default")
    collector.collect([project])
    return collector


@pytest.mark.parametrize(
    "delete",
    [
        lambda child: child.delete(),
        lambda child: Project.objects.get(pk=child.pk).delete(),
        lambda child: FundedProject.objects.all().delete(),
        lambda child: Project.objects.filter(pk=child.pk).delete(),
        lambda child: child.programme.delete(),
        lambda child: child.organization.delete(),
    ],
    ids=["child", "parent", "children", "parents", "cascade", "organization"],
)
def test_a_multi_table_child_gives_back_once(
    organization: Organization, delete: Callable[[FundedProject], Any]
) -> None:
    programme = Programme.objects.create(name="Roads")
    FundedProject.objects.create(organization=organization, code="a", programme=programme)
    make(organization, 2)
    delete(FundedProject.objects.get())
    assert used(organization) == Project.objects.count()


def test_a_child_that_is_added_to_a_counted_parent_or_taken_from_it_changes_nothing(organization: Organization) -> None:
    (project,) = make(organization, 1)
    set_used(organization, "projects", 10)
    child = FundedProject(project_ptr=project, organization=organization, code="p0")
    child.full_clean(exclude=["id", "code"])
    child.save()
    assert (used(organization), FundedProject.objects.count(), Project.objects.count()) == (10, 1, 1)
    child.delete(keep_parents=True)
    assert (used(organization), FundedProject.objects.count(), Project.objects.count()) == (10, 0, 1)
    adopted = FundedProject(project_ptr_id=project.pk)
    adopted.__dict__.update(vars(project))
    adopted.save()
    assert (used(organization), FundedProject.objects.count()) == (10, 1)


def test_a_row_that_django_collects_as_two_classes_gives_back_once(organization: Organization) -> None:
    first, second, _third = make(organization, 3)
    first.follows, second.follows = second, first
    first.save()
    second.save()
    PlainProject.objects.get(pk=first.pk).delete()
    assert used(organization) == Project.objects.count() == 1


def test_deleting_what_is_gone_already_gives_nothing_back(organization: Organization) -> None:
    make(organization, 3)
    project, same = Project.objects.get(code="p0"), Project.objects.get(code="p0")
    project.delete()
    same.delete()
    assert used(organization) == 2


def test_what_is_given_back_belongs_to_the_stored_organization(organization: Organization, other: Organization) -> None:
    Project.objects.create(organization=other, code="theirs")
    (project,) = make(organization, 1)
    project.code, project.organization = "unsaved", other
    project.delete()
    assert (used(organization), used(other)) == (0, 1)


def test_a_delete_that_fails_gives_nothing_back_then_or_later(organization: Organization) -> None:
    make(organization, 2)
    project, rows = Project.objects.get(code="p0"), Project.objects.filter(code="p0")

    def refuse(**_kwargs: Any) -> None:
        raise ZeroDivisionError

    models.signals.post_delete.connect(refuse, sender=Project)
    try:
        for delete in (project.delete, rows.delete):
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                delete()
    finally:
        models.signals.post_delete.disconnect(refuse, sender=Project)
    assert (used(organization), Project.objects.count()) == (2, 2)
    Project.objects.get(code="p0").delete()
    project.delete()
    rows.delete()
    assert used(organization) == 1


def test_many_rows_of_one_organization_are_given_back_in_one_statement(
    organization: Organization, other: Organization
) -> None:
    for project in [*make(organization, 5), Project.objects.create(organization=other, code="theirs")]:
        Task.objects.create(project=project)
    with CaptureQueriesContext(connection) as queries:
        Project.objects.all().delete()
    assert len([query for query in queries if "UPDATE tenant_billing" in query["sql"]]) == 4
    assert [used(of, slug) for of in (organization, other) for slug in ("projects", "tasks")] == [0, 0, 0, 0]
    with CaptureQueriesContext(connection) as queries:
        Project.objects.all().delete()
    assert not [query for query in queries if "UPDATE" in query["sql"].replace("FOR UPDATE", "")]


@pytest.mark.parametrize("sliced", [lambda rows: rows[:1], lambda rows: rows.values("code")], ids=["slice", "values"])
def test_what_django_refuses_to_delete_is_refused(organization: Organization, sliced: Callable[[Any], Any]) -> None:
    make(organization, 1)
    with pytest.raises(TypeError):
        sliced(Project.objects.all()).delete()
    assert used(organization) == 1


def test_deleting_an_organization_takes_rows_and_counters_with_it(
    organization: Organization, other: Organization
) -> None:
    for project in [*make(organization, 2), Project.objects.create(organization=other, code="theirs")]:
        Task.objects.create(project=project)
    Bill.objects.create(number="1", organization=organization)
    organization.delete()
    assert list(Project.objects.values_list("code", flat=True)) == ["theirs"]
    assert set(UsageCounter.objects.values_list("organization", flat=True)) == {other.pk}
    assert (used(other), used(other, "tasks")) == (1, 1)
    Organization.objects.all().delete()
    assert (Project.objects.count(), UsageCounter.objects.count()) == (0, 0)


def test_what_happened_stays_counted(organization: Organization) -> None:
    for number in range(3):
        Bill.objects.create(number=f"{number}", organization=organization)
    Bill.objects.all()[0].delete()
    Bill.objects.all().delete()
    assert (used(organization, "invoices"), Bill.objects.count()) == (3, 0)


@pytest.mark.parametrize("counted", [None, 0, 1, 3, 4, 5])
def test_a_delete_never_fails_because_less_is_counted(organization: Organization, counted: int | None) -> None:
    """A site that started before billing; one statement or many, the count ends where it must."""
    for delete in (
        Project.objects.all().delete,
        lambda: [project.delete() for project in Project.objects.all()],
        organization.projects.all().delete,
    ):
        make(organization, 5)
        UsageCounter.objects.all().delete()
        if counted is not None:
            set_used(organization, "projects", counted)
        delete()
        assert (Project.objects.count(), used(organization)) == (0, 0)


# --- what is not counted ---------------------------------------------------------------------------------------------


def test_fixtures_and_raw_saves_are_not_counted(organization: Organization, tmp_path: Path) -> None:
    fields = {"organization": organization.pk, "code": "a"}
    fixture = tmp_path / "projects.json"
    fixture.write_text(json.dumps([{"model": "testapp.project", "pk": 7, "fields": fields}]))
    call_command("loaddata", str(fixture), verbosity=0)
    Project(pk=8, organization=organization, code="b").save_base(raw=True)
    assert (used(organization), Project.objects.count()) == (0, 2)


def test_update_and_moving_a_row_are_not_counted(organization: Organization, other: Organization) -> None:
    (project,) = make(organization, 1)
    Project.objects.update(organization=other)
    project.organization = other
    project.save()
    assert (used(organization), used(other)) == (1, 0)


# --- async -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_async_code_is_counted_too(organization: Organization) -> None:
    async def story() -> None:
        project = await Project.objects.acreate(organization=organization, code="a")
        await Project.objects.abulk_create([Project(organization=organization, code=code) for code in "bcd"])
        await project.adelete()
        await Project.objects.filter(code="b").adelete()
        await Project(organization=organization, code="e").asave()
        await sync_to_async(connections.close_all)()

    asyncio.run(story())
    assert used(organization) == Project.objects.count() == 3


# --- classes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def apart() -> Iterator[None]:
    """Models of one test, in a registry of their own."""
    with isolate_apps("tests.testapp"):
        yield


def ours(messages: list[CheckMessage]) -> list[str]:
    found = [message for message in messages if str(message.id).startswith("tenant_billing.")]
    assert all(message.hint for message in found)
    return [str(message.id) for message in found]


@pytest.mark.parametrize("model", [Project, FundedProject, PlainProject, Task, Bill])
def test_the_checks_are_silent_about_models_that_are_set_up(model: type[QuotaGuardedModel]) -> None:
    assert ours(model.check()) == []


def test_e020_a_class_without_its_feature(apart: None) -> None:
    class Nameless(QuotaGuardedModel):
        organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")

        class Meta:
            app_label = "testapp"

    assert ours(Nameless.check()) == ["tenant_billing.E020"]
    with pytest.raises(ImproperlyConfigured, match="quota_feature = "):
        Nameless(organization_id=1).save()


@pytest.mark.parametrize(
    "path", ["organization", "name", "tasks", "programme", "nowhere__organization", "absent", "absent__x", ""]
)
def test_e021_a_path_that_does_not_lead_to_the_organization(apart: None, path: str) -> None:
    class Lost(QuotaGuardedModel):
        quota_feature = "projects"
        quota_organization = path
        name = models.CharField(max_length=9)
        programme = models.ForeignKey(Programme, models.CASCADE, related_name="+")
        absent = models.ForeignKey("absent.Model", models.CASCADE, related_name="+")

        class Meta:
            app_label = "testapp"

    assert ours(Lost.check()) == ["tenant_billing.E021"]
    with pytest.raises(ImproperlyConfigured, match="does not lead to"):
        Lost.objects.bulk_create([])


def test_e021_also_says_it_where_the_organization_model_is_wrong(settings: Any) -> None:
    settings.TENANT_BILLING_ORGANIZATION_MODEL = "orgs.Organisation"
    assert ours(Project.check()) == ["tenant_billing.E021"]


def test_e022_a_child_that_wants_to_be_counted_as_something_else(apart: None) -> None:
    class Child(Project):
        quota_feature = "tasks"

        class Meta:
            app_label = "testapp"

    class Team(QuotaGuardedModel):
        quota_feature = "projects"
        team = models.AutoField(primary_key=True)
        organization_of_team = models.ForeignKey(Organization, models.CASCADE, related_name="+")
        quota_organization = "organization_of_team"

        class Meta:
            app_label = "testapp"

    class Both(Project, Team):
        class Meta:
            app_label = "testapp"

    for model in (Child, Both):
        assert ours(model.check()) == ["tenant_billing.E022"]
        with pytest.raises(ImproperlyConfigured, match="is counted as that"):
            model(code="a", organization_id=1).save()


def test_e023_a_manager_whose_bulk_create_would_count_nothing(apart: None) -> None:
    class Silent(QuotaGuardedModel):
        quota_feature = "projects"
        organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
        objects = models.Manager()  # type: ignore[assignment]
        counting = models.Manager.from_queryset(QuotaGuardedQuerySet)()

        class Meta:
            app_label = "testapp"

    assert ours(Silent.check()) == ["tenant_billing.E023"]
