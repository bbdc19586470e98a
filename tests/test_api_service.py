"""getFaceEvent, its pictures and its health, over a real socket and a real Postgres."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from factories import some_deps

from facewatch.api.ops import camera_summary
from facewatch.api.server import application, serving
from facewatch.domain.cameras import Camera, CameraState, CameraStatus
from facewatch.domain.events import EventRecord, Snapshot, SnapshotFace, TimeSource
from facewatch.domain.faces import Quality
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    AssetId,
    CameraId,
    EventId,
    FaceId,
    LocationId,
    OrgId,
    new_id,
    to_prefixed,
    to_ruuid,
)
from facewatch.domain.keys import event_prefix
from facewatch.domain.people import Candidate, Decision, Person
from facewatch.errors import ObjectStoreUnavailable
from facewatch.ports.access import ApiKey
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras, PostgresCameraStatuses
from facewatch.store.database import Database, connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

GET_EVENT = "/api/faceRecognition/faceEvent/getFaceEvent"
CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"
START = datetime(2026, 11, 3, 9, 30, 0, 250_000, tzinfo=UTC)
JPEG = b"\xff\xd8\xff\xe0 the pixels of a face \xff\xd9"


@dataclass
class House:
    """A running service, the stores behind it, and a key to it."""

    client: aiohttp.ClientSession
    database: Database
    blobs: LocalBlobs
    dsn: str
    org: OrgId
    camera: Camera
    key: ApiKey

    async def ask(
        self, event: object, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        async with self.client.post(
            GET_EVENT, json={"eventUuid": event}, headers=headers
        ) as answer:
            return answer.status, await answer.json()


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with asyncio.Runner() as runner:
        server = embedded_postgres(tmp_path_factory.mktemp("home"))
        address = runner.run(server.__aenter__())
        runner.run(migrate(address))
        yield address
        runner.run(server.__aexit__(None, None, None))


@pytest.fixture
async def house(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def open_house(dsn: str, place: Path) -> AsyncIterator[House]:
    async with open_database(dsn) as database:
        org, location = await database.default_org(), await database.default_location()
        cameras = PostgresCameras(database, Vault(place))
        camera = Camera(CameraId(new_id()), org, location, f"lobby {new_id()}", "rtsp://lobby/1")
        await cameras.add(camera)
        key, secret = await PostgresKeys(database).create(org, "tests", "viewer")

        async def asked() -> str:
            await database.default_org()
            return "answers"

        blobs = LocalBlobs(place / "blobs")
        deps = some_deps(
            database,
            place,
            blobs=blobs,
            readiness={
                "database": asked,
                "cameras": camera_summary(PostgresCameraStatuses(database), org),
            },
            clock=lambda: datetime.now(UTC),
        )
        headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
        async with (
            serving(application(deps), "127.0.0.1", 0) as url,
            aiohttp.ClientSession(url, headers=headers) as client,
        ):
            yield House(client, database, blobs, dsn, org, camera, key)


def visit(camera: Camera, decision: Decision | None = None) -> EventRecord:
    event, face = EventId(new_id(START)), FaceId(new_id(START))
    prefix = event_prefix(camera.org, event, START) + "/1"
    quality = Quality(size=1, sharpness=0.5, pose=1, exposure=1, score=0.9375)
    landmarks = np.zeros((5, 2), np.float32)
    faces = (SnapshotFace(face, Box(1, 2, 30, 40), landmarks, quality, event),)
    digest = hashlib.sha256(JPEG).digest()
    snapshot = Snapshot(AssetId(new_id(START)), START, 640, 360, len(JPEG), digest, faces)
    return EventRecord(
        id=event,
        version=1,
        closed=True,
        org=camera.org,
        location=camera.location,
        camera=camera.id,
        first_seen=START,
        last_seen=START + timedelta(seconds=3),
        best_at=START + timedelta(seconds=1),
        time_source=TimeSource.RTCP,
        looks=9,
        tracks=1,
        face=face,
        snapshot=snapshot,
        template=np.eye(1, 128, dtype=np.float32)[0],
        model="sface",
        decision=decision,
        frame_key=f"{prefix}/frame.jpg",
        thumbnail_key=f"{prefix}/face.jpg",
        look_keys=(),
    )


def decided(person: Person, *others: Person) -> Decision:
    best = Candidate(person.id, FaceId(new_id()), 0.625, 0.96875)
    rest = [Candidate(other.id, FaceId(new_id()), 0.25, 0.125) for other in others]
    return Decision(
        person=person.id,
        candidates=(best, *rest),
        confidence=best.confidence,
        margin=0.375,
        threshold=0.7,
        threshold_similarity=0.4,
        model="0" * 64,
        calibration="test",
        gallery_revision=1,
        gallery_people=2,
    )


async def other_orgs_camera(house: House) -> Camera:
    org, location, camera = OrgId(new_id()), LocationId(new_id()), CameraId(new_id())
    async with connected(house.dsn) as connection:
        await connection.execute("INSERT INTO org (id, name) VALUES ($1, $2)", org, str(org))
        await connection.execute(
            "INSERT INTO location (id, org, name) VALUES ($1, $2, 'theirs')", location, org
        )
        await connection.execute(
            "INSERT INTO camera (id, org, location, name, url, transport)"
            " VALUES ($1, $2, $3, 'theirs', 'rtsp://theirs/1', 'tcp')",
            camera,
            org,
            location,
        )
    return Camera(camera, org, location, "theirs", "rtsp://theirs/1")


async def test_a_named_visit_is_answered_whole(house: House) -> None:
    people = PostgresPeople(house.database)
    alice, bob = [await people.create(house.org, name) for name in ("Alice", "Bob")]
    decision = decided(alice, bob)
    record = visit(house.camera, decision)
    await PostgresFaceEvents(house.database).add([record])

    status, answer = await house.ask(to_ruuid(record.id))

    match = {
        "confidence": 0.96875,
        "faceId": to_prefixed("face", decision.candidates[0].face),
        "name": "Alice",
        "uuid": to_ruuid(alice.id),
    }
    runner_up = {
        "confidence": 0.125,
        "faceId": to_prefixed("face", decision.candidates[1].face),
        "name": "Bob",
        "uuid": to_ruuid(bob.id),
    }
    assert status == 200
    assert answer == {
        "faceEvent": {
            "detectionConfidence": 0.9375,
            "deviceUuid": f"{to_ruuid(house.camera.id)}.v0",
            "embeddingConfidence": round((0.5 * 0.9375) ** 0.2, 6),
            "eventTimestamp": 1793698200250,
            "faceName": "Alice",
            "hasEmbedding": True,
            "imageS3Key": record.frame_key,
            "locationUuid": to_ruuid(house.camera.location),
            "orgUuid": to_ruuid(house.org),
            "personUuid": to_ruuid(alice.id),
            "selectedPersonMatch": match,
            "subLocationsHierarchyKey": None,
            "thumbnailS3Key": record.thumbnail_key,
            "topPersonMatches": [match, runner_up],
            "uuid": to_ruuid(record.id),
        }
    }


async def test_a_stranger_is_answered_without_a_match(house: House) -> None:
    record = visit(house.camera)
    await PostgresFaceEvents(house.database).add([record])

    status, answer = await house.ask(to_ruuid(record.id))

    assert status == 200
    assert "selectedPersonMatch" not in answer["faceEvent"]
    assert answer["faceEvent"]["faceName"] is None
    assert answer["faceEvent"]["topPersonMatches"] == []


async def test_somebody_forgotten_is_a_stranger_without_pictures(house: House) -> None:
    carol = await PostgresPeople(house.database).create(house.org, "Carol")
    record = visit(house.camera, decided(carol))
    await PostgresFaceEvents(house.database).add([record])
    assert "Carol" in json.dumps(await house.ask(to_ruuid(record.id)))

    await PostgresPeople(house.database).forget(house.org, carol.id)

    status, answer = await house.ask(to_ruuid(record.id))
    assert status == 200
    assert "Carol" not in json.dumps(answer)
    assert "selectedPersonMatch" not in answer["faceEvent"]
    assert answer["faceEvent"]["imageS3Key"] is None


@pytest.mark.parametrize("named", [True, False])
async def test_answers_follow_the_published_document(house: House, named: bool) -> None:
    if not CONTRACT.exists():
        pytest.skip("../shared/spec is not here")
    validators = pytest.importorskip("openapi_schema_validator")
    components = json.loads(CONTRACT.read_text())["components"]
    name = "Facerecognition_faceevent_GetFaceEventWSResponse"
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
    dora = await PostgresPeople(house.database).create(house.org, f"Dora {new_id()}")
    record = visit(house.camera, decided(dora) if named else None)
    await PostgresFaceEvents(house.database).add([record])

    _, answer = await house.ask(to_ruuid(record.id))

    validators.OAS30Validator(schema).validate(answer)
    published = components["schemas"]["Facerecognition_faceevent_ExternalFaceEvent"]["properties"]
    missing = set(published) - set(answer["faceEvent"])
    assert set(answer["faceEvent"]) <= set(published)
    assert missing == (set() if named else {"selectedPersonMatch"})


async def test_every_documented_scheme_opens_and_no_other(house: House) -> None:
    record = visit(house.camera)
    await PostgresFaceEvents(house.database).add([record])
    statuses = {}
    for scheme in ("api-token", "api", "partner-api-token", "partner-api", "basic", ""):
        statuses[scheme], _ = await house.ask(to_ruuid(record.id), {"x-auth-scheme": scheme})

    assert statuses == {
        "api-token": 200,
        "api": 200,
        "partner-api-token": 200,
        "partner-api": 200,
        "basic": 401,
        "": 401,
    }


@pytest.mark.parametrize("without", ["x-auth-apikey", "x-auth-scheme"])
@pytest.mark.parametrize("path", [GET_EVENT, "/media/faces"])
async def test_without_a_key_nothing_opens(house: House, path: str, without: str) -> None:
    headers = {k: v for k, v in house.client.headers.items() if k.lower() != without}
    method = "POST" if path == GET_EVENT else "GET"
    async with (
        aiohttp.ClientSession(house.client._base_url, headers=headers) as stranger,
        stranger.request(method, path, json={}) as answer,
    ):
        body = await answer.json()
        challenge = answer.headers["WWW-Authenticate"]
        pointed = challenge.removeprefix('Bearer resource_metadata="').removesuffix('"')
        async with stranger.get(pointed) as document:
            described = await document.json()

    assert (answer.status, body) == (401, {"authenticationFailed": True})
    assert described["resource_name"] == "facewatch"


@pytest.mark.parametrize("secret", ["wrong", "fw_" + "A" * 43, "schlüssel", "x" * 4000])
async def test_a_key_that_nobody_has_is_forbidden(house: House, secret: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)

    status, answer = await house.ask(to_ruuid(new_id()), {"x-auth-apikey": secret})

    timestamp = answer.pop("timestamp")
    assert (status, answer) == (403, {"status": 403, "error": "Forbidden", "msg": "Access Denied"})
    assert before <= datetime.fromtimestamp(timestamp / 1000, UTC) <= datetime.now(UTC)


async def test_a_revoked_key_is_forbidden_at_once(house: House) -> None:
    assert (await house.ask(to_ruuid(new_id())))[0] == 200

    await PostgresKeys(house.database).revoke(house.org, house.key.id)

    assert (await house.ask(to_ruuid(new_id())))[0] == 403


async def test_an_expired_key_is_forbidden(house: House) -> None:
    async with connected(house.dsn) as connection:
        await connection.execute(
            "UPDATE api_key SET expires_at = now() WHERE id = $1", house.key.id
        )

    assert (await house.ask(to_ruuid(new_id())))[0] == 403


async def test_an_event_of_another_org_answers_like_one_that_does_not_exist(house: House) -> None:
    theirs = visit(await other_orgs_camera(house))
    await PostgresFaceEvents(house.database).add([theirs])
    _, secret = await PostgresKeys(house.database).create(theirs.org, "theirs", "viewer")

    assert "faceEvent" in (await house.ask(to_ruuid(theirs.id), {"x-auth-apikey": secret}))[1]
    answer = await house.ask(to_ruuid(theirs.id))
    assert answer == await house.ask(to_ruuid(new_id()))
    assert answer == (
        200,
        {
            "error": True,
            "errorMsg": "there is no face event with this eventUuid; check the id",
        },
    )


def uncanonical(event: EventId) -> str:
    """Another spelling of the same bytes: the last character's low bits are no data."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = to_ruuid(event)
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


async def test_what_spells_no_event_is_a_domain_failure(house: House) -> None:
    record = visit(house.camera)
    await PostgresFaceEvents(house.database).add([record])
    unknown = await house.ask(to_ruuid(new_id()))
    odd = [uncanonical(record.id), to_ruuid(record.id) + "\n", str(record.id), "\0" * 22, "", None]

    assert [await house.ask(text) for text in odd] == [unknown] * len(odd)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"AAAAAAAAAAAAAAAAAAAAAA"',
        b'{"eventUuid":7}',
        b'{"eventUuid":{"$ne":null}}',
        b'{"eventUuid":["AAAAAAAAAAAAAAAAAAAAAA"]}',
        b'{"eventUuid":"\\ud800"}',
        b'{"eventUuid":"\xff"}',
        b'{"eventUuid":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"other":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    ],
    ids=lambda body: body[:16].decode(errors="replace") or "nothing",
)
async def test_a_body_that_breaks_the_structure_is_a_400(house: House, body: bytes) -> None:
    async with house.client.post(GET_EVENT, data=body) as answer:
        said = await answer.json()

    assert answer.status == 400
    assert set(said) == {"error", "msg"}
    assert said["error"] == "Bad Request"
    assert said["msg"]
    assert (await house.ask(to_ruuid(new_id())))[0] == 200


async def test_a_picture_is_answered_with_its_type_and_kept_privately(house: House) -> None:
    record = visit(house.camera)
    await house.blobs.put(record.thumbnail_key, JPEG, "image/jpeg")
    query = {"s3ObjectKey": record.thumbnail_key}

    async with house.client.get("/media/faces", params=query) as answer:
        body, headers = await answer.read(), answer.headers
    known = {"If-None-Match": headers["ETag"]}
    async with house.client.get("/media/faces", params=query, headers=known) as again:
        unchanged = again.status, await again.read()

    assert (answer.status, body) == (200, JPEG)
    assert headers["Content-Type"] == "image/jpeg"
    assert "private" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert unchanged == (304, b"")


async def test_a_picture_of_another_org_is_not_there(house: House) -> None:
    theirs = visit(await other_orgs_camera(house))
    await house.blobs.put(theirs.thumbnail_key, JPEG, "image/jpeg")
    await house.blobs.put(visit(house.camera).thumbnail_key, JPEG, "image/jpeg")
    ours = to_ruuid(house.org)
    keys = [
        theirs.thumbnail_key,
        f"{ours}/2026-11/events/{ours}/../../../../{theirs.thumbnail_key}",
        f"{ours}/../{theirs.thumbnail_key}",
        f"/{visit(house.camera).thumbnail_key}",
        visit(house.camera).thumbnail_key,
        f"{ours}/2026-11/events/{ours}/{'x' * 5000}",
        f"{ours}/2026-11/events/{ours}/a\0b",
        f"{ours}/../../../../etc/passwd",
        "../../etc/passwd",
        "",
    ]
    answers = set()
    for key in keys:
        async with house.client.get("/media/faces", params={"s3ObjectKey": key}) as answer:
            answers.add((answer.status, await answer.text()))
    async with house.client.get("/media/faces") as answer:
        answers.add((answer.status, await answer.text()))

    assert len(answers) == 1
    assert answers.pop()[0] == 404


async def test_ready_says_how_each_part_is(house: House) -> None:
    now = datetime.now(UTC)
    status = CameraStatus(house.camera.id, CameraState.REFUSED, "wrong password", 0.0, None, now)
    await PostgresCameraStatuses(house.database).report([status])

    async with house.client.get("/readyz") as answer:
        body = await answer.json()

    assert answer.status == 200
    assert body["ready"] is True
    assert body["parts"]["database"] == {"ready": True, "detail": "answers"}
    assert "1 refused" in body["parts"]["cameras"]["detail"]


async def test_with_postgres_down_the_service_says_so_and_recovers(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "home") as dsn:
        await migrate(dsn)
        house = await (opened := open_house(dsn, tmp_path)).__aenter__()
    try:
        async with house.client.get("/readyz") as answer:
            body = await answer.json()
        down = await house.ask(to_ruuid(new_id()))
        async with house.client.get("/healthz") as alive:
            pass
        async with embedded_postgres(tmp_path / "home"), asyncio.timeout(20):
            while (await house.ask(to_ruuid(new_id())))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            async with house.client.get("/readyz") as recovered:
                pass
    finally:
        await opened.__aexit__(None, None, None)

    assert (answer.status, body["ready"]) == (503, False)
    assert body["parts"]["database"]["ready"] is False
    assert "Postgres" in body["parts"]["database"]["detail"]
    assert down == (
        503,
        {"error": "Service Unavailable", "msg": "a store is down; try again"},
    )
    assert (alive.status, recovered.status) == (200, 200)


async def test_a_part_that_hangs_or_fails_is_named_without_its_password(
    house: House, tmp_path: Path
) -> None:
    async def hangs() -> str:
        await asyncio.Event().wait()
        return "never"

    async def fails() -> str:
        raise ObjectStoreUnavailable("http://user:hunter2@s3.internal refuses us", "check it")

    deps = some_deps(house.database, tmp_path, readiness={"models": hangs, "object_store": fails})
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url) as anybody,
        anybody.get("/readyz") as answer,
    ):
        body = await answer.json()

    assert answer.status == 503
    assert body["parts"]["models"] == {"ready": False, "detail": "no answer within 2 s"}
    assert body["parts"]["object_store"]["ready"] is False
    assert "hunter2" not in json.dumps(body)


async def test_metrics_are_prometheus_text_and_need_no_key(house: House) -> None:
    await house.ask(to_ruuid(new_id()))
    async with (
        aiohttp.ClientSession(house.client._base_url) as anybody,
        anybody.get("/metrics") as answer,
    ):
        text = await answer.text()

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "process_resident_memory_bytes" in text
    assert "spool_backlog 0.0" in text
    assert (
        f'http_requests_total{{family="rhombus",operation="{GET_EVENT}",status="200"}} 1.0' in text
    )
