"""What is another org's answers as what does not exist: every operation of every family."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from asking import Operation, operations, places
from factories import some_deps
from inhabited import Inhabited, Told, an_org, kind_of, tell, with_traces

from facewatch.api.deps import Deps
from facewatch.api.server import application, serving
from facewatch.domain.ids import from_prefixed, from_ruuid, new_id, to_prefixed, to_ruuid
from facewatch.store.database import Database

FIRST = ("v1_find_audit_entries", "findFaceUploadMetadataByTransaction")
"""They would show what the caller said of such an id before."""

PREFIXES = ("face", "person", "asset", "album", "lib")
_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT[^"]+"')


@pytest.fixture
def deps(database: Database, tmp_path: Path) -> Deps:
    return some_deps(database, tmp_path)


@pytest.fixture
async def client(deps: Deps) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
    ):
        yield client


def unknown(kind: str, id: str) -> str:
    """An id that is nobody's: as long as *id*, and next to it in every order."""
    match kind:
        case _ if prefix := prefix_of(id):
            return to_prefixed(prefix, UUID(int=from_prefixed(prefix, id).int ^ 1))
        case "device":
            return unknown("camera", id.removesuffix(".v0")) + ".v0"
        case "picture":
            return id.replace("/2.jpg", "/3.jpg")
        case "page" | "transaction":
            return id[:-2] + ("AB" if id[-2:] != "AB" else "BA")
        case _:
            return to_ruuid(UUID(int=from_ruuid(id).int ^ 1))


def prefix_of(id: str) -> str:
    """How an id of the Gumnut contract begins; '' where it is none."""
    prefix, _, rest = id.partition("_")
    return prefix if len(rest) == 22 and prefix in PREFIXES else ""


def spelled(id: str) -> set[str]:
    """*id* in each of our spellings."""
    found = {id, id.removesuffix(".v0")}
    try:
        prefix = prefix_of(id)
        value = from_prefixed(prefix, id) if prefix else from_ruuid(id)
    except ValueError:
        return found
    return found | {str(value), to_ruuid(value)}


def without(told: Told, id: str) -> Told:
    """*told* without the id that was asked for, and without times."""
    body = _TIME.sub(b'"TIME"', told.body)
    for it in sorted(spelled(id), key=len, reverse=True):
        body = body.replace(it.encode(), b"ID")
    headers = {name: it for name, it in told.headers.items() if name != "Content-Length"}
    return replace(told, body=body, headers=headers)


async def seen(client: aiohttp.ClientSession, whose: Inhabited) -> dict[str, bytes]:
    """Everything that *whose* admin can look at."""
    found = {}
    for operation in operations():
        looks = operation.method == "GET" or re.match("get|find", operation.id)
        if looks and operation.id not in FIRST:
            found[operation.id] = (
                await tell(client, operation, whose.message(operation), whose.secret)
            )[0].body
    return found


async def test_every_id_is_asked_for_below() -> None:
    ids = {"RUUID", "DeviceFacetUuid"}
    for operation in operations():
        for place, leaves in places(operation).items():
            if any(it.get("format") in ids or "_[2-9A-H" in it.get("pattern", "") for it in leaves):
                assert kind_of(operation, place), f"{operation.id} {place}: add it to KINDS"


async def test_an_id_of_another_org_is_like_one_of_nobody(
    client: aiohttp.ClientSession, deps: Deps
) -> None:
    theirs = await with_traces(client, deps, await an_org(deps, "theirs"))
    mine = await with_traces(client, deps, await an_org(deps, "mine"))
    before = await seen(client, theirs)

    asked = []
    for operation in sorted(operations(), key=lambda it: it.id not in FIRST):
        for place in places(operation):
            if kind := kind_of(operation, place):
                await compare(client, operation, place, kind, mine, theirs)
                asked.append(operation.id)

    assert len(asked) > 70
    assert await seen(client, theirs) == before


async def compare(
    client: aiohttp.ClientSession,
    operation: Operation,
    place: str,
    kind: str,
    mine: Inhabited,
    theirs: Inhabited,
) -> None:
    told, plain = [], mine.message(operation)
    for id in (unknown(kind, theirs.ids[kind]), theirs.ids[kind]):
        message: dict[str, Any] = plain | {place: id}
        if place == "body.people[]":
            message[place] = [mine.ids["other"], id]
        answer, _ = await tell(client, operation, message, mine.secret)
        told.append(without(answer, id))
    assert told[0] == told[1], (operation.id, place)
    assert told[0].status < 500, (operation.id, place, told[0])
    assert b"theirs" not in told[1].body.replace(theirs.ids["transaction"].encode(), b"")


async def test_no_answer_tells_of_what_is_another_orgs(
    client: aiohttp.ClientSession, deps: Deps
) -> None:
    theirs = await with_traces(client, deps, await an_org(deps, "theirs"))
    mine = await an_org(deps, "mine")
    foreign = [text.encode() for id in theirs.ids.values() for text in spelled(id)]

    for body in (await seen(client, mine)).values():
        assert b"theirs" not in body
        assert [it for it in foreign if it in body] == []


async def test_a_picture_of_another_org_is_like_any_key_that_is_none(
    client: aiohttp.ClientSession, deps: Deps
) -> None:
    theirs, mine = await an_org(deps, "theirs"), await an_org(deps, "mine")
    (media,) = [it for it in operations() if it.id == "getPicture"]
    picture = theirs.ids["picture"]
    own = picture.replace(theirs.ids["org"], mine.ids["org"])
    nobody = picture.replace(theirs.ids["org"], to_ruuid(new_id()))

    told = [
        (await tell(client, media, {"query.s3ObjectKey": key}, mine.secret))[0]
        for key in (picture, own, nobody, "no key")
    ]

    assert [it.status for it in told] == [404] * 4
    assert all(it == told[0] for it in told)
    shown, _ = await tell(client, media, {"query.s3ObjectKey": picture}, theirs.secret)
    assert shown.status == 200
