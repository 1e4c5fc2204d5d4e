"""The description of the JSON against the running demo: whatever it allows or forbids, the demo answers as it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import pytest
import requests

from tests.test_example import Demo, start_demo, stop_demo

METHODS = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "POST")

PAGED = {"$ref": "#/components/parameters/After"}

# A plan without a trial, or one that the credit does not pay for, is not for sale so: a 400, however good the body.
CONFIG = """
[phases.coverage]
unexpected-methods = ["PUT", "OPTIONS"]

[[operations]]
include-operation-id = ["startTrial", "buyWithCredit"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409"]
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start_demo(tmp_path_factory.mktemp("demo"), "--port", "0", "--simulator-port", "0")
    yield running
    assert stop_demo(running, signal.SIGINT) == 0


@pytest.fixture(scope="module")
def document(demo: Demo) -> dict[str, Any]:
    """As the demo serves it to anybody."""
    served: dict[str, Any] = requests.get(f"{demo.url}/billing/api/openapi.json", timeout=20).json()
    assert served["servers"] == [{"url": "/billing"}]
    return served


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def examples(value: Any, place: str = "#") -> Iterator[tuple[str, Any]]:
    """The place of each schema that shows examples, and each of them."""
    if isinstance(value, dict):
        # Of a map of schemas, "examples" would be the name of one.
        for example in value["examples"] if isinstance(value.get("examples"), list) else []:
            yield place, example
        if "schema" in value and "example" in value:
            yield f"{place}/schema", value["example"]
        for name, one in value.items():
            yield from examples(one, f"{place}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from examples(one, f"{place}/{number}")


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    found = list(examples(document))
    assert len(found) > 30
    shut = closed(document)
    for place, example in found:
        schema = {"components": shut["components"], "paths": shut["paths"], "$ref": place}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        assert [error.message for error in validator.iter_errors(example)] == [], place


def closed(value: Any) -> Any:
    """The same, in which an object has no more than is named: what the demo tells and the description does not know."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: closed(one) for name, one in value.items()}
    if value.get("type") == "object" and "properties" in value and "error" not in value["properties"]:
        found.setdefault("additionalProperties", False)
    return found


def test_without_a_token_or_with_a_wrong_one_everything_else_is_a_401_in_the_one_shape(
    demo: Demo, document: dict[str, Any]
) -> None:
    asked = 0
    for path, method, operation in operations(document):
        if operation["security"]:
            url = demo.url + "/billing" + re.sub(r"{\w+}", "1", path)
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                answer = requests.request(method, url, json={"plan": "PRO"}, headers=headers, timeout=20)
                assert (answer.status_code, set(answer.json())) == (401, {"error", "code"}), path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                asked += 1
    assert asked == 2 * (len(list(operations(document))) - 1)


def test_every_other_method_is_a_405_in_the_one_shape(demo: Demo, document: dict[str, Any]) -> None:
    for path, method, _operation in operations(document):
        allowed = ["GET", "HEAD"] if method == "get" else ["POST"]
        for other in METHODS:
            if other not in allowed:
                answer = demo.ask(other, "/billing" + re.sub(r"{\w+}", "1", path), timeout=20)
                assert (answer.status_code, answer.headers["Allow"]) == (405, ", ".join(allowed)), path
                assert other == "HEAD" or answer.json()["code"] == "method_not_allowed"


def paid(demo: Demo, plan: str) -> str:
    """The reference of a payment for it, made at the wallet."""
    started = demo.ask("POST", "/billing/khalti/init/", json={"plan": plan}).json()
    act = {"pidx": started["pidx"], "action": "pay"}
    assert requests.post(f"{demo.simulator_url}control/khalti/", json=act, timeout=20).ok
    verified = demo.ask("POST", "/billing/khalti/verify/", json={"reference": started["reference"]})
    assert verified.status_code == 200, verified.text
    return str(started["reference"])


def known(demo: Demo, document: dict[str, Any]) -> dict[str, Any]:
    """The description with what this site has in place of "any text": its plans, its payments, where pages begin."""
    plans = {"type": "string", "enum": ["BASIC", "PRO"]}
    references = {"examples": [paid(demo, plan) for plan in plans["enum"]]}
    # Two features with a history.
    assert demo.ask("POST", "/api/invoices/", json={"customer": 1, "amount": "10"}).status_code == 201
    assert demo.ask("GET", "/api/invoices/").status_code == 200
    schemas, parameters = document["components"]["schemas"], document["components"]["parameters"]
    schemas["PlanCode"], schemas["Term"] = plans, {"type": "string", "enum": ["month"]}
    schemas["PaymentName"]["examples"] = [{"reference": reference} for reference in references["examples"]]
    parameters["Gateway"]["schema"] = {"type": "string", "enum": ["khalti"]}
    parameters["Reference"]["schema"] |= references
    for path, _method, operation in operations(document):
        if PAGED in operation.get("parameters", []):
            url = urlsplit(demo.ask("GET", f"/billing{path}?limit=1").json()["next"])
            here = {"type": "string", "enum": parse_qs(url.query)["after"]}
            operation["parameters"].remove(PAGED)
            operation["parameters"].append({**parameters["After"], "schema": here})
    return closed(document)  # type: ignore[no-any-return]


def test_schemathesis_finds_nothing_to_complain_of(demo: Demo, document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "openapi.json").write_text(json.dumps(known(demo, deepcopy(document))))
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", f"{demo.url}/billing",
        "--header", f"Authorization: Bearer {demo.token('samir')}", "--checks", "all", "--max-examples", "5",
        "--seed", "1", "--workers", "4", "--generation-database", "none",
        "--generation-with-security-parameters", "false", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in demo.text
