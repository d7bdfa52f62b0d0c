"""The reference of the API: openapi.json with a sentence and an example everywhere, and the page people read it on.

Shapes come from the code, sentences and examples from reference.yaml. Nothing here is fetched from elsewhere.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.deps import Requires

Json = Any
Schema = dict[str, Json]
PROBLEM = "application/problem+json"
UNTOLD = "Successful Response"  # what FastAPI says when nobody said anything


@cache
def _words() -> dict[str, Json]:
    words: dict[str, Json] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return words


class Documented(FastAPI):
    """FastAPI whose openapi.json is finished by `finish`."""

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = finish(super().openapi(), permissions(self))
        return self.openapi_schema


def permissions(app: FastAPI) -> dict[tuple[str, str], str]:
    """(path, method) → the permission it takes. Routes that are open to all are left out."""
    found: dict[tuple[str, str], str] = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for rule in _rules(route.dependant):
                found |= {(route.path or "", method.lower()): str(rule.permission) for method in route.methods or ()}
    return found


def _rules(dependant: Dependant) -> Iterator[Requires]:
    if isinstance(dependant.call, Requires):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _rules(inner)


# -- openapi.json -----------------------------------------------------------------------------------------------------


def finish(document: Schema, needed: Mapping[tuple[str, str], str]) -> Schema:
    """Sentences, examples and permissions put in; what the code says itself is kept."""
    words = _words()
    document["tags"] = [{"name": name, "description": told} for name, told in words["tags"].items()]
    for name, schema in document["components"]["schemas"].items():
        own = words["schemas"].get(name.removeprefix("Listed_").rstrip("_"), {})
        for field, about in schema.get("properties", {}).items():
            _tell(about, own.get(field) or words["fields"].get(field) or {})
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _finish_operation(document, operation, needed.get((path, method), ""))
    return document


def _tell(about: Schema, said: Mapping[str, Json]) -> None:
    if "is" in said:
        about.setdefault("description", said["is"])
    if "like" in said:
        about.setdefault("examples", [said["like"]])


def _finish_operation(document: Schema, operation: Schema, permission: str) -> None:
    for parameter in operation.get("parameters", []):
        said = _words()["parameters"].get(parameter["name"], {})
        parameter.setdefault("description", said.get("is", ""))
        parameter.setdefault("example", said.get("like", example_of(document, parameter["schema"])))
    if permission:
        told = operation.get("description", "")
        operation["description"] = f"{told}\n\nNeeds the permission `{permission}`.".strip()
        operation["x-permission"] = permission
    bodies = [operation["requestBody"]["content"]] if "requestBody" in operation else []
    for media in (media for content in bodies for media in content.values()):
        media.setdefault("example", example_of(document, media["schema"]))
    for status, answer in operation["responses"].items():
        if answer["description"] == UNTOLD:
            answer["description"] = HTTPStatus(int(status)).phrase
        if PROBLEM in answer.get("content", {}):
            answer["content"].pop("application/json", None)  # which FastAPI puts in beside it
        for kind, media in answer.get("content", {}).items():
            if kind == PROBLEM:
                media["example"] = _problem(int(status))
            elif "schema" in media:
                media.setdefault("example", example_of(document, media["schema"]))


def _problem(status: int) -> Schema:
    told = _words()["problems"][status]
    about = {"type": f"urn:prosa:problem:{told['code']}", "title": HTTPStatus(status).phrase, "status": status}
    return about | {"detail": told["detail"], "code": told["code"]}


def resolved(document: Schema, schema: Schema) -> Schema:
    """Follow `$ref`; of "this or null", this."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return resolved(document, next(each for each in schema["anyOf"] if each.get("type") != "null"))
    return schema


def example_of(document: Schema, schema: Schema) -> Json:
    """What a value of this schema looks like: its own example, else one made of the examples of its parts."""
    for about in (schema, resolved(document, schema)):
        if "example" in about:
            return about["example"]
        if about.get("examples"):
            return about["examples"][0]
        if "default" in about:
            return about["default"]
    if "enum" in about or "const" in about:
        return about.get("const", about.get("enum", [None])[0])
    match about.get("type"):
        case "array":
            return [example_of(document, about["items"])]
        case "object":
            return {name: example_of(document, part) for name, part in about.get("properties", {}).items()}
    return None


# -- the page ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    schema: str  # the schema it is made of, "" for a plain value
    required: bool
    told: str
    place: str = ""  # of a parameter: path, query or header


@dataclass(frozen=True, slots=True)
class Reply:
    status: str
    told: str
    schema: str
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    told: tuple[str, ...]  # paragraphs
    permission: str
    parameters: tuple[Field, ...]
    body: str  # the schema's name
    body_example: str
    replies: tuple[Reply, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    told: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    told: str
    fields: tuple[Field, ...]


def groups(document: Schema) -> list[Group]:
    """The operations, tag by tag."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found[operation["tags"][0]].append(_operation(document, path, method, operation))
    return [Group(tag["name"], tag["description"], tuple(found[tag["name"]])) for tag in document["tags"]]


def shapes(document: Schema) -> list[Shape]:
    """What is sent and answered, by name; words of a choice are told where they are used."""
    return [
        Shape(title_of(name), schema.get("description", ""), _fields(document, schema))
        for name, schema in sorted(document["components"]["schemas"].items())
        if "properties" in schema or "oneOf" in schema
    ]


def title_of(name: str) -> str:
    """`Listed_CallSummary_` is a page of them."""
    return f"Page of {name[7:-1]}" if name.startswith("Listed_") else name


def _operation(document: Schema, path: str, method: str, operation: Schema) -> Operation:
    parameters = tuple(
        Field(
            parameter["name"],
            *_kind(document, parameter["schema"]),
            parameter.get("required", False),
            parameter["description"],
            parameter["in"],
        )
        for parameter in operation.get("parameters", [])
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        told=tuple(
            part for part in operation.get("description", "").split("\n\n") if not part.startswith("Needs the perm")
        ),
        permission=operation.get("x-permission", ""),
        parameters=parameters,
        body=_kind(document, body["schema"])[1] if body else "",
        body_example=_pretty(body["example"]) if body else "",
        replies=tuple(_reply(document, status, answer) for status, answer in operation["responses"].items()),
        curl=_curl(path, method, operation, body),
    )


def _reply(document: Schema, status: str, answer: Schema) -> Reply:
    for media in answer.get("content", {}).values():
        if "schema" in media:
            kind, schema = _kind(document, media["schema"])
            return Reply(status, answer["description"], schema or kind, _pretty(media["example"]))
    return Reply(status, answer["description"], "", "")


def _fields(document: Schema, schema: Schema) -> tuple[Field, ...]:
    if "oneOf" in schema:
        return tuple(_alternative(document, each) for each in schema["oneOf"])
    required = schema.get("required", [])
    return tuple(
        Field(name, *_kind(document, about), name in required, about.get("description", ""))
        for name, about in schema["properties"].items()
    )


def _alternative(document: Schema, schema: Schema) -> Field:
    """One of several shapes, by what its `type` says."""
    about = resolved(document, schema)
    name = str(about["properties"]["type"]["const"])
    return Field(name, *_kind(document, schema), False, about.get("description", ""))


def _kind(document: Schema, schema: Schema) -> tuple[str, str]:
    """(in words, name of the schema it is made of): ("list", "StepAnswer"), ("string, date-time or null", "")."""
    if "anyOf" in schema:
        kinds = [_kind(document, each) for each in schema["anyOf"]]
        return " or ".join(kind for kind, _ in kinds if kind), next((made for _, made in kinds if made), "")
    if "$ref" in schema:
        about = resolved(document, schema)
        name = schema["$ref"].rpartition("/")[2]
        return (_choice(about), "") if "enum" in about else ("", title_of(name))
    if schema.get("type") == "array":
        kind, made = _kind(document, schema["items"])
        return (f"list of {kind}" if kind else "list", made)
    if "enum" in schema or "const" in schema:
        return _choice(schema), ""
    kind = str(schema.get("type", "any"))
    return (f"{kind}, {schema['format']}" if "format" in schema else kind), ""


def _choice(schema: Schema) -> str:
    return " | ".join(str(word) for word in schema.get("enum", [schema.get("const")]))


def _curl(path: str, method: str, operation: Schema, body: Schema) -> str:
    """A line for a terminal. `$PROSA` is the address, `$TOKEN` the token."""
    given = {p["name"]: p["example"] for p in operation.get("parameters", []) if p.get("required")}
    query = "&".join(f"{p['name']}={given[p['name']]}" for p in _in(operation, "query") if p["name"] in given)
    parts = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    if "security" in operation:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    # An example of `If-Match` fits nothing that there is: sent as it stands, it would only be refused.
    sent = [header for header in _in(operation, "header") if header["name"] != "If-Match"]
    headers = [f"{header['name']}: {header['example']}" for header in sent]
    parts += [f"-H {shlex.quote(header)}" for header in headers]
    if body:
        parts.append("--json " + shlex.quote(json.dumps(body["example"], ensure_ascii=False)))
    where = path.format(**given) + (f"?{query}" if query else "")
    parts.append(f'"$PROSA{where}"')
    return " ".join(parts)


def _in(operation: Schema, place: str) -> list[Schema]:
    return [parameter for parameter in operation.get("parameters", []) if parameter["in"] == place]


def _pretty(example: Json) -> str:
    return json.dumps(example, ensure_ascii=False, indent=2)
