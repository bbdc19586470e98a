"""The API's description for programs (OpenAPI 3.1), made of the routes themselves.

A route that is added is described by what it says of itself; nothing is written twice.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from facewatch import __version__
from facewatch.api.family import Family, OpenRoute, Refusal, Route, Side

Json: TypeAlias = dict[str, Any]
_Mode: TypeAlias = Literal["validation", "serialization"]

_REF = "#/components/schemas/"
_MODES: dict[Side, _Mode] = {Side.REQUEST: "validation", Side.RESPONSE: "serialization"}
_LATER = frozenset({429, 503})
_HEADERS = {
    "X-Request-Id": {
        "description": "The request's own, where it is a plain word, else one of ours.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    },
    "Location": {
        "description": "Where the new thing is.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "Where the ways to show a key are described (RFC 9728).",
        "schema": {"type": "string"},
    },
}


def document(families: Sequence[Family], open_routes: Sequence[OpenRoute]) -> Json:
    """Every route of *families*, and those that need no key."""
    schemas = _Schemas(families, open_routes)
    paths: dict[str, Json] = {}
    for open_route in open_routes:
        paths.setdefault(open_route.path, {})["get"] = _open(open_route, schemas)
    for family in families:
        for route in family.routes:
            methods = paths.setdefault(_plain(route.path), {})
            methods[route.method.lower()] = _operation(family, route, schemas)
    security = {name: way for family in families for name, way in family.style.security.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "facewatch",
            "version": __version__,
            "description": "Who was seen, by which camera, and when. `/api/faceRecognition` is "
            "the contract of Rhombus' face API, `/api/faces`, `people`, `assets` and `search` that "
            "of Gumnut's, `/api/v1` what neither has.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "headers": _HEADERS,
            "schemas": schemas.published(),
            "securitySchemes": security,
        },
    }


def _operation(family: Family, route: Route, schemas: "_Schemas") -> Json:
    style = family.style
    summary, _, more = route.about.partition("\n\n")
    role = f"A key of role `{route.needs}` or more."
    described: Json = {
        "operationId": _name(route),
        "tags": [style.tag(route)],
        "summary": " ".join(summary.split()),
        "description": f"{more}\n\n{role}".strip(),
        "security": [{name: []} for name in style.security],
        "parameters": [*style.parameters, *_parameters(route, schemas)],
        "responses": {
            str(status): _success(family, route, schemas, status)
            for status in (route.status, route.again)
            if status is not None
        },
    }
    if route.takes is not None:
        described["requestBody"] = {"required": True, "content": _body(family, route, schemas)}
    for refusal in style.refusals:
        if route.takes is not None or refusal.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            described["responses"][str(refusal.status)] = _refused(refusal, schemas)
    return described


def _open(route: OpenRoute, schemas: "_Schemas") -> Json:
    summary, _, more = route.about.partition("\n\n")
    answer = {"description": "OK", "content": schemas.content(route.gives)}
    return {
        "operationId": to_camel(route.name),
        "tags": ["Operation"],
        "summary": " ".join(summary.split()),
        "description": more,
        "security": [],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _IN_PATH.findall(route.path)
        ],
        "responses": {str(status): {**answer, "headers": _headers()} for status in route.statuses},
    }


_IN_PATH = re.compile(r"{(\w+)[^}]*}")


def _plain(path: str) -> str:
    """*path* without what aiohttp is told beside the names."""
    return _IN_PATH.sub(r"{\1}", path)


def _name(route: Route) -> str:
    return route.name or route.path.rpartition("/")[2]


def _success(family: Family, route: Route, schemas: "_Schemas", status: int) -> Json:
    about = {"description": HTTPStatus(status).phrase, "headers": _headers(status)}
    if route.gives is None:
        return about
    title = family.style.title(route, Side.RESPONSE)
    content = schemas.content(route.gives, title)
    if family.style.failure is not None and isinstance(route.gives, type):
        schema = content["application/json"]["schema"]
        no = schemas.ref(family.style.failure, Side.RESPONSE)
        content["application/json"]["schema"] = {"anyOf": [no, schema]}
    return {**about, "content": content}


def _refused(refusal: Refusal, schemas: "_Schemas") -> Json:
    content = schemas.content(refusal.gives, media_type=refusal.media_type)
    return {"description": refusal.when, "content": content, "headers": _headers(refusal.status)}


def _headers(status: int = 200) -> Json:
    names = ["X-Request-Id"]
    if status in _LATER:
        names.append("Retry-After")
    if status == HTTPStatus.CREATED:
        names.append("Location")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _body(family: Family, route: Route, schemas: "_Schemas") -> Json:
    if not (route.takes and issubclass(route.takes, BaseModel)):
        file = {"type": "string", "format": "binary", "description": "Any name of a part does."}
        whole = {"type": "object", "properties": {"file": file}, "required": ["file"]}
        return {"multipart/form-data": {"schema": whole}}
    title = family.style.title(route, Side.REQUEST)
    elsewhere = _IN_PATH.findall(route.path) if route.query is route.takes else ()
    schema = schemas.ref(route.takes, Side.REQUEST, title, without=elsewhere)
    return {"multipart/form-data" if route.form else "application/json": {"schema": schema}}


def _parameters(route: Route, schemas: "_Schemas") -> Iterator[Json]:
    """Those of the path, and where the body is another message, those of the query."""
    named = set(_IN_PATH.findall(route.path))
    schema = schemas.whole(route.query) if route.query else {"properties": {}}
    for name in sorted(named - schema["properties"].keys()):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name, described in schema["properties"].items():
        if name not in named and route.query is route.takes:
            continue
        about = described.get("description")
        yield {
            "name": name,
            "in": "path" if name in named else "query",
            "required": name in named or name in schema.get("required", ()),
            **({"description": about} if about else {}),
            "schema": {key: it for key, it in described.items() if key != "description"},
        }


class _Schemas:
    """The messages' schemas: each under one name, however many routes speak of it."""

    def __init__(self, families: Sequence[Family], open_routes: Sequence[OpenRoute]) -> None:
        pairs = dict.fromkeys(_models(families, open_routes))
        found, whole = models_json_schema(
            [(model, _MODES[side]) for model, side in pairs],
            ref_template=_REF + "{model}",
            schema_generator=_Generator,
        )
        titled = _titled(whole["$defs"])
        text = json.dumps([whole["$defs"], [found[it, _MODES[side]] for it, side in pairs]])
        text = re.sub(f'"{_REF}([^"]+)"', lambda it: f'"{_REF}{titled[it[1]]}"', text)
        schemas, refs = json.loads(text)
        self._all = {titled[name]: _attributed(schema) for name, schema in schemas.items()}
        self._names = dict(zip(pairs, (_referred(ref) for ref in refs), strict=True))
        self._published: Json = {}

    def whole(self, model: type[BaseModel]) -> Json:
        """What a request of *model* holds."""
        schema: Json = self._all[self._names[model, Side.REQUEST]]
        return schema

    def content(
        self,
        gives: type[BaseModel] | str,
        title: str | None = None,
        media_type: str = "application/json",
    ) -> Json:
        """What an answer holds, by media type."""
        if gives == "application/json":
            return {gives: {"schema": {"type": "object"}}}
        if isinstance(gives, str):
            form = {} if gives.startswith("text/") else {"format": "binary"}
            return {gives: {"schema": {"type": "string", **form}}}
        return {media_type: {"schema": self.ref(gives, Side.RESPONSE, title)}}

    def ref(
        self,
        model: type[BaseModel],
        side: Side,
        title: str | None = None,
        without: Sequence[str] = (),
    ) -> Json:
        """Publish *model*, called *title* where one is given, and refer to it.

        Raises:
            ValueError: something else is called so already.
        """
        name = self._names[model, side]
        schema = _without(self._all[name], without)
        if title is not None:
            name, schema = title, {**schema, "title": title}
        if self._published.setdefault(name, schema) != schema:
            raise ValueError(f"two messages are called {name}")
        return {"$ref": _REF + name}

    def published(self) -> Json:
        """Those that were referred to, and what they refer to, by name."""
        waiting = list(self._published)
        while waiting:
            text = json.dumps(self._published[waiting.pop()])
            for name in re.findall(f'"{_REF}([^"]+)"', text):
                if name not in self._published:
                    self._published[name] = self._all[name]
                    waiting.append(name)
        return dict(sorted(self._published.items()))


class _Generator(GenerateJsonSchema):
    """As pydantic writes schemas, without titles of fields, and null in the shortest way."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if not isinstance(inner.get("type"), str) or "enum" in inner or "const" in inner:
            return {"anyOf": [inner, {"type": "null"}]}
        return {**inner, "type": [inner["type"], "null"]}

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        """What is left out where it is null is never null."""
        found = super().model_field_schema(schema)
        if self.mode == "serialization" and schema.get("serialization_exclude_if") is not None:
            return _not_null(found)
        return found


def _not_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    found = {key: it for key, it in schema.items() if key not in ("anyOf", "default")}
    kinds = found.get("type")
    if isinstance(kinds, list):
        return {**found, "type": next(it for it in kinds if it != "null")}
    others = [it for it in schema.get("anyOf", ()) if it != {"type": "null"}]
    return {**others[0], **found} if len(others) == 1 else schema


def _models(
    families: Sequence[Family], open_routes: Sequence[OpenRoute]
) -> Iterator[tuple[type[BaseModel], Side]]:
    for family in families:
        answers = [refusal.gives for refusal in family.style.refusals]
        for answer in (family.style.failure, *answers, *(it.gives for it in family.routes)):
            yield from _one(answer, Side.RESPONSE)
        for route in family.routes:
            yield from _one(route.takes, Side.REQUEST)
            yield from _one(route.query, Side.REQUEST)
    for open_route in open_routes:
        yield from _one(open_route.gives, Side.RESPONSE)


def _one(given: object, side: Side) -> Iterator[tuple[type[BaseModel], Side]]:
    if isinstance(given, type) and issubclass(given, BaseModel):
        yield given, side


def _titled(schemas: Mapping[str, Json]) -> dict[str, str]:
    """What each schema is to be called: its title, where no other has that too."""
    wanted = {
        name: re.sub(r"\W+", "_", schema.get("title", name)).strip("_")
        for name, schema in schemas.items()
    }
    counts = Counter(wanted.values())
    return {name: title if counts[title] == 1 else name for name, title in wanted.items()}


def _attributed(schema: Json) -> Json:
    """*schema* with what its class' docstring says of each attribute at that attribute."""
    about, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    if not about:
        return schema
    fields = schema.get("properties", {})
    for name, said in _ATTRIBUTE.findall(attributes):
        field = name if name in fields else to_camel(name)
        fields[field] = {**fields[field], "description": " ".join(said.split())}
    return {**schema, "description": about}


_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def _without(schema: Json, names: Sequence[str]) -> Json:
    if not names:
        return schema
    kept = {name: it for name, it in schema["properties"].items() if name not in names}
    required = [name for name in schema.get("required", ()) if name not in names]
    return {**schema, "properties": kept, "required": required}


def _referred(ref: Json) -> str:
    return str(ref["$ref"]).removeprefix(_REF)
