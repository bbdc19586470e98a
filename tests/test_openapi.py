"""Our description of the API: what is in it, that Rhombus' clients fit it, and that it is true."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from contract import VENV, ran
from described import follows
from factories import ORG, a_camera, a_decision, a_record, some_deps
from openapi_spec_validator import validate
from yarl import URL

from facewatch.api import docs, ops
from facewatch.api.server import FAMILIES, application, serving
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"
README = Path(__file__).parents[1] / "README.md"
NEVER_GIVEN_BACK = {"email"}
"""Rhombus' own service gives it on no reading path."""

OURS_AS_WELL = {"warningMsg"}
"""Rhombus' answers say it of a whole answer, ours of one photo of many as well."""


@cache
def document() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(docs.description(FAMILIES, [*ops.ROUTES, *docs.ROUTES]))
    return said


@cache
def contract() -> dict[str, Any]:
    if not CONTRACT.exists():
        pytest.skip("../shared/spec is not here")
    said: dict[str, Any] = json.loads(CONTRACT.read_text())
    return said


def operations(whole: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_openapi() -> None:
    validate(document())


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    said = [operation for _, _, operation in operations(document())]

    assert len({it["operationId"] for it in said}) == len(said)
    assert [it["operationId"] for it in said if not it["summary"] or not it["tags"]] == []


async def test_what_is_served_is_described_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    app = application(some_deps(database, tmp_path))
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    of_the_page = {it for it in served if it[1].startswith("/api/docs")}

    assert served - of_the_page == {(method, path) for method, path, _ in operations(document())}


# --- Rhombus' document ------------------------------------------------------------------------


def resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def kinds(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By JSON type, null among them, what the schema says of it."""
    schema = resolved(schema, whole)
    if "anyOf" in schema:
        return {kind: it for one in schema["anyOf"] for kind, it in kinds(one, whole).items()}
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if schema.get("nullable"):
        named = [*named, "null"]
    return dict.fromkeys(named, schema)


def name_of(schema: dict[str, Any]) -> str | None:
    if "anyOf" in schema:
        return next((name for it in schema["anyOf"] if (name := name_of(it))), None)
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def compare(theirs: dict[str, Any], ours: dict[str, Any], where: str, asking: bool) -> None:
    """What Rhombus' clients send we take, and what we answer they take."""
    assert name_of(theirs) == name_of(ours), where
    their_kinds, our_kinds = kinds(theirs, contract()), kinds(ours, document())
    if asking:
        assert their_kinds.keys() <= our_kinds.keys(), where
    else:
        assert our_kinds.keys() <= their_kinds.keys(), where
        assert our_kinds.keys() - {"null"}, where
    for kind in (their_kinds.keys() & our_kinds.keys()) - {"null"}:
        compare_kind(their_kinds[kind], our_kinds[kind], where, asking)


def compare_kind(theirs: dict[str, Any], ours: dict[str, Any], where: str, asking: bool) -> None:
    for word in ("format", "enum", "default"):
        assert theirs.get(word) == ours.get(word), f"{where}: {word}"
    if asking:
        for word in ("minimum", "maximum", "pattern"):
            assert word not in theirs or theirs[word] == ours[word], f"{where}: {word}"
    if "items" in theirs:
        compare(theirs["items"], ours["items"], where + "[]", asking)
    if isinstance(theirs.get("additionalProperties"), dict):
        said = theirs["additionalProperties"], ours["additionalProperties"]
        compare(*said, where + "{}", asking)
    fields, our_fields = theirs.get("properties", {}), ours.get("properties", {})
    missing = fields.keys() ^ our_fields.keys()
    assert missing <= (set() if asking else NEVER_GIVEN_BACK | OURS_AS_WELL), where
    for name in fields.keys() & our_fields.keys():
        compare(fields[name], our_fields[name], f"{where}.{name}", asking)


OPERATIONS = (
    sorted(json.loads(CONTRACT.read_text())["paths"]) if CONTRACT.exists() else ["(no contract)"]
)


@pytest.mark.parametrize("path", OPERATIONS)
def test_what_fits_rhombus_document_fits_ours(path: str) -> None:
    theirs, ours = contract()["paths"][path]["post"], document()["paths"][path]["post"]

    assert [ours[it] for it in ("operationId", "tags")] == [
        theirs[it] for it in ("operationId", "tags")
    ]
    parameters = {(it["name"], it["in"]): it for it in ours["parameters"]}
    assert parameters.keys() == {(it["name"], it["in"]) for it in theirs["parameters"]}
    for it in theirs["parameters"]:
        told = parameters[it["name"], it["in"]]
        assert told.get("required", False) == it.get("required", False)
        compare(it["schema"], told["schema"], f"{path} {it['name']}", asking=True)
    asked, taken = theirs["requestBody"]["content"], ours["requestBody"]["content"]
    assert asked.keys() == taken.keys()
    if "application/json" in asked:
        compare(*(it["application/json"]["schema"] for it in (asked, taken)), path, asking=True)
    answers = [it["responses"]["200"]["content"]["application/json"] for it in (theirs, ours)]
    failure, answer = answers[1]["schema"]["anyOf"]
    assert name_of(failure) == "BaseApiResponse"
    compare(answers[0]["schema"], answer, path, asking=False)
    assert (
        contract()["components"]["securitySchemes"]["ApiKeyAuth"].items()
        <= {
            **document()["components"]["securitySchemes"]["ApiKeyAuth"],
            "description": contract()["components"]["securitySchemes"]["ApiKeyAuth"]["description"],
        }.items()
    )


# --- a running service ------------------------------------------------------------------------


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """An admin of an org with one person, and a visit of theirs."""
    camera = a_camera()
    await PostgresCameras(database, Vault(tmp_path)).add(camera)
    ann = await PostgresPeople(database).create(ORG, "Ann")
    await PostgresFaceEvents(database).add([a_record(camera.id, decision=a_decision(ann.id))])
    _, key = await PostgresKeys(database).create(ORG, "it", "admin")
    headers = {"x-auth-apikey": key, "x-auth-scheme": "api-token"}
    app = application(some_deps(database, tmp_path))
    async with (
        serving(app, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield client


async def asked(
    client: aiohttp.ClientSession, path: str, method: str = "POST", **how: Any
) -> tuple[int, Any]:
    """Status and body of an answer that is as the served document says."""
    async with client.get("/api/openapi/public.json") as answer:
        served = await answer.json()
        assert answer.status == 200
    async with client.request(method, path, **how) as answer:
        body = await answer.read()
        follows(served, path, answer, body)
        return answer.status, json.loads(body) if answer.content_type.endswith("json") else body


EVENT = "/api/faceRecognition/faceEvent"
PERSON = "/api/faceRecognition/person"


async def test_answers_are_as_described(client: aiohttp.ClientSession) -> None:
    _, people = await asked(client, f"{PERSON}/findPeopleByOrg", json={})
    ann = people["people"][0]["uuid"]
    window = {"timestampFilter": {"rangeStart": 0}, "personUuids": [ann]}
    _, page = await asked(client, f"{EVENT}/findFaceEventsByOrg", json={"searchFilter": window})
    event = page["faceEvents"][0]["uuid"]

    for path, message in (
        (f"{EVENT}/getFaceEvent", {"eventUuid": event}),
        (f"{EVENT}/updateFaceEvent", {"eventUuid": event, "personName": "Bob"}),
        (f"{EVENT}/deleteFaceEvent", {"eventUuid": event}),
        (f"{PERSON}/getPerson", {"personUuid": ann}),
        (f"{PERSON}/addPersonLabel", {"personUuid": ann, "label": "VIP"}),
        (f"{PERSON}/findPersonLabelsByOrg", {}),
    ):
        status, answer = await asked(client, path, json=message)
        assert (status, answer.get("error")) == (200, None)
    for path in ("/healthz", "/readyz", "/metrics", "/api/openapi/public.json"):
        assert (await asked(client, path, "GET"))[0] == 200
    assert (await asked(client, "/.well-known/oauth-protected-resource", "GET"))[0] == 200


async def test_refusals_are_as_described(client: aiohttp.ClientSession) -> None:
    get = f"{EVENT}/getFaceEvent"
    no_key = {"x-auth-apikey": ""}

    assert (await asked(client, get, json={}))[1]["error"] is True
    assert (await asked(client, get, json={"eventUuid": 7}))[0] == 400
    assert (await asked(client, get, json={}, headers=no_key))[0] == 401
    assert (await asked(client, get, json={}, headers={"x-auth-apikey": "not ours"}))[0] == 403
    assert (await asked(client, get, data=b" " * (2 << 20)))[0] == 413
    assert (await asked(client, "/media/faces", "GET", params={"s3ObjectKey": "it"}))[0] == 404
    assert (await asked(client, "/api/v1/org", "GET", headers=no_key))[0] == 401
    assert (await asked(client, "/api/v1/org", "PATCH", json={"match_threshold": 7}))[0] == 400


async def test_a_database_that_is_down_is_described(
    client: aiohttp.ClientSession, database: Database
) -> None:
    await asked(client, f"{PERSON}/findPeopleByOrg", json={})
    await database._pool.close()

    assert (await asked(client, f"{PERSON}/findPeopleByOrg", json={}))[0] == 503
    assert (await asked(client, "/api/v1/org", "GET"))[0] == 503


async def test_who_has_the_document_is_not_sent_it_again(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/openapi/public.json") as first:
        tag = first.headers["ETag"]
    async with client.get("/api/openapi/public.json", headers={"If-None-Match": tag}) as again:
        assert (again.status, await again.read()) == (304, b"")


async def test_the_page_is_whole_and_asks_nobody_else(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/docs", headers={"x-auth-apikey": ""}) as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        base = answer.url
    found = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert len(found) == 4
    for it in found:
        async with client.get(base.join(URL(it))) as answer:
            assert answer.status == 200, it
            assert answer.url.host == base.host
            assert (await answer.read()) != b""
            assert answer.content_type.partition("/")[2] in ("css", "javascript", "png")


async def test_the_readmes_example_runs_as_it_stands(
    client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    if not VENV.exists():
        pytest.skip("no .venvs/contract: run tests/oracle/make_contract.sh")
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example
    async with client.get("/healthz") as answer:
        here = str(answer.url.origin())
    key = client.headers["x-auth-apikey"]
    program = tmp_path / "example.py"
    program.write_text(example[1].replace("http://127.0.0.1:8280", here).replace("YOUR_KEY", key))

    said = await ran(VENV / "python", program)

    assert len([line for line in example[1].splitlines() if line]) == 5
    assert said.endswith(" Ann\n")
