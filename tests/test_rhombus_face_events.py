"""Finding, correcting and deleting face events, over a real socket and a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from factories import (
    LOCATION,
    ORG,
    a_camera,
    a_decision,
    a_face,
    a_record,
    a_template,
    an_enrolment,
    photo_keys,
    some_deps,
)

from facewatch.api.server import application, serving
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventFilter, EventRecord
from facewatch.domain.ids import CameraId, FaceId, LocationId, OrgId, new_id, to_ruuid
from facewatch.domain.people import Candidate, Person
from facewatch.errors import NotFound
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.garbage import sweep
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

BASE = "/api/faceRecognition/faceEvent/"
CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)


@dataclass
class House:
    """A running service whose clock stands at NOW, and an operator's key to it."""

    client: aiohttp.ClientSession
    database: Database
    blobs: LocalBlobs
    events: PostgresFaceEvents
    people: PostgresPeople
    keys: PostgresKeys
    camera: Camera

    async def ask(self, operation: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """The answer to *operation*, which follows the published document."""
        status, answer = await self.post(operation, body, headers)
        assert status == 200
        if "error" not in answer:
            follows_the_document(operation, answer)
        return answer

    async def post(
        self, operation: str, body: object, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        async with self.client.post(BASE + operation, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def found(self, page: Any = None, **searched: Any) -> list[str]:
        body = {"searchFilter": searched} | ({"pageRequest": page} if page else {})
        answer = await self.ask("findFaceEventsByOrg", **body)
        return [event["uuid"] for event in answer["faceEvents"]]

    async def key_of(self, role: str, org: OrgId = ORG) -> dict[str, str]:
        _, secret = await self.keys.create(org, role, role)
        return {"x-auth-apikey": secret}

    async def seen(self, *people: Person | None, **given: Any) -> list[EventRecord]:
        """A visit of each, the first one the newest."""
        records = [
            a_record(
                given.get("camera", self.camera.id),
                given.get("at", YESTERDAY) - timedelta(minutes=n),
                decision=a_decision(person.id if person else None),
            )
            for n, person in enumerate(people)
        ]
        await self.events.add(records)
        return records


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(database, tmp_path) as house:
        yield house


@asynccontextmanager
async def opened(database: Database, place: Path) -> AsyncIterator[House]:
    cameras = PostgresCameras(database, Vault(place))
    await cameras.add(camera := a_camera())
    deps = some_deps(database, place, clock=lambda: NOW)
    blobs, keys = deps.blobs, deps.keys
    _, secret = await keys.create(ORG, "tests", "operator")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        people = PostgresPeople(database)
        yield House(client, database, blobs, deps.events, people, keys, camera)


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def follows_the_document(operation: str, answer: object) -> None:
    if not CONTRACT.exists():
        return
    validators = pytest.importorskip("openapi_schema_validator")
    components = json.loads(CONTRACT.read_text())["components"]
    name = f"Facerecognition_faceevent_{operation[0].upper()}{operation[1:]}WSResponse"
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
    validators.OAS30Validator(schema).validate(answer)
    assert set(answer) <= set(components["schemas"][name].get("properties", {}))


def ids(records: Iterable[EventRecord]) -> list[str]:
    return [to_ruuid(record.id) for record in records]


async def another_org(sql: asyncpg.Connection, name: str = "theirs") -> Camera:
    org, location, camera = OrgId(new_id()), LocationId(new_id()), CameraId(new_id())
    await sql.execute("INSERT INTO org (id, name) VALUES ($1, $2)", org, name)
    await sql.execute("INSERT INTO location (id, org, name) VALUES ($1, $2, 'hall')", location, org)
    await sql.execute(
        "INSERT INTO camera (id, org, location, name, url, transport)"
        " VALUES ($1, $2, $3, 'theirs', 'rtsp://theirs/1', 'tcp')",
        camera, org, location,
    )  # fmt: skip
    return Camera(camera, org, location, "theirs", "rtsp://theirs/1")


# Finding ---------------------------------------------------------------------------------------


async def test_the_newest_comes_first_as_it_is_answered_alone(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    old, new = (await house.seen(None, at=YESTERDAY)), (await house.seen(ann, at=NOW))

    answer = await house.ask("findFaceEventsByOrg")

    alone = [
        (await house.ask("getFaceEvent", eventUuid=to_ruuid(record.id)))["faceEvent"]
        for record in (*new, *old)
    ]
    assert answer == {"faceEvents": alone}


async def test_nobody_there_is_an_empty_page(house: House) -> None:
    assert await house.ask("findFaceEventsByOrg") == {"faceEvents": []}


async def test_without_a_window_it_is_the_last_seven_days(house: House) -> None:
    week = timedelta(days=7)
    (edge,) = await house.seen(None, at=NOW - week)
    (before,) = await house.seen(None, at=NOW - week - timedelta(milliseconds=1))

    assert await house.found() == ids([edge])
    assert await house.found(timestampFilter={}) == ids([edge])
    assert await house.found(timestampFilter={"rangeStart": None}) == ids([edge])
    assert await house.found(timestampFilter={"rangeEnd": "2026-11-21"}) == ids([edge, before])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-03T09:30:00.250Z", "2026-11-03T09:30:00.251Z"),
        ("2026-11-03T02:30:00.250-07:00", "2026-11-03T10:30:00.251+01:00"),
        ("2026-11-03T09:30:00.250", "2026-11-03T09:30:00.251"),
        ("2026-11-03t09:30:00.2500000z", "2026-11-03t09:30:00.2519999z"),
        (1793698200250, 1793698200251),
        ("1793698200250", "1793698200251"),
        ("2026-11-03T09:30:00.250Z", 1793698200251),
    ],
)
async def test_a_window_includes_both_its_ends(house: House, start: object, end: object) -> None:
    first = datetime(2026, 11, 3, 9, 30, 0, 250_000, tzinfo=UTC)
    visits = [
        (await house.seen(None, at=first + timedelta(milliseconds=n)))[0] for n in (2, 1, 0, -1)
    ]
    answer = await house.ask(
        "findFaceEventsByOrg",
        searchFilter={"timestampFilter": {"rangeStart": start, "rangeEnd": end}},
    )

    assert [event["uuid"] for event in answer["faceEvents"]] == ids(visits[1:3])
    assert [e["eventTimestamp"] for e in answer["faceEvents"]] == [1793698200251, 1793698200250]


@pytest.mark.parametrize("far", [2**63 - 1, 10**30, "9999-12-31T23:59:59.999Z"])
async def test_a_window_may_be_without_end(house: House, far: object) -> None:
    visits = await house.seen(None)

    window = {"rangeStart": -(10**30), "rangeEnd": far}
    assert await house.found(timestampFilter=window) == ids(visits)
    assert await house.found(timestampFilter={"rangeStart": far}) == []


@dataclass
class Cast:
    """Ann and Bob at the door, Joanna at the gate, and a stranger without a template there."""

    ann: EventRecord
    bob: EventRecord
    joanna: EventRecord
    stranger: EventRecord
    people: dict[str, Person]
    gate: Camera
    yard: LocationId
    shed: LocationId


@pytest.fixture
async def cast(house: House, sql: asyncpg.Connection, tmp_path: Path) -> Cast:
    yard, shed = LocationId(new_id()), LocationId(new_id())
    for id, parent in ((yard, None), (shed, yard)):
        await sql.execute(
            "INSERT INTO location (id, org, parent, name) VALUES ($1, $2, $3, 'yard')",
            id, ORG, parent,
        )  # fmt: skip
    gate = a_camera(name="gate", location=yard, place=(shed,))
    await PostgresCameras(house.database, Vault(tmp_path)).add(gate)
    people = {name: await house.people.create(ORG, name) for name in ("Ann", "Bob", "Joanna")}
    labels = (("Ann", "staff"), ("Bob", "staff"), ("Bob", "night"), ("Joanna", "guest"))
    for name, label in labels:
        await sql.execute(
            "INSERT INTO person_label (person, org, label) VALUES ($1, $2, $3)",
            people[name].id, ORG, label,
        )  # fmt: skip
    ann, bob = await house.seen(people["Ann"], people["Bob"])
    later = YESTERDAY - timedelta(hours=1)
    joanna = a_record(gate.id, later, location=yard, decision=a_decision(people["Joanna"].id))
    stranger = a_record(
        gate.id, later - timedelta(hours=1), location=yard, template=None, decision=None
    )
    await house.events.add([joanna, stranger])
    return Cast(ann, bob, joanna, stranger, people, gate, yard, shed)


def filters(cast: Cast, door: Camera) -> list[tuple[dict[str, Any], list[EventRecord]]]:
    """What is asked for, and who is found."""
    ann, bob, joanna, stranger = everybody = [cast.ann, cast.bob, cast.joanna, cast.stranger]
    known = {name: to_ruuid(person.id) for name, person in cast.people.items()}
    gate, yard, shed = to_ruuid(cast.gate.id), to_ruuid(cast.yard), to_ruuid(cast.shed)
    nobody: list[EventRecord] = []
    return [
        ({}, everybody),
        ({"deviceUuids": [], "faceNames": [], "labels": [], "personUuids": []}, everybody),
        ({"locationUuids": [], "deviceUuids": None, "faceNames": [None]}, everybody),
        ({"deviceUuids": [gate]}, [joanna, stranger]),
        ({"deviceUuids": [gate + ".v0"]}, [joanna, stranger]),
        ({"deviceUuids": [to_ruuid(door.id) + ".v0", gate]}, everybody),
        ({"deviceUuids": [to_ruuid(new_id())]}, nobody),
        ({"deviceUuids": ["door"]}, nobody),
        ({"deviceUuids": ["door", gate]}, [joanna, stranger]),
        ({"locationUuids": [to_ruuid(LOCATION)]}, [ann, bob]),
        ({"locationUuids": [yard]}, [joanna, stranger]),
        ({"locationUuids": [shed]}, [joanna, stranger]),
        ({"locationUuids": [yard, shed, to_ruuid(LOCATION)]}, everybody),
        ({"locationUuids": [yard + ".v0"]}, nobody),
        ({"personUuids": [known["Ann"], known["Joanna"]]}, [ann, joanna]),
        ({"personUuids": [to_ruuid(new_id())]}, nobody),
        ({"faceNames": ["Ann", "Bob", "Nobody"]}, [ann, bob]),
        ({"faceNames": ["ann"]}, nobody),
        ({"faceNames": ["Ann\0"]}, nobody),
        ({"faceNameContains": "ann"}, [joanna]),
        ({"faceNameContains": "  ann\t", "faceNames": ["Bob"]}, [joanna]),
        ({"faceNameContains": "an"}, everybody),
        ({"faceNameContains": " an ", "faceNames": ["Bob"]}, [bob]),
        ({"faceNameContains": "%nn"}, nobody),
        ({"faceNameContains": "a\0n"}, nobody),
        ({"labels": ["staff"]}, [ann, bob]),
        ({"labels": ["night", "guest"]}, [bob, joanna]),
        ({"labels": ["nobody has it", "nor\0this"]}, nobody),
        ({"hasEmbedding": True}, [ann, bob, joanna]),
        ({"hasEmbedding": False}, [stranger]),
        ({"hasName": True}, [ann, bob, joanna]),
        ({"hasName": False}, [stranger]),
        ({"labels": ["staff"], "faceNames": ["Bob", "Joanna"]}, [bob]),
        ({"labels": ["staff"], "deviceUuids": [gate]}, nobody),
        ({"personUuids": [known["Joanna"]], "deviceUuids": [gate]}, [joanna]),
        ({"deviceUuids": [gate], "hasName": True}, [joanna]),
        ({"locationUuids": [shed], "hasName": False, "hasEmbedding": False}, [stranger]),
        ({"faceNames": ["Ann"], "hasName": False}, nobody),
    ]


async def test_filters_narrow_together_and_an_empty_one_does_not(house: House, cast: Cast) -> None:
    for searched, records in filters(cast, house.camera):
        assert (searched, await house.found(**searched)) == (searched, ids(records))


async def test_a_new_name_finds_the_past(house: House, cast: Cast, sql: asyncpg.Connection) -> None:
    ann = cast.people["Ann"]
    await sql.execute("UPDATE person SET name = 'Anne' WHERE id = $1", ann.id)

    assert await house.found(faceNames=["Ann"]) == []
    assert await house.found(faceNames=["Anne"]) == ids([cast.ann])


async def test_somebody_without_a_name_is_found_by_nobody_s(
    house: House, cast: Cast, sql: asyncpg.Connection
) -> None:
    ann = cast.people["Ann"]
    await sql.execute("UPDATE person SET name = NULL WHERE id = $1", ann.id)

    assert await house.found(hasName=False) == ids([cast.ann, cast.stranger])
    assert await house.found(personUuids=[to_ruuid(ann.id)]) == []
    assert await house.found(labels=["staff"]) == ids([cast.bob])


async def test_who_was_merged_is_found_by_either_id(
    house: House, cast: Cast, sql: asyncpg.Connection
) -> None:
    anna = await house.people.create(ORG, "Anna")
    ann = cast.people["Ann"]
    await sql.execute("UPDATE person SET merged_into = $1 WHERE id = $2", ann.id, anna.id)

    assert await house.found(personUuids=[to_ruuid(anna.id)]) == ids([cast.ann])


async def test_another_org_is_never_found(
    house: House, cast: Cast, sql: asyncpg.Connection
) -> None:
    theirs = await another_org(sql)
    zoe = await house.people.create(theirs.org, "Zoe")
    record = a_record(
        theirs.id, YESTERDAY, org=theirs.org, location=theirs.location,
        decision=a_decision(zoe.id),
    )  # fmt: skip
    await house.events.add([record])
    by = [
        {"deviceUuids": [to_ruuid(theirs.id)]},
        {"locationUuids": [to_ruuid(theirs.location)]},
        {"personUuids": [to_ruuid(zoe.id)]},
        {"faceNames": ["Zoe"]},
        {"faceNameContains": "Zoe"},
    ]
    for searched in by:
        assert await house.found(**searched) == []
    assert len(await house.found()) == 4
    with_their_key = await house.ask(
        "findFaceEventsByOrg", await house.key_of("viewer", theirs.org), searchFilter=by[0]
    )
    assert [event["uuid"] for event in with_their_key["faceEvents"]] == ids([record])


# Pages -----------------------------------------------------------------------------------------


async def walked(house: House, size: int, **searched: Any) -> list[list[str]]:
    pages, page = [], {"maxPageSize": size}
    while True:
        answer = await house.ask("findFaceEventsByOrg", pageRequest=page, searchFilter=searched)
        pages.append([event["uuid"] for event in answer["faceEvents"]])
        if "lastEvaluatedKey" not in answer:
            return pages
        page = {"maxPageSize": size, "lastEvaluatedKey": answer["lastEvaluatedKey"]}


async def test_pages_are_full_up_to_the_last(house: House) -> None:
    ann, bob = [await house.people.create(ORG, name) for name in ("Ann", "Bob")]
    visits = await house.seen(*[ann, bob, None] * 4)
    named = [record for record in visits if record.decision and record.decision.person]
    door = [to_ruuid(house.camera.id)]

    assert await walked(house, 5) == [ids(visits[:5]), ids(visits[5:10]), ids(visits[10:])]
    assert await walked(house, 6) == [ids(visits[:6]), ids(visits[6:])]
    assert await walked(house, 12) == [ids(visits)]
    assert await walked(house, 1000) == [ids(visits)]
    for searched in ({"hasName": True}, {"faceNames": ["Ann", "Bob"]}):
        pages = await walked(house, 3, **searched, deviceUuids=door)
        assert [len(page) for page in pages] == [3, 3, 2]
        assert [id for page in pages for id in page] == ids(named)


async def test_a_page_without_a_size_has_a_hundred(house: House) -> None:
    visits = await house.seen(*[None] * 101)

    first = await house.ask("findFaceEventsByOrg")
    key = {"lastEvaluatedKey": first["lastEvaluatedKey"]}
    second = await house.ask("findFaceEventsByOrg", pageRequest=key)

    assert [event["uuid"] for event in first["faceEvents"]] == ids(visits[:100])
    assert [event["uuid"] for event in second["faceEvents"]] == ids(visits[100:])
    assert "lastEvaluatedKey" not in second
    assert await house.found({"maxPageSize": None, "lastEvaluatedKey": ""}) == ids(visits[:100])
    assert await house.found({"maxPageSize": 7.0}) == ids(visits[:7])
    before_1970 = {"timestampFilter": {"rangeStart": "1887-08-12T00:00:00Z"}}
    assert await house.found({"maxPageSize": 7}, **before_1970) == ids(visits[:7])


async def test_pages_neither_skip_nor_repeat_while_events_arrive_and_go(house: House) -> None:
    visits = await house.seen(*[None] * 40)
    gone, met, page = visits[22], [], {"maxPageSize": 4}
    while True:
        answer = await house.ask("findFaceEventsByOrg", pageRequest=page)
        met += [event["uuid"] for event in answer["faceEvents"]]
        await house.seen(None, at=NOW)
        if len(met) == 20:
            await house.ask("deleteFaceEvent", eventUuid=to_ruuid(gone.id))
        if "lastEvaluatedKey" not in answer:
            break
        assert len(answer["faceEvents"]) == 4
        page = {"maxPageSize": 4, "lastEvaluatedKey": answer["lastEvaluatedKey"]}

    assert met == ids(record for record in visits if record is not gone)


async def test_the_window_stands_still_while_somebody_turns_pages(
    database: Database, tmp_path: Path
) -> None:
    hours = iter(range(100))
    events = PostgresFaceEvents(database)
    deps = some_deps(database, tmp_path, clock=lambda: NOW + timedelta(hours=next(hours)))
    keys = deps.keys
    await PostgresCameras(database, Vault(tmp_path)).add(camera := a_camera())
    edge = NOW - timedelta(days=7) + timedelta(minutes=30)
    visits = [a_record(camera.id, edge - timedelta(minutes=n)) for n in range(9)]
    await events.add(visits)
    _, secret = await keys.create(ORG, "tests", "viewer")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        people = PostgresPeople(database)
        house = House(client, database, LocalBlobs(tmp_path), events, people, keys, camera)
        pages = await walked(house, 2)

    assert [id for page in pages for id in page] == ids(visits)


async def test_a_key_is_for_its_question_only(house: House, sql: asyncpg.Connection) -> None:
    visits = await house.seen(*[None] * 4)
    theirs = await house.key_of("viewer", (await another_org(sql)).org)
    a, b = to_ruuid(house.camera.id), to_ruuid(new_id())
    searched = {"deviceUuids": [a, b], "hasName": False}
    body = {"pageRequest": {"maxPageSize": 2}, "searchFilter": searched}
    key = (await house.ask("findFaceEventsByOrg", **body))["lastEvaluatedKey"]

    async def statuses(page_key: str, question: object, headers: Any = None) -> int:
        page = {"maxPageSize": 3, "lastEvaluatedKey": page_key}
        body = {"pageRequest": page, "searchFilter": question}
        status, answer = await house.post("findFaceEventsByOrg", body, headers)
        if status == 200:
            assert [event["uuid"] for event in answer["faceEvents"]] == ids(visits[2:])
        else:
            assert answer["error"] == "Bad Request"
            assert "lastEvaluatedKey" in answer["msg"]
        return status

    same = {"hasName": False, "deviceUuids": [b, f"{a}.v0"], "labels": []}
    assert await statuses(key, searched) == 200
    assert await statuses(key, same) == 200
    assert await statuses(key, searched, theirs) == 400
    for other in ({}, {"hasName": False}, {**searched, "hasName": True}, {**searched, "labels": a}):
        if other.get("labels"):
            other["labels"] = ["staff"]
        assert await statuses(key, other) == 400
    for n in range(len(key)):
        changed = key[:n] + ("A" if key[n] != "A" else "B") + key[n + 1 :]
        assert await statuses(changed, searched) == 400
    for odd in (key + "A", key[:-4], key + "\n", "é", "\0", "A" * 54, "next_page_key_123", " "):
        assert await statuses(odd, searched) == 400


# Bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"pageRequest": {"maxPageSize": 0}},
        {"pageRequest": {"maxPageSize": 1001}},
        {"pageRequest": {"maxPageSize": -1}},
        {"pageRequest": {"maxPageSize": 2**70}},
        {"pageRequest": {"maxPageSize": "10"}},
        {"pageRequest": {"maxPageSize": 1.5}},
        {"pageRequest": {"maxPageSize": True}},
        {"pageRequest": {"lastEvaluatedKey": 7}},
        {"pageRequest": []},
        {"searchFilter": "all"},
        {"searchFilter": {"deviceUuids": "all"}},
        {"searchFilter": {"deviceUuids": [7]}},
        {"searchFilter": {"faceNames": {"a": "b"}}},
        {"searchFilter": {"labels": [["staff"]]}},
        {"searchFilter": {"hasName": "true"}},
        {"searchFilter": {"hasEmbedding": 1}},
        {"searchFilter": {"faceNameContains": ["Ann"]}},
        *(
            {"searchFilter": {"timestampFilter": {"rangeStart": date}}}
            for date in (
                "", "yesterday", "2026-13-01", "2026-11-03T25:00:00Z", "0001-01-01T00:00:00+14:00",
                "2026-11-03T10:00:00+99:00", "2026-11-03\0", True, 1.5, [], {},
            )
        ),
    ],
    ids=lambda body: json.dumps(body)[:60],
)  # fmt: skip
async def test_a_question_that_breaks_the_structure_is_a_400(house: House, body: object) -> None:
    status, answer = await house.post("findFaceEventsByOrg", body)

    assert (status, set(answer), answer["error"]) == (400, {"error", "msg"}, "Bad Request")
    assert (await house.post("findFaceEventsByOrg", {}))[0] == 200


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("updateFaceEvent", {"eventUuid": 7}),
        ("updateFaceEvent", {"eventUuid": to_ruuid(new_id()), "personName": {}}),
        ("updateFaceEvent", {"eventUuid": to_ruuid(new_id()), "personName": "a\0b"}),
        ("updateFaceEvent", {"eventUuid": to_ruuid(new_id()), "personName": "x" * 201}),
        ("updateFaceEvent", {"eventUuid": to_ruuid(new_id()), "personUuid": ["a"]}),
        ("deleteFaceEvent", {"eventUuid": {}}),
        ("deleteFaceEvent", []),
    ],
)
async def test_a_correction_that_breaks_the_structure_is_a_400(
    house: House, operation: str, body: object
) -> None:
    status, answer = await house.post(operation, body)

    assert (status, set(answer), answer["error"]) == (400, {"error", "msg"}, "Bad Request")


# Correcting ------------------------------------------------------------------------------------


async def test_naming_an_event_that_shows_a_runner_up_selects_their_match(house: House) -> None:
    ann, bob = [await house.people.create(ORG, name) for name in ("Ann", "Bob")]
    best = Candidate(ann.id, FaceId(new_id()), 0.62, 0.93)
    second = Candidate(bob.id, FaceId(new_id()), 0.31, 0.25)
    decision = a_decision(ann.id, candidates=(best, second))
    record = a_record(house.camera.id, YESTERDAY, decision=decision)
    await house.events.add([record])
    event, who = to_ruuid(record.id), to_ruuid(bob.id)

    answer = await house.ask("updateFaceEvent", eventUuid=event, personUuid=who, personName="Cy")

    assert answer == await house.ask("getFaceEvent", eventUuid=event)
    shown = answer["faceEvent"]
    assert (shown["faceName"], shown["personUuid"]) == ("Bob", who)
    assert shown["selectedPersonMatch"] == shown["topPersonMatches"][1]
    assert shown["selectedPersonMatch"]["uuid"] == who
    assert [person.name for person in await house.people.all(ORG)] == ["Ann", "Bob"]

    by_name = await house.ask("updateFaceEvent", eventUuid=event, personName=" Ann ")
    assert by_name["faceEvent"]["selectedPersonMatch"] == shown["topPersonMatches"][0]


async def test_naming_somebody_whom_the_face_does_not_resemble_makes_no_match_up(
    house: House,
) -> None:
    ann, bob = [await house.people.create(ORG, name) for name in ("Ann", "Bob")]
    (record,) = await house.seen(ann)
    event = to_ruuid(record.id)
    for asked in (
        {"personUuid": to_ruuid(bob.id)},
        {"personUuid": to_ruuid(bob.id), "personName": "Bob"},
        {"personName": "Bob"},
    ):
        await house.ask("updateFaceEvent", eventUuid=event, personUuid=to_ruuid(ann.id))
        shown = (await house.ask("updateFaceEvent", eventUuid=event, **asked))["faceEvent"]

        assert (shown["faceName"], shown["personUuid"]) == ("Bob", to_ruuid(bob.id))
        assert "selectedPersonMatch" not in shown
        assert [match["name"] for match in shown["topPersonMatches"]] == ["Ann"]


async def test_a_name_that_nobody_has_makes_a_person_once(
    house: House, sql: asyncpg.Connection
) -> None:
    visits = await house.seen(*[None] * 6)
    answers = await asyncio.gather(
        *(house.ask("updateFaceEvent", eventUuid=id, personName="Dora") for id in ids(visits))
    )

    (dora,) = await house.people.all(ORG)
    shown = {(a["faceEvent"]["faceName"], a["faceEvent"]["personUuid"]) for a in answers}
    assert shown == {("Dora", to_ruuid(dora.id))}
    assert await house.found(faceNames=["Dora"]) == ids(visits)
    kinds = await sql.fetch("SELECT kind, count(*) FROM change_log GROUP BY kind ORDER BY kind")
    assert [tuple(row) for row in kinds] == [("event", 12), ("person", 1)]


async def test_a_name_that_is_made_twice_at_once_is_one_person_s(house: House) -> None:
    visits = ids(await house.seen(*[None] * 12))
    names = [f"Dora {n}" for n in range(12)]
    await asyncio.gather(
        *(
            house.ask("updateFaceEvent", eventUuid=id, personName=name)
            for id, name in zip(visits, names, strict=True)
        ),
        *(
            house.client.post("/api/faceRecognition/person/createPerson", json={"name": name})
            for name in names
        ),
    )

    assert sorted(it.name or "" for it in await house.people.all(ORG)) == sorted(names)


async def test_a_name_is_the_same_however_it_is_composed(house: House) -> None:
    zoe = await house.people.create(ORG, "Zo\u00eb")
    (record,) = await house.seen(None)

    answer = await house.ask(
        "updateFaceEvent", eventUuid=to_ruuid(record.id), personName="Zoe\u0308"
    )

    assert answer["faceEvent"]["personUuid"] == to_ruuid(zoe.id)
    for given in (
        {"faceNames": ["Zoe\u0308"]},
        {"faceNameContains": "Zoe\u0308"},
    ):
        assert await house.found(**given) == [to_ruuid(record.id)]


async def test_a_name_beside_somebody_who_is_no_candidate_decides(house: House) -> None:
    ann, bob = [await house.people.create(ORG, name) for name in ("Ann", "Bob")]
    (record,) = await house.seen(None)

    answer = await house.ask(
        "updateFaceEvent",
        eventUuid=to_ruuid(record.id),
        personUuid=to_ruuid(ann.id),
        personName="Bob",
    )

    assert answer["faceEvent"]["personUuid"] == to_ruuid(bob.id)


@pytest.mark.parametrize("nobody", [{}, {"personUuid": "", "personName": "  "}])
async def test_without_person_and_name_it_is_nobody_s(house: House, nobody: dict[str, str]) -> None:
    ann = await house.people.create(ORG, "Ann")
    (record,) = await house.seen(ann)

    answer = await house.ask("updateFaceEvent", eventUuid=to_ruuid(record.id), **nobody)

    shown = answer["faceEvent"]
    assert (shown["faceName"], shown["personUuid"]) == (None, None)
    assert "selectedPersonMatch" not in shown
    assert [match["name"] for match in shown["topPersonMatches"]] == ["Ann"]


@pytest.mark.parametrize("said", ["Bob", ""])
async def test_the_machine_never_overwrites_what_an_operator_said(
    house: House, sql: asyncpg.Connection, said: str
) -> None:
    ann = await house.people.create(ORG, "Ann")
    (record,) = await house.seen(ann)
    await house.ask("updateFaceEvent", eventUuid=to_ruuid(record.id), personName=said)
    better = a_record(
        house.camera.id, YESTERDAY, id=record.id, version=2, decision=a_decision(ann.id)
    )
    await house.events.add([better])

    answer = await house.ask("getFaceEvent", eventUuid=to_ruuid(record.id))
    assert answer["faceEvent"]["faceName"] == (said or None)
    assert answer["faceEvent"]["imageS3Key"] == better.frame_key
    faces = await sql.fetch("SELECT person, assigned_by FROM face WHERE event = $1", record.id)
    (whose,) = [(row["person"], row["assigned_by"]) for row in faces]
    assert whose[1] == "operator"
    assert (whose[0] is None) == (said == "")
    kept = await sql.fetchval("SELECT retention FROM face_event WHERE id = $1", record.id)
    assert kept == ("known" if said else "unknown")


async def test_every_face_of_a_named_visit_is_theirs(house: House, sql: asyncpg.Connection) -> None:
    visit = a_record(house.camera.id, YESTERDAY)
    beside = a_record(house.camera.id, YESTERDAY)
    snapshot = replace(beside.snapshot, faces=(*beside.snapshot.faces, a_face(visit.id)))
    await house.events.add([visit, replace(beside, snapshot=snapshot)])

    await house.ask("updateFaceEvent", eventUuid=to_ruuid(visit.id), personName="Ann")

    rows = await sql.fetch(
        "SELECT p.name, f.event FROM face f LEFT JOIN person p ON p.id = f.person ORDER BY p.name"
    )
    assert [tuple(row) for row in rows] == [
        ("Ann", visit.id), ("Ann", visit.id), (None, beside.id)
    ]  # fmt: skip


async def test_what_is_not_there_cannot_be_corrected(house: House, sql: asyncpg.Connection) -> None:
    theirs = await another_org(sql)
    zoe = await house.people.create(theirs.org, "Zoe")
    foreign = a_record(
        theirs.id, YESTERDAY, org=theirs.org, location=theirs.location,
        decision=a_decision(zoe.id),
    )  # fmt: skip
    (ours,) = await house.seen(None)
    await house.events.add([foreign])
    unnamed = new_id()
    await sql.execute("INSERT INTO person (id, org) VALUES ($1, $2)", unnamed, ORG)
    event, unknown = to_ruuid(ours.id), to_ruuid(new_id())
    questions = [
        {"eventUuid": id, **who}
        for id in (unknown, to_ruuid(foreign.id), event[:-1] + "_", "", "\0", None)
        for who in ({}, {"personName": "Eve"})
    ]
    questions += [
        {"eventUuid": event, "personUuid": id, "personName": name}
        for id in (unknown, to_ruuid(zoe.id), to_ruuid(unnamed), "Ann", "\0" * 22)
        for name in ("", "Eve")
    ]
    answers = [await house.ask("updateFaceEvent", **question) for question in questions]

    assert answers == [answers[0]] * len(questions)
    assert answers[0]["error"] is True
    assert "check the ids" in answers[0]["errorMsg"]
    assert await house.people.all(ORG) == []
    assert (await house.events.get(theirs.org, foreign.id)).person_name == "Zoe"
    assert (await house.events.get(ORG, ours.id)).assigned_by is None


async def test_a_viewer_may_look_and_not_correct(house: House) -> None:
    (record,) = await house.seen(None)
    viewer = await house.key_of("viewer")
    body = {"eventUuid": to_ruuid(record.id)}

    assert (await house.post("findFaceEventsByOrg", {}, viewer))[0] == 200
    for operation in ("updateFaceEvent", "deleteFaceEvent"):
        status, answer = await house.post(operation, body, viewer)
        assert (status, answer["msg"]) == (403, "Access Denied")
    assert (await house.events.get(ORG, record.id)).assigned_by is None
    admin = await house.key_of("admin")
    assert await house.ask("deleteFaceEvent", admin, **body) == {}


# Deleting --------------------------------------------------------------------------------------


async def test_what_is_deleted_is_gone_with_its_pixels_and_does_not_come_back(
    house: House, sql: asyncpg.Connection
) -> None:
    record, other = await house.seen(None, None)
    keys = {record.frame_key, record.thumbnail_key, *record.look_keys}
    await house.blobs.put_all([(key, b"pixels", "image/jpeg") for key in keys])
    body = {"eventUuid": to_ruuid(record.id)}

    assert await house.ask("deleteFaceEvent", **body) == {}

    gone = await house.ask("getFaceEvent", **body)
    assert gone == await house.ask("getFaceEvent", eventUuid=to_ruuid(new_id()))
    assert gone == await house.ask("deleteFaceEvent", **body)
    assert await house.found() == ids([other])
    for table, column in (("asset", "id"), ("face", "event")):
        left = await sql.fetch(f"SELECT {column} FROM {table}")
        assert len(left) == 1
    assert [row["face"] for row in await sql.fetch("SELECT face FROM template")] == [other.face]
    assert {row["key"] for row in await sql.fetch("SELECT key FROM garbage")} == keys
    assert await sweep(house.database, house.blobs, timedelta()) == 3
    with pytest.raises(NotFound):
        await house.blobs.get(record.frame_key)
    changed = await sql.fetchrow("SELECT kind, subject FROM change_log ORDER BY cursor DESC")
    assert tuple(changed) == ("event_removed", record.id)

    late = a_record(house.camera.id, YESTERDAY, id=record.id, version=2, closed=True)
    await house.events.add([late])

    assert await house.found() == ids([other])
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert garbage == {late.frame_key, late.thumbnail_key, *late.look_keys}


async def test_a_version_that_comes_while_its_event_is_deleted_does_not_bring_it_back(
    house: House, dsn: str, sql: asyncpg.Connection
) -> None:
    (record,) = await house.seen(None)
    late = a_record(house.camera.id, YESTERDAY, id=record.id, version=2)
    blocker = await asyncpg.connect(dsn)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("SELECT FROM face_event WHERE id = $1 FOR UPDATE", record.id)
    event = to_ruuid(record.id)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        deleting = group.create_task(house.ask("deleteFaceEvent", eventUuid=event))
        await waiting(sql, 1)
        group.create_task(house.events.add([late]))
        await waiting(sql, 2)
        await transaction.commit()
    await blocker.close()

    assert deleting.result() == {}
    with pytest.raises(NotFound):
        await house.events.get(ORG, record.id)
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert {record.frame_key, late.frame_key} <= garbage


async def waiting(sql: asyncpg.Connection, count: int) -> None:
    """Until *count* statements of this database wait for a lock."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while await sql.fetchval(asked) < count:  # noqa: ASYNC110 - nothing rings for this
        await asyncio.sleep(0.01)


async def test_a_snapshot_that_goes_while_another_visit_shows_it_anew_is_there_again(
    house: House, dsn: str, sql: asyncpg.Connection
) -> None:
    one, two = a_record(house.camera.id, YESTERDAY), a_record(house.camera.id, YESTERDAY)
    (elsewhere,) = await house.seen(None, at=NOW)
    mine, theirs, third = *one.snapshot.faces, *two.snapshot.faces, a_face(None)
    third = replace(third, id=FaceId(UUID(int=1)))  # faces are written in the order of their ids
    shared = replace(one.snapshot, faces=(third, mine, theirs))
    two = replace(two, snapshot=shared, frame_key=one.frame_key)
    await house.events.add([one])
    blocker = await asyncpg.connect(dsn)
    transaction = blocker.transaction()
    await transaction.start()
    # Holds the writer of the other visit between its snapshot and its faces.
    await blocker.execute(
        "INSERT INTO face (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks,"
        " quality) VALUES ($1, $2, $3, 0, 0, 1, 1, '{}', '{}')",
        third.id, ORG, elsewhere.snapshot.id,
    )  # fmt: skip
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(house.events.add([two]))
        await waiting(sql, 1)
        await house.ask("deleteFaceEvent", eventUuid=to_ruuid(one.id))
        await transaction.rollback()
    await blocker.close()

    assert await house.found() == ids([elsewhere, two])
    kept = await sql.fetchval("SELECT key FROM asset WHERE id = $1", shared.id)
    assert kept == one.frame_key
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert garbage == {one.thumbnail_key, *one.look_keys}


async def test_a_picture_that_another_visit_shows_stays_without_the_deleted(
    house: House, sql: asyncpg.Connection
) -> None:
    one, two = a_record(house.camera.id, YESTERDAY), a_record(house.camera.id, YESTERDAY)
    mine, theirs = one.snapshot.faces[0], replace(two.snapshot.faces[0], event=two.id)
    shared = replace(one.snapshot, faces=(mine, theirs))
    one = replace(one, snapshot=shared, decision=None)
    two = replace(two, snapshot=shared, frame_key=one.frame_key, template=a_template(2))
    await house.events.add([one, two])
    await house.ask("updateFaceEvent", eventUuid=to_ruuid(one.id), personName="Ann")

    await house.ask("deleteFaceEvent", eventUuid=to_ruuid(one.id))

    faces = await sql.fetch("SELECT id, event, person, thumbnail_key FROM face")
    assert {tuple(row) for row in faces} == {
        (mine.id, None, None, None),
        (theirs.id, two.id, None, two.thumbnail_key),
    }
    assert [row["face"] for row in await sql.fetch("SELECT face FROM template")] == [theirs.id]
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert garbage == {one.thumbnail_key, *one.look_keys}

    await house.ask("deleteFaceEvent", eventUuid=to_ruuid(two.id))

    assert await sql.fetchval("SELECT count(*) FROM asset") == 0
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert one.frame_key in garbage


async def test_deleting_a_visit_spares_the_person_and_their_enrolled_faces(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    await house.people.enrol(ORG, ann.id, an_enrolment(), photo_keys("ann"))
    (record,) = await house.seen(ann)

    await house.ask("deleteFaceEvent", eventUuid=to_ruuid(record.id))

    (kept,) = await house.people.all(ORG)
    assert (kept.name, kept.matchmakers) == ("Ann", 1)


async def test_an_event_of_another_org_cannot_be_deleted(
    house: House, sql: asyncpg.Connection
) -> None:
    theirs = await another_org(sql)
    record = a_record(theirs.id, YESTERDAY, org=theirs.org, location=theirs.location)
    await house.events.add([record])

    answer = await house.ask("deleteFaceEvent", eventUuid=to_ruuid(record.id))

    assert answer == await house.ask("deleteFaceEvent", eventUuid=to_ruuid(new_id()))
    assert answer["error"] is True
    for odd in ("", None, "\0", to_ruuid(record.id)[:-1] + "_"):
        assert await house.ask("deleteFaceEvent", eventUuid=odd) == answer
    assert (await house.events.get(theirs.org, record.id)).id == record.id


# Speed -----------------------------------------------------------------------------------------


async def test_each_single_filter_is_found_by_its_index(
    house: House, cast: Cast, sql: asyncpg.Connection
) -> None:
    """In two months of events, nearly all of which are of others."""
    (old,) = await house.seen(None, at=YESTERDAY - timedelta(days=30))
    await sql.execute(
        """INSERT INTO face_event
           SELECT (jsonb_populate_record(e, jsonb_build_object(
                      'id', overlay(e.id::text placing lpad(to_hex(n), 12, '0') from 25),
                      'org', CASE WHEN n % 50 = 0 THEN e.org ELSE gen_random_uuid() END,
                      'camera', gen_random_uuid(), 'location', gen_random_uuid(),
                      'has_template', n % 500 > 0,
                      'person', CASE WHEN n % 9 = 0 THEN gen_random_uuid() END))).*
             FROM face_event e, generate_series(1, 4000) AS n
            WHERE e.id = ANY($1::uuid[])""",
        [old.id, cast.stranger.id],
    )
    await sql.execute("ANALYZE")
    wide = {"since": NOW - timedelta(days=90)}
    for wanted, index in (
        ({}, "face_event_org"),
        ({"cameras": frozenset([cast.gate.id])}, "face_event_camera"),
        ({"locations": frozenset([cast.yard])}, "face_event_location"),
        ({"locations": frozenset([cast.shed])}, "face_event_location"),
        ({"people": frozenset([cast.people["Ann"].id])}, "face_event_person"),
        ({"names": frozenset(["Ann"])}, "face_event_person"),
        ({"name_part": "ann"}, "face_event_person"),
        ({"labels": frozenset(["staff"])}, "face_event_person"),
        ({"has_template": False}, "face_event_unembedded"),
        ({"has_template": True}, "face_event_org"),
        ({"has_name": True}, "face_event_known"),
        ({"has_name": False}, "face_event_org"),
    ):
        for window in ({}, wide, {"until": NOW}):
            plan = await search_plan(house.database, sql, EventFilter(**wanted, **window))
            assert (wanted, window, plan) == (wanted, window, {index})


async def search_plan(database: Database, sql: asyncpg.Connection, wanted: EventFilter) -> set[str]:
    """By which indexes the pages of *wanted* are read; "Seq Scan" where by none."""
    events = PostgresFaceEvents(database)
    statement, values = await events._search(ORG, wanted)
    known = database._statements[statement]
    (plan,) = await sql.fetchrow(
        f"EXPLAIN (FORMAT JSON) {known.sql}", *known.arguments({**values, "limit": 11})
    )
    parents = dict(
        await sql.fetch(
            "SELECT c.relname, p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname LIKE 'face_event%'"
        )
    )
    scans: set[str] = set()
    pending = [json.loads(plan)[0]["Plan"]]
    while pending:
        node = pending.pop()
        pending += node.get("Plans", [])
        if "Index Name" in node and node["Index Name"] in parents:
            scans.add(parents[node["Index Name"]])
        elif node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("face_event"):
            scans.add("Seq Scan")
    return scans
