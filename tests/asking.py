"""What each operation can be asked, read from the description that is made of its route.

A place is where a value stands: `path.camera`, `query.cursor`, `body.searchFilter.labels[]`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from facewatch.api import docs, ops
from facewatch.api.server import FAMILIES

Schema = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One of the description's; *id* is its `operationId`."""

    id: str
    method: str
    path: str
    said: Schema

    @property
    def in_rhombus(self) -> bool:
        return self.path.startswith("/api/faceRecognition/")

    @property
    def takes_files(self) -> bool:
        return "multipart/form-data" in str(self.said.get("requestBody"))


@cache
def document() -> Schema:
    said: Schema = json.loads(docs.description(FAMILIES, [*ops.ROUTES, *docs.ROUTES]))
    return said


def operations() -> list[Operation]:
    """Those that need a key."""
    return [
        Operation(said["operationId"], method.upper(), path, said)
        for path, methods in document()["paths"].items()
        for method, said in methods.items()
        if said.get("security") != []
    ]


def places(operation: Operation) -> dict[str, list[Schema]]:
    """Where a value may stand, and what it may be there."""
    found: dict[str, list[Schema]] = {}
    for where, schema in _roots(operation):
        for place, leaf in _leaves(schema, where):
            found.setdefault(place, []).append(leaf)
    return found


def kinds(schema: Schema) -> set[str]:
    """The JSON types that *schema* allows."""
    said = schema["type"]
    return {said} if isinstance(said, str) else set(said)


def needed(operation: Operation) -> list[str]:
    """The places that may not be empty, whatever else is asked."""
    return [place for where, schema in _roots(operation) for place in _required(schema, where)] + [
        f"path.{it['name']}" for it in operation.said["parameters"] if it.get("in") == "path"
    ]


def asked(given: Mapping[str, object]) -> tuple[dict[str, str], dict[str, Any], Any]:
    """Values by their places, as what goes into the path, the query and the body."""
    whole: dict[str, Any] = {"path": {}, "query": {}, "body": {}}
    for place, value in given.items():
        *steps, last = place.split(".")
        at = whole
        for step in steps:
            at = at.setdefault(step, {})
        if last.endswith("[]"):
            at.setdefault(last[:-2], []).extend(value if isinstance(value, list) else [value])
        else:
            at[last] = value
    return whole["path"], whole["query"], whole["body"]


def _roots(operation: Operation) -> Iterator[tuple[str, Schema]]:
    for it in operation.said["parameters"]:
        if it.get("in") in ("path", "query"):
            yield f"{it['in']}.{it['name']}", it["schema"]
    content = operation.said.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        yield "body", content["application/json"]["schema"]


def _leaves(schema: Schema, place: str) -> Iterator[tuple[str, Schema]]:
    for one in _alternatives(schema):
        if "object" in kinds(one) and "properties" in one:
            for name, it in one["properties"].items():
                yield from _leaves(it, f"{place}.{name}")
        elif "array" in kinds(one):
            yield from _leaves(one["items"], f"{place}[]")
        elif kinds(one) != {"null"}:
            yield place, one


def _required(schema: Schema, place: str) -> Iterator[str]:
    one = _alternatives(schema)[0]
    for name in one.get("required", []):
        is_list = "array" in kinds(_alternatives(one["properties"][name])[0])
        yield f"{place}.{name}" + "[]" * is_list


def _alternatives(schema: Schema) -> list[Schema]:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" not in schema:
        return [schema]
    return [found for one in schema["anyOf"] for found in _alternatives(one)]
