"""The person and matchmaker services of the Rhombus contract, over a real socket and Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from factories import (
    NOON,
    ORG,
    QUALITY,
    a_camera,
    a_decision,
    a_face,
    a_record,
    a_template,
    an_enrolment,
    photo_keys,
    some_deps,
    some_remains,
)

from facewatch.api.server import application, serving
from facewatch.app.recognition import open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import open_stores
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord
from facewatch.domain.faces import THUMBNAIL_MARGIN
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    EventId,
    LocationId,
    OrgId,
    PersonId,
    new_id,
    to_prefixed,
    to_ruuid,
)
from facewatch.domain.keys import event_prefix
from facewatch.errors import ObjectStoreUnavailable, UnusablePhoto
from facewatch.people.forget import forget
from facewatch.people.sighting import Copier
from facewatch.settings import Settings
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.garbage import sweep
from facewatch.store.keys import PostgresKeys
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault
from facewatch.vision.pictures import ArrayPicture, JpegPngEncoder, decode

CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"
NO_PERSON = {
    "error": True,
    "errorMsg": "there is no person with this personUuid; check the id",
}
READING = (
    "person/getPerson",
    "person/findPeopleByOrg",
    "person/findPersonLabelsByOrg",
    "matchmaker/getFaceMatchmaker",
    "matchmaker/findFaceMatchmakersByOrg",
    "matchmaker/findFaceMatchmakersByPerson",
    "matchmaker/getFaceMatchingConfig",
)
CHANGING = (
    "person/createPerson",
    "person/updatePerson",
    "person/deletePerson",
    "person/addPersonLabel",
    "person/removePersonLabel",
    "matchmaker/createFaceMatchmakerFromSighting",
    "matchmaker/deleteFaceMatchmaker",
    "matchmaker/updateFaceMatchingConfig",
)


@cache
def contract() -> dict[str, Any]:
    if not CONTRACT.exists():
        pytest.skip("../shared/spec is not here")
    document: dict[str, Any] = json.loads(CONTRACT.read_text())
    return document


def follows(operation: str, answer: dict[str, Any]) -> None:
    """*answer* is what the published document promises of *operation*, and holds nothing else."""
    validators = pytest.importorskip("openapi_schema_validator")
    document = contract()
    described = document["paths"][f"/api/faceRecognition/{operation}"]["post"]["responses"]["200"]
    schema = described["content"]["application/json"]["schema"]
    whole = {"allOf": [schema], "components": document["components"]}
    validators.OAS30Validator(whole).validate(answer)
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(answer) <= set(named.get("properties", {}))


@dataclass
class House:
    """A running service with the stores behind it."""

    client: aiohttp.ClientSession
    database: Database
    people: PostgresPeople
    events: PostgresFaceEvents
    blobs: LocalBlobs
    objects: Path
    camera: Camera

    async def ask(
        self, operation: str, message: object, key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        async with self.client.post(
            f"/api/faceRecognition/{operation}",
            json=message,
            headers={"x-auth-apikey": key} if key else None,
        ) as answer:
            return answer.status, await answer.json()

    async def done(self, operation: str, **message: object) -> dict[str, Any]:
        """The answer of an operation that succeeds as the contract says."""
        status, answer = await self.ask(operation, message)
        assert status == 200
        assert "error" not in answer, answer
        if CONTRACT.exists():
            follows(operation, answer)
        return answer

    async def refused(self, operation: str, **message: object) -> str:
        status, answer = await self.ask(operation, message)
        assert (status, answer.get("error")) == (200, True), answer
        assert set(answer) == {"error", "errorMsg"}
        said: str = answer["errorMsg"]
        return said

    async def person(self, name: str) -> str:
        """The personUuid of a new person."""
        answer = await self.done("person/createPerson", name=name)
        uuid: str = answer["person"]["uuid"]
        return uuid

    async def seen(self, **given: Any) -> EventRecord:
        """A visit that is over, with its pixels in the object store."""
        record = a_visit(self.camera, **given)
        await self.blobs.put_all([(key, body, "image/jpeg") for key, body in pixels(record)])
        await self.events.add([record])
        return record

    def kept(self) -> set[Path]:
        """What the object store holds."""
        return {path for path in self.objects.rglob("*") if path.is_file()}


def pixels(record: EventRecord) -> list[tuple[str, bytes]]:
    """A frame, the face as the pipeline cuts it, and the aligned crops."""
    frame = np.random.default_rng(record.id.int % 1000).integers(0, 255, (720, 1280, 3), np.uint8)
    face, _ = ArrayPicture(frame).cut(record.snapshot.faces[0].box.grown(THUMBNAIL_MARGIN))
    encoder = JpegPngEncoder()
    return [
        (record.frame_key, encoder.jpeg(frame, 85)),
        (record.thumbnail_key, encoder.jpeg(face, 90)),
        *((key, encoder.png(frame[:112, :112].copy())) for key in record.look_keys),
    ]


def a_visit(camera: Camera, **given: Any) -> EventRecord:
    event = EventId(new_id(NOON))
    prefix = event_prefix(camera.org, event, NOON) + "/1"
    face = a_face(event, quality=given.pop("quality", QUALITY), box=given.pop("box", BOX))
    plain = a_record(camera.id, id=event, org=camera.org, location=camera.location, closed=True)
    whole = replace(
        plain,
        face=face.id,
        snapshot=replace(plain.snapshot, faces=(face,)),
        frame_key=f"{prefix}/frame.jpg",
        thumbnail_key=f"{prefix}/face.jpg",
        look_keys=(f"{prefix}/look-0.png",),
    )
    return replace(whole, **given)


BOX = Box(101.0, 80.0, 161.0, 160.0)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    camera = a_camera(url="rtsp://door/1")
    await PostgresCameras(database, Vault(tmp_path)).add(camera)
    people, blobs = PostgresPeople(database), LocalBlobs(tmp_path / "objects")
    events = PostgresFaceEvents(database)
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    deps = some_deps(
        database,
        tmp_path,
        events=events,
        people=people,
        blobs=blobs,
        copier=Copier(people, blobs, "sface", decode),
        clock=lambda: datetime.now(UTC),
    )
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield House(client, database, people, events, blobs, tmp_path / "objects", camera)


async def elsewhere(house: House) -> tuple[OrgId, Camera, str]:
    """Another org with a camera, and an operator's key to it."""
    org, location = OrgId(new_id()), LocationId(new_id())
    pool = house.database._pool
    await pool.execute("INSERT INTO org (id, name) VALUES ($1, $2)", org, str(org))
    await pool.execute(
        "INSERT INTO location (id, org, name) VALUES ($1, $2, 'theirs')", location, org
    )
    camera = a_camera(org=org, location=location)
    await PostgresCameras(house.database, Vault(house.objects.parent)).add(camera)
    _, secret = await PostgresKeys(house.database).create(org, "theirs", "operator")
    return org, camera, secret


# --- persons ----------------------------------------------------------------------------------


async def test_a_new_person_is_answered_whole_and_found_again(house: House) -> None:
    before = datetime.now(UTC)
    made = (await house.done("person/createPerson", name="  Zoe\u0308 "))["person"]

    kept = await house.people.named(ORG, "Zoë")
    assert made == {
        "createdOn": kept.created_at.isoformat().replace("+00:00", "Z"),
        "name": "Zoë",
        "orgUuid": to_ruuid(ORG),
        "updatedOn": kept.created_at.isoformat().replace("+00:00", "Z"),
        "uuid": to_ruuid(kept.id),
    }
    assert abs((datetime.fromisoformat(made["createdOn"]) - before).total_seconds()) < 10
    assert await house.done("person/getPerson", personUuid=made["uuid"]) == {"person": made}
    await house.person("Ann")
    everybody = (await house.done("person/findPeopleByOrg"))["people"]
    assert [it["name"] for it in everybody] == ["Ann", "Zoë"]
    assert everybody[1] == made


@pytest.mark.parametrize("name", [None, "", " \t", "a\0b", "x" * 201, "é" * 5000])
async def test_what_is_no_name_is_refused_in_words(house: House, name: str | None) -> None:
    said = await house.refused("person/createPerson", name=name)

    assert "name must not be" in said
    assert await house.people.all(ORG) == []


async def test_a_name_that_somebody_has_is_refused(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")

    assert "of this name already" in await house.refused("person/createPerson", name=" Ann")
    rename = {"uuid": bob, "name": "Ann", "updatedSetMethodMap": {"setName": True}}
    said = await house.refused("person/updatePerson", personSelectiveUpdate=rename)
    assert "of this name already" in said
    # one's own name is no other's
    await house.done("person/updatePerson", personSelectiveUpdate=rename | {"uuid": ann})
    # it is free again
    await house.done("person/deletePerson", personUuid=ann)
    await house.done("person/updatePerson", personSelectiveUpdate=rename)


async def test_of_many_who_take_one_name_at_once_one_gets_it(house: House) -> None:
    answers = await asyncio.gather(
        *(house.ask("person/createPerson", {"name": "Ann"}) for _ in range(12))
    )

    assert sum("person" in answer for _, answer in answers) == 1
    assert len(await house.people.all(ORG)) == 1


async def test_only_what_the_map_names_changes(house: House) -> None:
    ann = await house.person("Ann")
    pool = house.database._pool

    async def update(setters: dict[str, bool | None] | None, **fields: object) -> dict[str, Any]:
        message = {"uuid": ann, "updatedSetMethodMap": setters, **fields}
        answer = await house.done("person/updatePerson", personSelectiveUpdate=message)
        person: dict[str, Any] = answer["person"]
        return person

    async def email() -> str | None:
        found: str | None = await pool.fetchval("SELECT email FROM person")
        return found

    first = await update({"name": True}, name="Bob", email="b@x")
    assert (first["name"], await email()) == ("Ann", None)
    assert first["updatedOn"] > first["createdOn"]
    second = await update({"setEmail": True}, name="Bob", email=" ann@x.org ")
    assert (second["name"], await email()) == ("Ann", "ann@x.org")
    assert "email" not in second
    assert second["updatedOn"] > first["updatedOn"]
    third = await update({"setName": True, "setEmail": False}, name="Anna", email="no@x")
    assert (third["name"], await email()) == ("Anna", "ann@x.org")
    assert third["createdOn"] == first["createdOn"]
    assert (await update({"setEmail": True}))["name"] == "Anna"
    assert await email() is None
    assert (await update(None, name="Cleo"))["name"] == "Anna"
    assert (await house.done("person/getPerson", personUuid=ann))["person"]["name"] == "Anna"


async def test_a_name_that_is_cleared_takes_the_person_out_of_this_contract(house: House) -> None:
    ann = await house.person("Ann")
    await house.people.enrol(
        ORG, (await house.people.named(ORG, "Ann")).id, an_enrolment(), photo_keys("ann")
    )
    message = {"uuid": ann, "updatedSetMethodMap": {"setName": True}}

    answer = await house.done("person/updatePerson", personSelectiveUpdate=message)

    assert answer["person"]["name"] is None
    assert await house.ask("person/getPerson", {"personUuid": ann}) == (200, NO_PERSON)
    assert await house.done("person/findPeopleByOrg") == {"people": []}
    found = await house.done("matchmaker/findFaceMatchmakersByOrg")
    assert found == {"faceMatchmakers": []}


async def test_a_new_name_shows_in_past_events(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    record = await house.seen(decision=a_decision(ann.id))
    message = {"name": "Anna", "uuid": to_ruuid(ann.id), "updatedSetMethodMap": {"setName": True}}
    await house.done("person/updatePerson", personSelectiveUpdate=message)

    event = (await house.done("faceEvent/getFaceEvent", eventUuid=to_ruuid(record.id)))["faceEvent"]

    assert event["faceName"] == event["selectedPersonMatch"]["name"] == "Anna"


async def test_the_deleted_leave_their_events_without_a_name(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    record = await house.seen(decision=a_decision(ann.id))
    source = await house.seen(template=a_template(3))
    made = await house.done(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=to_ruuid(source.id),
        personUuid=to_ruuid(ann.id),
    )
    await house.done("person/addPersonLabel", personUuid=to_ruuid(ann.id), label="VIP")

    assert await house.done("person/deletePerson", personUuid=to_ruuid(ann.id)) == {}

    event = (await house.done("faceEvent/getFaceEvent", eventUuid=to_ruuid(record.id)))["faceEvent"]
    assert event["faceName"] is event["personUuid"] is None
    assert "selectedPersonMatch" not in event
    assert "Ann" not in json.dumps(event)
    face = made["faceMatchmaker"]["id"]
    await house.refused("matchmaker/getFaceMatchmaker", faceId=face)
    assert await house.done("person/findPersonLabelsByOrg") == {"labelsByPerson": {}}
    assert await house.people.gallery(ORG, "sface") == (2, [])
    left = house.kept()
    assert {path.name for path in left} == {"frame.jpg", "face.jpg", "look-0.png"}
    assert all(to_ruuid(source.id) in str(path) for path in left)
    assert await house.ask("person/deletePerson", {"personUuid": to_ruuid(ann.id)}) == (
        200,
        NO_PERSON,
    )


async def test_an_object_store_that_is_down_does_not_keep_the_deleted(house: House) -> None:
    class Down(LocalBlobs):
        async def delete(self, keys: object) -> None:
            raise ObjectStoreUnavailable("it does not answer")

    ann = await house.people.create(ORG, "Ann")
    record = await house.seen(decision=a_decision(ann.id))
    remains = some_remains(house.people, house.objects)
    await forget(house.people, Down(house.objects), remains, ORG, ann.id)

    assert house.kept()
    await house.database._pool.execute("UPDATE garbage SET since = now() - interval '1 hour'")
    await sweep(house.database, house.blobs)
    assert not house.kept()
    assert (await house.events.get(ORG, record.id)).frame_key == ""


async def test_labels_come_and_go(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    for person, label in ((ann, "VIP"), (ann, " Staff "), (bob, "VIP"), (ann, "VIP")):
        assert await house.done("person/addPersonLabel", personUuid=person, label=label) == {}

    labels = (await house.done("person/findPersonLabelsByOrg"))["labelsByPerson"]
    assert labels == {ann: ["Staff", "VIP"], bob: ["VIP"]}

    for label in ("VIP", "VIP", "never given"):
        assert await house.done("person/removePersonLabel", personUuid=bob, label=label) == {}
    labels = (await house.done("person/findPersonLabelsByOrg"))["labelsByPerson"]
    assert labels == {ann: ["Staff", "VIP"]}


@pytest.mark.parametrize("label", [None, " ", "\0", "x" * 5000])
async def test_what_is_no_label_is_refused_in_words(house: House, label: str | None) -> None:
    ann = await house.person("Ann")

    said = await house.refused("person/addPersonLabel", personUuid=ann, label=label)

    assert "label must not be" in said


# --- ids and keys -----------------------------------------------------------------------------


def uncanonical(ruuid: str) -> str:
    """Another spelling of the same bytes: the last character's low bits are no data."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return ruuid[:-1] + alphabet[alphabet.index(ruuid[-1]) + 1]


async def test_whatever_is_wrong_with_a_person_id_the_answer_is_the_same(house: House) -> None:
    org, _, their_key = await elsewhere(house)
    theirs = to_ruuid((await house.people.create(org, "Theirs")).id)
    mine = await house.person("Mine")
    unnamed = PersonId(new_id())
    await house.database._pool.execute("INSERT INTO person (id, org) VALUES ($1, $2)", unnamed, ORG)
    odd = [None, "", "hello", "\0" * 22, mine + "\n", uncanonical(mine), str(new_id())]
    odd += [to_ruuid(new_id()), theirs, to_ruuid(unnamed)]
    event = to_ruuid((await house.seen()).id)

    for person in odd:
        for operation, more in (
            ("person/getPerson", {}),
            ("person/deletePerson", {}),
            ("person/addPersonLabel", {"label": "VIP"}),
            ("person/removePersonLabel", {"label": "VIP"}),
            ("matchmaker/findFaceMatchmakersByPerson", {}),
            ("matchmaker/createFaceMatchmakerFromSighting", {"faceEventUuid": event}),
        ):
            answer = await house.ask(operation, {"personUuid": person, **more})
            assert answer == (200, NO_PERSON), (operation, person)
        update = {"uuid": person, "name": "Mine now", "updatedSetMethodMap": {"setName": True}}
        said = await house.refused("person/updatePerson", personSelectiveUpdate=update)
        assert said == "there is no person with this uuid; check the id"
    status, answer = await house.ask("person/getPerson", {"personUuid": theirs}, their_key)
    assert (status, answer["person"]["name"]) == (200, "Theirs")
    assert [it.name for it in await house.people.all(ORG)] == ["Mine"]


async def test_whatever_is_wrong_with_a_face_id_the_answer_is_the_same(house: House) -> None:
    org, _, their_key = await elsewhere(house)
    theirs = await house.people.create(org, "Theirs")
    enrolled = await house.people.enrol(org, theirs.id, an_enrolment(), photo_keys("theirs"))
    foreign = to_prefixed("face", enrolled.face)
    odd = [None, "", "face_12345", "face_" + "2" * 22, to_ruuid(new_id()), foreign]
    odd += [foreign.removeprefix("face_"), "person_" + foreign[5:], "face_" + "z" * 22]

    for operation in ("matchmaker/getFaceMatchmaker", "matchmaker/deleteFaceMatchmaker"):
        for face in odd:
            said = await house.refused(operation, faceId=face)
            assert said == "there is no matchmaker with this faceId; check the id"
    status, answer = await house.ask("matchmaker/getFaceMatchmaker", {"faceId": foreign}, their_key)
    assert (status, answer["faceMatchmaker"]["id"]) == (200, foreign)


async def test_another_org_is_not_in_any_list(house: House) -> None:
    org, _, _ = await elsewhere(house)
    theirs = await house.people.create(org, "Theirs")
    await house.people.enrol(org, theirs.id, an_enrolment(), photo_keys("theirs"))
    await house.people.add_label(org, theirs.id, "VIP")

    assert await house.done("person/findPeopleByOrg") == {"people": []}
    assert await house.done("person/findPersonLabelsByOrg") == {"labelsByPerson": {}}
    found = await house.done("matchmaker/findFaceMatchmakersByOrg")
    assert found == {"faceMatchmakers": []}


async def test_reading_needs_a_viewer_and_changing_an_operator(house: House) -> None:
    _, viewer = await PostgresKeys(house.database).create(ORG, "looks", "viewer")

    looked = {op: (await house.ask(op, {}, viewer))[0] for op in (*READING, *CHANGING)}

    assert looked == dict.fromkeys(READING, 200) | dict.fromkeys(CHANGING, 403)
    allowed = {op: (await house.ask(op, {}))[0] for op in CHANGING}
    assert allowed == dict.fromkeys(CHANGING, 200)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("person/createPerson", {"name": 7}),
        ("person/updatePerson", {"personSelectiveUpdate": None}),
        ("person/updatePerson", {"personSelectiveUpdate": {"updatedSetMethodMap": ["setName"]}}),
        ("person/updatePerson", {"personSelectiveUpdate": {"updatedSetMethodMap": {"a": "yes"}}}),
        ("person/addPersonLabel", {"label": ["VIP"]}),
        ("matchmaker/getFaceMatchmaker", {"faceId": 1}),
        ("matchmaker/updateFaceMatchingConfig", {"faceMatchConfidenceThreshold": "0.7"}),
        ("matchmaker/updateFaceMatchingConfig", {"faceMatchConfidenceThreshold": 1.01}),
        ("matchmaker/updateFaceMatchingConfig", {"faceMatchConfidenceThreshold": -0.01}),
        ("matchmaker/updateFaceMatchingConfig", {"faceMatchConfidenceThreshold": float("nan")}),
    ],
)
async def test_what_the_document_does_not_allow_is_a_400(
    house: House, operation: str, message: dict[str, Any]
) -> None:
    status, answer = await house.ask(operation, message)

    assert (status, answer["error"]) == (400, "Bad Request")


# --- matchmakers ------------------------------------------------------------------------------


async def test_a_matchmaker_of_a_sighting_outlives_it(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    record = await house.seen(template=a_template(5))
    thumbnail = await house.blobs.get(record.thumbnail_key)
    crop = await house.blobs.get(record.look_keys[0])

    made = await house.done(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=to_ruuid(record.id),
        personUuid=to_ruuid(ann.id),
    )

    face = made["faceMatchmaker"]
    _, (enrolled,) = await house.people.gallery(ORG, "sface")
    assert face == {
        "createdOn": face["createdOn"],
        "id": to_prefixed("face", enrolled.face),
        "orgUuid": to_ruuid(ORG),
        "personUuid": to_ruuid(ann.id),
        "uploaded": False,
    }
    datetime.fromisoformat(face["createdOn"])
    assert enrolled.face != record.face
    pool = house.database._pool
    # the event goes, with everything that only it shows
    await pool.execute("DELETE FROM asset WHERE id = $1", record.snapshot.id)
    await pool.execute("DELETE FROM face_event WHERE id = $1", record.id)
    await house.blobs.delete([record.frame_key, record.thumbnail_key, *record.look_keys])

    assert await house.done("matchmaker/getFaceMatchmaker", faceId=face["id"]) == made
    _, (still,) = await house.people.gallery(ORG, "sface")
    assert np.array_equal(still.template, a_template(5))
    row = await pool.fetchrow(
        "SELECT f.*, a.key, a.width, a.height, a.captured_at FROM face f"
        " JOIN asset a ON a.id = f.asset WHERE f.id = $1",
        enrolled.face,
    )
    assert await house.blobs.get(row["key"]) == thumbnail
    assert await house.blobs.get(row["thumbnail_key"]) == thumbnail
    assert await house.blobs.get(row["crop_key"]) == crop
    assert row["captured_at"] == record.best_at
    # the face is where it is in the copy: its margin from the edges
    assert (row["box_left"], row["box_top"]) == (21, 28)
    assert (row["box_right"], row["box_bottom"]) == (81, 108)
    assert (row["width"], row["height"]) == (102, 136)
    assert row["landmarks"][:2] == [1 - 80, 2 - 52]


async def test_a_visit_that_goes_on_gives_a_matchmaker_without_a_crop(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    record = await house.seen(look_keys=(), closed=False, box=Box(2.0, 3.0, 66.0, 83.0))

    made = await house.done(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=to_ruuid(record.id),
        personUuid=to_ruuid(ann.id),
    )

    row = await house.database._pool.fetchrow("SELECT * FROM face WHERE person = $1", ann.id)
    assert row["crop_key"] is None
    assert (row["box_left"], row["box_top"]) == (2, 3)
    await house.done("matchmaker/deleteFaceMatchmaker", faceId=made["faceMatchmaker"]["id"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"template": None, "decision": None}, "no template"),
        ({"template": a_template(0, 512), "model": "arcface"}, "no template of sface"),
        ({"box": Box(100.0, 80.0, 130.0, 120.0)}, "30 px wide, less than 40"),
        ({"quality": replace(QUALITY, sharpness=0.1)}, "blurred (sharpness 0.10"),
        ({"quality": replace(QUALITY, pose=0.2)}, "turned away (pose 0.20"),
    ],
    ids=["no template", "another model", "small", "blurred", "turned"],
)
async def test_a_sighting_that_is_not_fit_is_refused_with_the_reason(
    house: House, given: dict[str, Any], why: str
) -> None:
    ann = await house.person("Ann")
    record = await house.seen(**given)

    said = await house.refused(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=to_ruuid(record.id),
        personUuid=ann,
    )

    assert why in said
    assert await house.people.gallery(ORG, "sface") == (0, [])


async def test_the_sighting_of_somebody_forgotten_is_refused(house: House) -> None:
    ann, bob = await house.people.create(ORG, "Ann"), await house.people.create(ORG, "Bob")
    record = await house.seen(decision=a_decision(ann.id))
    copier = Copier(house.people, house.blobs, "sface", decode)
    sighting = await copier.sighting(ORG, record.id)
    await house.people.forget(ORG, ann.id)
    message = {"faceEventUuid": to_ruuid(record.id), "personUuid": to_ruuid(bob.id)}

    said = await house.refused("matchmaker/createFaceMatchmakerFromSighting", **message)
    assert "were erased" in said
    # it was forgotten while it was being copied
    with pytest.raises(UnusablePhoto, match="were erased"):
        await copier.enrol(ORG, sighting, bob.id)
    assert (await house.people.gallery(ORG, "sface"))[1] == []


async def test_a_sighting_is_one_matchmaker_of_a_person(house: House) -> None:
    ann = await house.person("Ann")
    record = await house.seen()
    message = {"faceEventUuid": to_ruuid(record.id), "personUuid": ann}

    answers = await asyncio.gather(
        *(house.ask("matchmaker/createFaceMatchmakerFromSighting", message) for _ in range(4))
    )

    assert sum("faceMatchmaker" in answer for _, answer in answers) == 1
    kept = {path for path in house.objects.rglob("*") if path.is_file()}
    said = await house.refused("matchmaker/createFaceMatchmakerFromSighting", **message)
    assert "this very sighting" in said
    # what was refused leaves no pixels
    assert {path for path in house.objects.rglob("*") if path.is_file()} == kept
    assert len([path for path in kept if "enrolment" in path.parts]) == 3


async def test_an_event_that_is_not_ours_cannot_be_copied(house: House) -> None:
    _, camera, _ = await elsewhere(house)
    ann = await house.person("Ann")
    theirs = a_visit(camera)
    await house.events.add([theirs])
    ours = await house.seen()

    for event in (to_ruuid(theirs.id), to_ruuid(new_id()), uncanonical(to_ruuid(ours.id)), None):
        said = await house.refused(
            "matchmaker/createFaceMatchmakerFromSighting", faceEventUuid=event, personUuid=ann
        )
        assert said == "there is no face event with this faceEventUuid; check the id"


async def test_matchmakers_are_listed_newest_first(house: House) -> None:
    ann, bob = await house.people.create(ORG, "Ann"), await house.people.create(ORG, "Bob")
    faces = []
    for seed, person in enumerate((ann, bob, ann)):
        enrolment = an_enrolment(seed)
        await house.people.enrol(ORG, person.id, enrolment, photo_keys(str(seed)))
        faces.append(to_prefixed("face", enrolment.face))

    everybody = (await house.done("matchmaker/findFaceMatchmakersByOrg"))["faceMatchmakers"]
    of_ann = await house.done("matchmaker/findFaceMatchmakersByPerson", personUuid=to_ruuid(ann.id))

    assert [it["id"] for it in everybody] == faces[::-1]
    assert all(it["uploaded"] for it in everybody)
    assert of_ann["faceMatchmakers"] == [everybody[0], everybody[2]]


async def test_a_deleted_matchmaker_takes_its_pixels_and_nothing_else(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    decision = a_decision(ann.id)
    past = await house.seen(decision=decision)
    source = await house.seen(template=a_template(4))
    before = house.kept()
    other = an_enrolment(9)
    await house.people.enrol(ORG, ann.id, other, photo_keys("other"))
    made = await house.done(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=to_ruuid(source.id),
        personUuid=to_ruuid(ann.id),
    )
    face = made["faceMatchmaker"]["id"]
    assert len(house.kept()) == len(before) + 3

    assert await house.done("matchmaker/deleteFaceMatchmaker", faceId=face) == {}

    assert house.kept() == before
    revision, left = await house.people.gallery(ORG, "sface")
    assert (revision, [it.face for it in left]) == (3, [other.face])
    assert (await house.people.get(ORG, ann.id)).matchmakers == 1
    assert (await house.events.get(ORG, past.id)).person_name == "Ann"
    tombstone = await house.database._pool.fetchrow(
        "SELECT * FROM matchmaker WHERE revision_removed IS NOT NULL"
    )
    assert (tombstone["revision_added"], tombstone["revision_removed"]) == (2, 3)
    said = await house.refused("matchmaker/deleteFaceMatchmaker", faceId=face)
    assert said == "there is no matchmaker with this faceId; check the id"


# --- the threshold ----------------------------------------------------------------------------


async def test_the_threshold_is_the_orgs_own_or_the_default(house: House) -> None:
    _, _, their_key = await elsewhere(house)

    async def settle(threshold: float | None) -> float:
        answer = await house.done(
            "matchmaker/updateFaceMatchingConfig", faceMatchConfidenceThreshold=threshold
        )
        assert answer == await house.done("matchmaker/getFaceMatchingConfig")
        in_force: float = answer["faceMatchConfidenceThreshold"]
        return in_force

    default = {"faceMatchConfidenceThreshold": 0.7}
    assert await house.done("matchmaker/getFaceMatchingConfig") == default
    assert [await settle(it) for it in (0.85, 0, 1, 0.123456)] == [0.85, 0, 1, 0.123456]
    assert await house.ask("matchmaker/getFaceMatchingConfig", {}, their_key) == (200, default)
    assert await settle(None) == 0.7


async def test_what_changes_is_in_force_in_a_running_service_within_a_second(
    dsn: str, models: Path, tmp_path: Path
) -> None:
    settings = Settings.model_validate(
        {
            "home": str(tmp_path / "home"),
            "database_url": dsn,
            "models": {"directory": str(models)},
            "http": {"port": 0},
        }
    )
    stop = asyncio.Event()
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
        asyncio.TaskGroup() as group,
    ):
        answering: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        group.create_task(
            run_service(
                settings,
                stores,
                recognition,
                stop=stop,
                ready=answering.set_result,
                written=lambda _visit, _record: None,
            )
        )
        url = await answering
        _, secret = await stores.keys.create(stores.org, "tests", "operator")
        headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
        async with aiohttp.ClientSession(url, headers=headers) as client:

            async def ask(operation: str, **message: object) -> dict[str, Any]:
                path = f"/api/faceRecognition/{operation}"
                async with client.post(path, json=message) as answer:
                    said: dict[str, Any] = await answer.json()
                    assert "error" not in said, said
                    return said

            async def named(probe: object, expected: PersonId | None) -> None:
                async with asyncio.timeout(1):
                    while True:
                        if recognition.decider.decide(stores.org, probe, 0.9).person == expected:
                            return
                        await asyncio.sleep(0.01)

            camera = a_camera(name="test")
            await stores.cameras.add(replace(camera, url=""))
            own, axis = a_template(1), a_template(2)
            record = a_visit(camera, template=own)
            await stores.blobs.put_all([(k, body, "image/jpeg") for k, body in pixels(record)])
            await stores.events.add([record])
            made = (await ask("person/createPerson", name="Ann"))["person"]
            ann = (await stores.people.named(stores.org, "Ann")).id
            across = axis - own * np.float32(own @ axis)
            probe = 0.6 * own + 0.8 * across / np.linalg.norm(across)  # a cosine of 0.6
            await named(probe, None)

            face = await ask(
                "matchmaker/createFaceMatchmakerFromSighting",
                faceEventUuid=to_ruuid(record.id),
                personUuid=made["uuid"],
            )
            await named(probe, ann)
            await ask("matchmaker/updateFaceMatchingConfig", faceMatchConfidenceThreshold=0.999)
            await named(probe, None)
            decision = recognition.decider.decide(stores.org, probe, 0.9)
            assert decision.threshold == 0.999
            assert "below 1.00" in decision.reason
            await ask("matchmaker/updateFaceMatchingConfig", faceMatchConfidenceThreshold=None)
            await named(probe, ann)
            await ask("matchmaker/deleteFaceMatchmaker", faceId=face["faceMatchmaker"]["id"])
            await named(probe, None)
        stop.set()


async def test_the_threshold_outlives_the_service(
    database: Database, dsn: str, models: Path, tmp_path: Path
) -> None:
    await PostgresOrgs(database).set_match_threshold(ORG, 0.9)
    settings = Settings.model_validate(
        {
            "home": str(tmp_path / "home"),
            "database_url": dsn,
            "models": {"directory": str(models)},
        }
    )
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
    ):
        decision = recognition.decider.decide(ORG, a_template(), 0.9)

    assert decision.threshold == 0.9
