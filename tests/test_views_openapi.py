"""The description of the JSON: complete, and served for the address that it lies at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, RequestFactory

import django_tenant_billing
from django_tenant_billing.models import PaymentTransaction
from django_tenant_billing.states import PaymentState
from django_tenant_billing.urls import api_urlpatterns
from django_tenant_billing.views import openapi
from django_tenant_billing.views.acts import ACTS, OF_A_PLAN

PACKAGE = Path(django_tenant_billing.__file__).parent
DOCUMENT: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if "$ref" in value else []
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def found(reference: str) -> Any:
    place: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        place = place[name]
    return place


def codes(value: Any) -> Iterator[str]:
    """Every ``code`` of an error that the document knows."""
    if isinstance(value, dict):
        code = value.get("code", {})
        if isinstance(code, dict) and set(code) & {"enum", "const"}:
            yield from code.get("enum", [code.get("const")])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from codes(one)


def test_the_document_has_every_json_route_and_no_other() -> None:
    routes = set()
    for pattern in api_urlpatterns:
        route = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        routes |= {route.format(act=act) for act in ACTS} if "{act}" in route else {route}
    assert set(DOCUMENT["paths"]) == routes


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_names_its_parameters_its_refusals_and_who_may_ask(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    named = [found(entry["$ref"]) if "$ref" in entry else entry for entry in operation.get("parameters", [])]
    assert {entry["name"] for entry in named if entry["in"] == "path"} == set(re.findall(r"{(\w+)}", path))
    answers = set(operation["responses"])
    if path == "/api/openapi.json":
        assert (operation["security"], answers) == ([], {"200", "304"})
        return
    assert {"200", "401", "403", "503"} <= answers
    csrf: dict[str, list[str]] = {} if method == "get" else {"csrf": []}
    assert operation["security"] == [{"bearer": []}, {"session": [], **csrf}]
    assert (
        ("requestBody" in operation)
        == ("413" in answers)
        == (method == "post" and (not path.startswith("/subscription/") or path.split("/")[2] in OF_A_PLAN))
    )
    assert ("304" in answers) == ("If-None-Match" in {entry["name"] for entry in named})


def test_every_operation_has_a_name_of_its_own_and_a_tag_that_is_listed() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    names = {operation["operationId"] for operation in operations}
    assert len(names) == len(operations)
    tags = {tag for operation in operations for tag in operation["tags"]}
    assert tags == {tag["name"] for tag in DOCUMENT["tags"]}


def test_whatever_is_referred_to_is_there_and_whatever_is_there_is_referred_to() -> None:
    used = set(references(DOCUMENT))
    assert all(found(reference) for reference in used)
    kinds = ("headers", "parameters", "responses", "schemas")
    assert used == {f"#/components/{kind}/{name}" for kind in kinds for name in DOCUMENT["components"][kind]}


def test_every_error_of_the_code_is_in_the_document_and_no_other() -> None:
    source = "".join(path.read_text() for path in [*PACKAGE.glob("views/*.py"), PACKAGE / "refusals.py"])
    source = re.sub(r"refuse\(.*?json=False\)", "", source)
    named = set(re.findall(r'HTTPStatus\.[A-Z_]+,\s+"(\w+)"', source))
    named |= {"throttled", "too_many_attempts", "organization_not_found", "permission_denied"}
    # What every route answers to another method is told once, in words.
    assert set(codes(DOCUMENT["components"])) == named - {"method_not_allowed", "act_not_found"}
    assert "405" in DOCUMENT["info"]["description"]


def test_the_states_of_a_payment_and_its_gateway_are_those_of_the_model() -> None:
    assert DOCUMENT["components"]["schemas"]["Payment"]["properties"]["status"]["enum"] == PaymentState.values
    pattern = DOCUMENT["components"]["parameters"]["Reference"]["schema"]["pattern"]
    assert f"{{1,{PaymentTransaction._meta.get_field('reference').max_length}}}$" in pattern


def test_it_is_served_to_everybody_with_the_address_of_this_site(db: None) -> None:
    answer = Client().get("/billing/api/openapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (HTTPStatus.OK, "application/json")
    body = answer.json()
    assert body.pop("servers") == [{"url": "/billing"}]
    assert body == {name: value for name, value in DOCUMENT.items() if name != "servers"}
    known = Client().get("/billing/api/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.content) == (HTTPStatus.NOT_MODIFIED, b"")
    refused = Client().post("/billing/api/openapi.json")
    assert (refused.status_code, refused.json()["code"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")


@pytest.mark.parametrize(
    ("script", "path", "url"),
    [
        ("", "/api/openapi.json", "/"),
        ("/shop", "/pay/api/openapi.json", "/shop/pay"),
        ("", "/b/api/openapi.json", "/b"),
    ],
)
def test_the_server_is_wherever_the_site_includes_the_package(script: str, path: str, url: str) -> None:
    request = RequestFactory().get(path, SCRIPT_NAME=script)
    answer: Any = openapi.openapi(request)
    assert json.loads(answer.content)["servers"] == [{"url": url}]
