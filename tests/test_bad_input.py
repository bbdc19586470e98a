"""Bad input to every operation over a socket: a described refusal, and the service goes on.

What each operation says of its own mistakes is tested beside it, photos in
test_odd_photos, multiparts in test_rhombus_uploads.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from asking import Operation, Schema, asked, document, kinds, operations, places
from described import follows
from factories import some_deps
from inhabited import Inhabited, an_org, kind_of, tell
from yarl import URL

from facewatch.api.deps import Deps
from facewatch.api.server import application, serving
from facewatch.store.database import Database

ODD_TEXTS = ("", "a\0b", "\ud800", "a\udfffb", "x" * 5_000, "\u202e\ufffe", "%00")
ODD_VALUES: tuple[object, ...] = (7, 1.5, True, "x", [], {}, None)
TYPES = {
    **{int: {"integer", "number"}, float: {"number"}, bool: {"boolean"}, str: {"string"}},
    **{list: {"array"}, dict: {"object"}, type(None): {"null"}},
}


@pytest.fixture
def deps(database: Database, tmp_path: Path) -> Deps:
    return some_deps(database, tmp_path, clock=lambda: datetime.now(UTC))


@pytest.fixture
async def client(deps: Deps) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
    ):
        yield client


@pytest.fixture
async def admin(client: aiohttp.ClientSession, deps: Deps) -> Inhabited:
    """Of a new org with one of everything."""
    return await an_org(deps, "ours")


def with_bodies() -> list[Operation]:
    return [it for it in operations() if "requestBody" in it.said and not it.takes_files]


def odd_spellings(id: str) -> list[str]:
    """What is no id, but nearly."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = id[:-1] + alphabet[alphabet.index(id[-1]) + 1]
    return [stray, id + "=", id + "\n", " " + id, id[:-1], "\0" * 22, "\ud800" * 22, "hello", ".."]


async def sound(client: aiohttp.ClientSession) -> None:
    """The service goes on."""
    async with client.get("/healthz") as answer:
        assert answer.status == 200


async def told(
    client: aiohttp.ClientSession, operation: Operation, message: dict[str, Any], whose: Inhabited
) -> tuple[int, Any]:
    """Status and body of an answer that is as the description says, and is no 5xx."""
    answer, response = await tell(client, operation, message, whose.secret)
    assert answer.status < 500, (operation.id, message)
    follows(document(), operation.path, response, answer.body)
    is_json = response.content_type.endswith("json")
    return answer.status, json.loads(answer.body) if is_json else answer.body


async def test_text_that_no_database_takes_and_ids_that_are_nearly_some(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    tried = 0
    for operation in operations():
        for place, leaves in places(operation).items():
            if not any("string" in kinds(it) for it in leaves):
                continue
            kind = kind_of(operation, place)
            is_id = kind is not None and len(admin.ids.get(kind, "")) == 22
            odd = odd_spellings(admin.ids[kind]) if is_id and kind else list(ODD_TEXTS)
            plain = admin.message(operation)
            for text in odd:
                if not (place.startswith("path.") and text in ("..", "")):
                    await told(client, operation, plain | {place: text}, admin)
                    tried += 1
    await sound(client)
    assert tried > 1_000


async def test_what_nearly_is_an_id_is_the_id_of_nothing(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    """The house says that it is none; Rhombus' contract answers as if it were unknown."""
    for operation in operations():
        plain = admin.message(operation)
        for place, leaves in places(operation).items():
            kind = kind_of(operation, place)
            if not any("RUUID" in it.get("format", "") for it in leaves) or kind == "org":
                continue
            assert kind is not None
            own = admin.ids.get(kind) or admin.ids["event"]
            stray, *_ = odd_spellings(own)
            status, body = await told(client, operation, plain | {place: stray}, admin)
            if not operation.in_rhombus:
                assert status == 400, (operation.id, place)
            elif operation.id.startswith("export"):
                assert body.count(b"\n") == 1
            else:
                nothing = {"error"} <= body.keys() or body == {"faceEvents": []}
                assert (status, nothing) == (200, True), (operation.id, place, body)


async def test_a_value_of_the_wrong_type_is_a_400(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    tried = 0
    for operation in with_bodies():
        plain = admin.message(operation)
        for place, leaves in places(operation).items():
            if not place.startswith("body."):
                continue
            for value in wrong(leaves, in_a_list=place.endswith("[]")):
                sent = [value] if place.endswith("[]") else value
                status, _ = await told(client, operation, plain | {place: sent}, admin)
                assert status in refusals(operation), (operation.id, place, value)
                tried += 1
    await sound(client)
    assert tried > 500


def refusals(operation: Operation) -> tuple[int, ...]:
    """What an operation says of what is malformed; an id that is none is 404 in Gumnut's words."""
    return (422, 404) if operation.id.startswith("gumnut") else (400,)


def wrong(leaves: list[Schema], *, in_a_list: bool) -> list[object]:
    """Values of types that none of *leaves* allows."""
    allowed = {kind for it in leaves for kind in kinds(it)}
    return [
        it
        for it in ODD_VALUES
        if not TYPES[type(it)] & allowed and not (it is None and not in_a_list)
    ]


def nested(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + closing * depth).encode()


NO_OBJECTS = [
    b"",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"{",
    b'{"a":}',
    b"\xff\xfe{\0}\0",
    b'{"a":"\xed\xa0\x80"}',
    nested(100_000, "[", "]"),
    nested(100_000, '{"a":', "}"),
]
IN_OBJECTS = [
    nested(500, "[", "]"),
    nested(100_000, "[", "]"),
    b"9" * 10_000,
    b"1e999",
    b"NaN",
]


async def test_a_body_that_is_no_object_is_a_400(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    for operation in with_bodies():
        may_be_empty = not operation.said["requestBody"].get("required")
        for body in NO_OBJECTS:
            if body or not may_be_empty:
                status = await posted(client, operation, body, admin)
                assert status in refusals(operation), (operation.id, body[:9])
    await sound(client)


async def test_nothing_that_stands_in_an_object_is_more_than_is_taken(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    for operation in with_bodies():
        known = {place.split(".")[1] for place in places(operation) if "body." in place}
        for name in sorted(known | {"unknown"}):
            for value in IN_OBJECTS:
                body = b'{"%s":%s}' % (name.encode(), value)
                status = await posted(client, operation, body, admin)
                assert status < 500, (operation.id, name, body[:9])
    await sound(client)


async def test_ten_megabytes_are_a_413_everywhere(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    large = b'{"a":"' + b"x" * 10_000_000 + b'"}'
    for operation in with_bodies():
        assert await posted(client, operation, large, admin) == 413
    await sound(client)


NO_REQUESTS = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nx-auth-apikey: s3cret\0\r\n\r\n",
    b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 100_000),
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"x" * 100_000),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /media/faces?s3ObjectKey=%ff%fe HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
]


async def test_what_is_no_http_is_refused_in_a_line_and_not_quoted_in_the_log(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Before any contract: by the server, as plain text."""
    caplog.set_level(logging.DEBUG)
    async with client.get("/healthz") as answer:
        host, port = answer.url.host, answer.url.port
    for request in NO_REQUESTS:
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(10):
            writer.write(request)
            said = await reader.read(100_000)
        writer.close()
        assert said.split(b" ", 2)[1][:1] == b"4", request[:50]
        assert b"Traceback" not in said
    await sound(client)
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert caplog.text.count("127.0.0.1 sent what is no HTTP") >= 4


async def posted(
    client: aiohttp.ClientSession, operation: Operation, body: bytes, whose: Inhabited
) -> int:
    """The status of a described answer to *body*."""
    in_path, _, _ = asked(whose.message(operation))
    path = operation.path
    for name, value in in_path.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {"x-auth-apikey": whose.secret, "Content-Type": "application/json"}
    async with client.request(
        operation.method, URL(path, encoded=True), data=BytesIO(body), headers=headers
    ) as answer:
        follows(document(), operation.path, answer, await answer.read())
        return answer.status
