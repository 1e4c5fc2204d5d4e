"""History as it is read from the counters: bounded, or all of it in pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_tenant_billing import usage_history
from django_tenant_billing.models import Feature, UsageCounter
from django_tenant_billing.usage_history import latest_past, pages_of_all
from tests.quota_tools import statements
from tests.testapp.models import Organization

NOW = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def use(organization: Organization, feature: str, *used: int) -> None:
    """Days that are over, the last of these numbers yesterday."""
    UsageCounter.objects.bulk_create(
        UsageCounter(
            organization=organization, feature_id=feature, used=number, updated_at=NOW,
            period_start=NOW - DAY * place, period_end=NOW - DAY * (place - 1),
        )
        for place, number in zip(range(len(used), 0, -1), used, strict=True)
    )  # fmt: skip


def test_the_latest_periods_that_are_over_come_newest_first_and_no_more_than_asked(organization: Organization) -> None:
    use(organization, "invoices", 1, 2, 3, 4)
    use(organization, "api_calls", 50)
    found = latest_past(organization, 3, NOW)
    assert {slug: [row.used for row in rows] for slug, rows in found.items()} == {
        "invoices": [4, 3, 2],
        "api_calls": [50],
    }
    assert latest_past(organization, 3, NOW - DAY)["invoices"][0].used == 3


def test_nothing_of_another_organization_is_found(organization: Organization) -> None:
    other = Organization.objects.create(name="Other")
    use(other, "invoices", 9)
    assert latest_past(organization, 12, NOW) == {}
    assert [row.organization_id for page in pages_of_all(organization) for row in page] == []
    assert len([row for page in pages_of_all(other) for row in page]) == 1


@pytest.mark.parametrize(
    ("size", "pages", "queries"), [(1000, [7], 1), (7, [7], 2), (3, [3, 3, 1], 3), (1, [1] * 7, 8)]
)
def test_all_is_read_in_pages_each_row_once_in_order(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, size: int, pages: list[int], queries: int
) -> None:
    monkeypatch.setattr(usage_history, "PAGE", size)
    use(organization, "invoices", 1, 2, 3)
    use(organization, "api_calls", 10, 20)
    use(organization, "reports", 5, 6)
    with statements() as asked:
        read = list(pages_of_all(organization))
        rows = [(row.feature_id, row.used) for page in read for row in page]
    assert [len(page) for page in read] == pages
    assert len(asked) == queries
    assert rows == [
        ("api_calls", 10), ("api_calls", 20), ("invoices", 1), ("invoices", 2), ("invoices", 3), ("reports", 5),
        ("reports", 6),
    ]  # fmt: skip


def test_both_cost_as_much_for_thirty_features_as_for_one(organization: Organization) -> None:
    def cost() -> tuple[int, int]:
        with statements() as latest:
            latest_past(organization, 12, NOW)
        with statements() as every:
            list(pages_of_all(organization))
        return len(latest), len(every)

    use(organization, "invoices", *range(20))
    before = cost()
    for number in range(29):
        Feature.objects.create(slug=f"f{number}", singular="x", plural="x", kind="happens")
        use(organization, f"f{number}", *range(20))
    assert cost() == before == (1, 1)
