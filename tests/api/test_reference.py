"""The reference: everything is told, every example is one that its own schema takes, and nothing points nowhere."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx import AsyncClient
from pydantic import TypeAdapter

from api import reference
from api.main import build
from ura.settings import Settings
from ura.users import Permission

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FILES = ("audio/", "application/zip")  # nobody writes one by hand
METHODS = {"get", "post", "put", "patch", "delete"}
Json = Any


@pytest.fixture
def document(settings: Settings) -> dict[str, Json]:
    return build(settings).openapi()


def operations(document: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    for path, methods in document["paths"].items():
        assert set(methods) <= METHODS
        yield from ((f"{method} {path}", operation) for method, operation in methods.items())


def test_every_operation_parameter_and_field_is_told(document: dict[str, Json]) -> None:
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(tags.values())
    for where, operation in operations(document):
        assert operation["tags"][0] in tags, where
        assert operation["summary"], where
        for parameter in operation.get("parameters", []):
            assert parameter["description"], f"{where} {parameter['name']}"
            assert parameter["example"] is not None, f"{where} {parameter['name']}"
    for name, schema in document["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            assert about.get("description"), f"{name}.{field}"


def test_every_answer_and_body_has_an_example(document: dict[str, Json]) -> None:
    for where, operation in operations(document):
        contents = [answer["content"] for answer in operation["responses"].values() if "content" in answer]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for media_type, media in ((kind, media) for content in contents for kind, media in content.items()):
            assert media.get("example") is not None or media_type.startswith(FILES), f"{where} {media_type}"


def test_every_example_is_taken_by_its_own_model(settings: Settings) -> None:
    """Of answers and bodies, by the very models that the routes use."""
    app = build(settings)
    document = app.openapi()
    tried = 0
    for route in reference.iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute) or not route.original_route.include_in_schema:
            continue
        for method in route.methods:
            operation = document["paths"].get(route.path, {}).get(method.lower())
            if operation is None:
                continue
            success = operation["responses"][str(route.original_route.status_code or 200)]
            example = success.get("content", {}).get("application/json", {}).get("example")
            if example is not None:
                TypeAdapter(route.original_route.response_model).validate_python(_lax(example))
                tried += 1
            if route.original_route.body_field is not None:
                body = operation["requestBody"]["content"]["application/json"]["example"]
                TypeAdapter(route.original_route.body_field.field_info.annotation).validate_python(body)
                tried += 1
    assert tried > 20


def _lax(example: Json) -> Json:
    """Money travels as text; a model that answers takes it as a Decimal."""
    return json.loads(json.dumps(example), parse_float=Decimal)


def test_no_reference_points_nowhere_and_no_two_operations_share_a_name(document: dict[str, Json]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    asked = {part.split('"')[1] for part in json.dumps(document).split('"$ref": ')[1:]}
    assert asked <= known
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_operation_names_its_permission_and_the_token(document: dict[str, Json]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for where, operation in operations(document):
        if where == "get /api/v1/health":
            assert "security" not in operation
            continue
        assert operation["x-permission"] in set(Permission), where
        assert operation["x-permission"] in operation["description"]
        assert {"token": []} in operation["security"], where


def test_nothing_is_told_that_is_not_there(document: dict[str, Json]) -> None:
    """A sentence of a field that was renamed would lie in wait."""
    words = yaml.safe_load(reference.Path(reference.__file__).with_suffix(".yaml").read_text())
    schemas = document["components"]["schemas"]
    fields = {field for schema in schemas.values() for field in schema.get("properties", {})}
    parameters = {p["name"] for _, operation in operations(document) for p in operation.get("parameters", [])}
    assert set(words["fields"]) <= fields | parameters
    assert set(words["parameters"]) <= parameters
    for name, own in words["schemas"].items():
        assert set(own) <= set(schemas[name]["properties"]), name
    assert set(words["tags"]) == {operation["tags"][0] for _, operation in operations(document)}


async def test_the_page_is_open_to_all_and_shows_every_operation(
    app: FastAPI, stranger: AsyncClient, document: dict[str, Json]
) -> None:
    answer = await stranger.get("/api/v1/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for where, operation in operations(document):
        assert f'id="{operation["operationId"]}"' in answer.text, where
        assert where.split()[1] in answer.text
