"""The event log: versions, late arrivals, operators, the forgotten."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import numpy as np
import pytest
from factories import (
    LOCATION,
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
)

from facewatch.domain.cameras import Camera
from facewatch.domain.events import AssignedBy, EventRecord
from facewatch.domain.ids import CameraId, LocationId, OrgId, PersonId, new_id
from facewatch.domain.people import Person
from facewatch.errors import NotFound
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.garbage import sweep
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault


@pytest.fixture
async def camera(cameras: PostgresCameras) -> Camera:
    made = a_camera()
    await cameras.add(made)
    return made


@pytest.fixture
def cameras(database: Database, tmp_path) -> PostgresCameras:  # type: ignore[no-untyped-def]
    return PostgresCameras(database, Vault(tmp_path))


@pytest.fixture
def events(database: Database) -> PostgresFaceEvents:
    return PostgresFaceEvents(database)


@pytest.fixture
def people(database: Database) -> PostgresPeople:
    return PostgresPeople(database)


@pytest.fixture
async def ann(people: PostgresPeople) -> Person:
    person = await people.create(ORG, "Ann")
    await people.enrol(ORG, person.id, an_enrolment(), photo_keys("ann"))
    return person


@pytest.fixture
async def sql(dsn: str):  # type: ignore[no-untyped-def]
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def better(record: EventRecord, **given) -> EventRecord:  # type: ignore[no-untyped-def]
    """The next version of *record*, with a new picture."""
    version = record.version + 1
    new = a_record(record.camera, record.first_seen, id=record.id, version=version)
    return replace(new, **given)


async def test_an_event_is_read_as_it_was_written(camera, events, ann) -> None:
    written = a_record(camera.id, decision=a_decision(ann.id))
    await events.add([written])

    read = await events.get(ORG, written.id)

    assert (read.org, read.location, read.camera) == (ORG, LOCATION, camera.id)
    assert (read.first_seen, read.last_seen, read.best_at) == (
        written.first_seen,
        written.last_seen,
        written.best_at,
    )
    assert (read.frame_key, read.thumbnail_key) == (written.frame_key, written.thumbnail_key)
    assert read.has_template
    assert read.quality.overall == pytest.approx(QUALITY.overall)
    assert (read.person, read.person_name, read.assigned_by) == (
        ann.id,
        "Ann",
        AssignedBy.MATCHER,
    )
    assert read.selected is not None
    assert read.selected.candidate.similarity == pytest.approx(0.62)
    assert read.selected.candidate.face == written.decision.candidates[0].face
    assert [it.name for it in read.candidates] == ["Ann"]


async def test_another_org_sees_nothing(camera, events) -> None:
    record = a_record(camera.id)
    await events.add([record])

    with pytest.raises(NotFound):
        await events.get(OrgId(new_id()), record.id)
    assert await events.page(OrgId(new_id()), 10) == []


async def test_repeating_changes_nothing(camera, events, sql) -> None:
    record = a_record(camera.id)
    await events.add([record])
    before = await sql.fetch("SELECT * FROM face_event")
    await events.add([record, record])

    assert await sql.fetch("SELECT * FROM face_event") == before
    assert await sql.fetchval("SELECT count(*) FROM change_log") == 1
    assert await sql.fetchval("SELECT count(*) FROM garbage") == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_highest_version_stands_in_whatever_order_they_come(
    camera, events, sql, order
) -> None:
    first = a_record(camera.id)
    second = better(first)
    third = better(second, closed=True, looks=44)
    versions = [first, second, third]
    for n in order:
        await events.add([versions[n]])

    read = await events.get(ORG, first.id)
    assert (read.version, read.closed, read.frame_key) == (3, True, third.frame_key)
    assert [row["id"] for row in await sql.fetch("SELECT id FROM asset")] == [third.snapshot.id]
    assert [row["id"] for row in await sql.fetch("SELECT id FROM face")] == [third.face]
    assert [row["face"] for row in await sql.fetch("SELECT face FROM template")] == [third.face]
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert garbage == {
        key
        for record in (first, second)
        for key in (record.frame_key, record.thumbnail_key, *record.look_keys)
    }


async def test_versions_of_one_batch(camera, events) -> None:
    first = a_record(camera.id)
    second = better(first)
    await events.add([second, first])

    assert (await events.get(ORG, first.id)).version == 2


async def test_pictures_that_the_next_version_shows_again_are_no_garbage(
    camera, events, sql
) -> None:
    first = a_record(camera.id)
    closing = replace(first, version=2, closed=True, looks=30)
    await events.add([first, closing])
    await events.add([first])

    assert (await events.get(ORG, first.id)).closed
    assert await sql.fetchval("SELECT count(*) FROM garbage") == 0
    assert await sql.fetchval("SELECT count(*) FROM asset") == 1


async def test_of_equal_versions_the_later_gallery_stands(camera, events, ann) -> None:
    unknown = a_record(camera.id, decision=a_decision(gallery_revision=1))
    named = replace(unknown, decision=a_decision(ann.id, gallery_revision=2))
    await events.add([named])
    await events.add([unknown])

    assert (await events.get(ORG, unknown.id)).person == ann.id


async def test_the_machine_never_overwrites_an_operator(camera, events, people, ann, sql) -> None:
    bob = await people.create(ORG, "Bob")
    first = a_record(camera.id, decision=a_decision(ann.id))
    await events.add([first])
    await sql.execute(
        "UPDATE face_event SET person = $1, assigned_by = 'operator', matched_face = NULL", bob.id
    )
    await sql.execute("UPDATE face SET person = $1, assigned_by = 'operator'", bob.id)
    second = better(first, decision=a_decision(ann.id), closed=True)
    await events.add([second])

    read = await events.get(ORG, first.id)
    assert (read.version, read.person_name, read.assigned_by) == (2, "Bob", AssignedBy.OPERATOR)
    face = await sql.fetchrow("SELECT person, assigned_by FROM face WHERE id = $1", second.face)
    assert tuple(face) == (bob.id, "operator")


async def test_every_face_of_a_snapshot_is_kept_and_belongs_to_its_visit(
    camera, events, ann, sql
) -> None:
    other = a_record(camera.id)
    theirs = a_face(other.id)
    record = a_record(camera.id, decision=a_decision(ann.id))
    mine = record.snapshot.faces[0]
    stranger = a_face(None)
    record = replace(record, snapshot=replace(record.snapshot, faces=(mine, theirs, stranger)))
    await events.add([record])
    bob = PersonId(new_id())
    await sql.execute("INSERT INTO person (id, org, name) VALUES ($1, $2, 'Bob')", bob, ORG)
    await events.add([replace(other, decision=a_decision(bob))])

    whose = {
        row["id"]: row["person"]
        for row in await sql.fetch(
            "SELECT id, person FROM face WHERE asset = $1", record.snapshot.id
        )
    }
    assert whose == {mine.id: ann.id, theirs.id: bob, stranger.id: None}


async def test_a_snapshot_of_two_visits_stays_while_one_shows_it(camera, events, sql) -> None:
    one, two = a_record(camera.id), a_record(camera.id)
    shared = replace(
        one.snapshot, faces=(one.snapshot.faces[0], replace(two.snapshot.faces[0], event=two.id))
    )
    one = replace(one, snapshot=shared)
    two = replace(two, snapshot=shared, frame_key=one.frame_key)
    await events.add([one, two])
    await events.add([better(one)])

    assert await sql.fetchval("SELECT count(*) FROM asset WHERE id = $1", shared.id) == 1
    garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
    assert one.thumbnail_key in garbage
    assert one.frame_key not in garbage


async def test_what_cannot_be_kept_does_not_hold_up_the_rest(camera, events, sql, caplog) -> None:
    orphan = a_record(CameraId(new_id()))
    foreign = a_record(camera.id, org=OrgId(new_id()))
    good = a_record(camera.id)
    await events.add([orphan, foreign, good])

    assert (await events.get(ORG, good.id)).version == 1
    for lost in (orphan, foreign):
        assert f"event {lost.id} is dropped" in caplog.text
        kept = await sql.fetchval("SELECT count(*) FROM garbage WHERE key = $1", lost.frame_key)
        assert kept == 1


async def test_events_of_a_removed_camera_are_kept(camera, cameras, events) -> None:
    await cameras.remove(ORG, camera.id)
    late = a_record(camera.id)
    await events.add([late])

    assert (await events.get(ORG, late.id)).camera == camera.id


async def test_a_deleted_event_does_not_come_back(camera, events, sql) -> None:
    record = a_record(camera.id)
    await sql.execute("INSERT INTO removed_event (id, org) VALUES ($1, $2)", record.id, ORG)
    await events.add([record])

    with pytest.raises(NotFound):
        await events.get(ORG, record.id)
    assert await sql.fetchval("SELECT count(*) FROM garbage") == 3


async def test_a_candidate_that_nobody_knows_leaves_the_event_unnamed(camera, events) -> None:
    record = a_record(camera.id, decision=a_decision(PersonId(new_id())))
    await events.add([record])

    read = await events.get(ORG, record.id)
    assert (read.person, read.selected) == (None, None)
    assert [it.name for it in read.candidates] == [None]


async def test_renaming_shows_in_the_past(camera, events, ann, sql) -> None:
    record = a_record(camera.id, decision=a_decision(ann.id))
    await events.add([record])
    await sql.execute("UPDATE person SET name = 'Anne' WHERE id = $1", ann.id)

    read = await events.get(ORG, record.id)
    assert (read.person_name, read.candidates[0].name) == ("Anne", "Anne")


async def test_a_merged_person_stands_for_the_other(camera, events, people, ann, sql) -> None:
    anna = await people.create(ORG, "Anna")
    await sql.execute("UPDATE person SET merged_into = $1 WHERE id = $2", ann.id, anna.id)
    record = a_record(camera.id, decision=a_decision(anna.id))
    await events.add([record])

    read = await events.get(ORG, record.id)
    assert (read.person, read.person_name) == (ann.id, "Ann")
    assert (read.candidates[0].candidate.person, read.candidates[0].name) == (ann.id, "Ann")


async def test_forgetting_erases_pixels_and_templates_and_keeps_the_visits(
    camera, events, people, ann, sql
) -> None:
    record = a_record(camera.id, decision=a_decision(ann.id))
    stranger = a_record(camera.id)
    await events.add([record, stranger])
    before = await sql.fetchval("SELECT decision FROM face_event WHERE id = $1", record.id)

    gone = await people.forget(ORG, ann.id)

    keys = photo_keys("ann")
    assert set(gone) == {
        record.frame_key,
        record.thumbnail_key,
        *record.look_keys,
        keys.photo,
        keys.thumbnail,
        keys.crop,
    }
    read = await events.get(ORG, record.id)
    assert (read.person, read.person_name, read.selected) == (None, None, None)
    assert (read.frame_key, read.thumbnail_key, read.has_template) == ("", "", False)
    assert [it.name for it in read.candidates] == [None]
    assert await sql.fetchval("SELECT decision FROM face_event WHERE id = $1", record.id) == before
    assert "Ann" not in before
    assert [row["face"] for row in await sql.fetch("SELECT face FROM template")] == [stranger.face]
    assert await sql.fetchval("SELECT erased_at FROM person WHERE id = $1", ann.id) is not None
    assert {row["key"] for row in await sql.fetch("SELECT key FROM garbage")} == set(gone)
    with pytest.raises(NotFound):
        await people.named(ORG, "Ann")
    assert await people.gallery(ORG, "sface") == (2, [])


async def test_forgetting_spares_the_others_in_the_picture(
    camera, events, people, ann, sql
) -> None:
    theirs = a_record(camera.id)
    with_ann = a_record(camera.id, decision=a_decision(ann.id))
    beside = a_face(with_ann.id)
    theirs = replace(
        theirs, snapshot=replace(theirs.snapshot, faces=(*theirs.snapshot.faces, beside))
    )
    await events.add([theirs, with_ann])

    gone = await people.forget(ORG, ann.id)

    assert theirs.frame_key in gone
    assert theirs.thumbnail_key not in gone
    read = await events.get(ORG, theirs.id)
    assert (read.frame_key, read.thumbnail_key) == ("", theirs.thumbnail_key)
    assert read.has_template
    left = await sql.fetch("SELECT id FROM face")
    assert [row["id"] for row in left] == [theirs.face]


async def test_the_forgotten_do_not_come_back_from_a_spool(
    camera, events, people, ann, sql
) -> None:
    visit = a_record(camera.id, decision=a_decision(ann.id))
    await events.add([visit])
    await people.forget(ORG, ann.id)
    late = a_record(camera.id, decision=a_decision(ann.id))
    closing = better(visit, closed=True)
    await events.add([late, closing])

    for record in (late, closing):
        read = await events.get(ORG, record.id)
        assert (read.version, read.person, read.has_template) == (record.version, None, False)
        assert (read.frame_key, read.thumbnail_key) == ("", "")
        garbage = {row["key"] for row in await sql.fetch("SELECT key FROM garbage")}
        assert {record.frame_key, record.thumbnail_key, *record.look_keys} <= garbage
    assert await sql.fetchval("SELECT count(*) FROM template") == 0
    assert await sql.fetchval("SELECT count(*) FROM face") == 0


async def test_the_newest_come_first_and_pages_neither_skip_nor_repeat(camera, events) -> None:
    records = [a_record(camera.id, NOON - timedelta(days=9 * n)) for n in range(12)]
    await events.add(records)

    walked, sizes, before = [], [], None
    while page := await events.page(ORG, 5, before):
        walked += [event.id for event in page]
        sizes.append(len(page))
        before = page[-1].id
    assert walked == [record.id for record in records]
    assert sizes == [5, 5, 2]


async def test_pages_of_a_camera_and_of_a_person(camera, cameras, events, ann) -> None:
    gate = a_camera(name="gate")
    await cameras.add(gate)
    named = a_record(gate.id, decision=a_decision(ann.id))
    await events.add([a_record(camera.id), named, a_record(gate.id, NOON - timedelta(hours=1))])

    assert [e.camera for e in await events.page(ORG, 9, camera=gate.id)] == [gate.id, gate.id]
    assert [e.id for e in await events.page(ORG, 9, person=ann.id)] == [named.id]
    assert await events.page(OrgId(new_id()), 9, camera=gate.id) == []


async def test_the_newest_first_lists_use_their_index(camera, database, events, sql) -> None:
    await events.add([a_record(camera.id), a_record(camera.id, NOON - timedelta(days=40))])
    await sql.execute(  # enough in both months that a sequential scan would be dearer
        """INSERT INTO face_event
           SELECT (jsonb_populate_record(e, jsonb_build_object(
                      'id', overlay(e.id::text placing lpad(to_hex(n), 12, '0') from 25),
                      'org', CASE WHEN n % 40 = 0 THEN e.org ELSE gen_random_uuid() END,
                      'camera', gen_random_uuid(), 'person', gen_random_uuid()))).*
             FROM face_event e, generate_series(1, 2000) AS n"""
    )
    await sql.execute("ANALYZE face_event")
    for statement, index, given in (
        ("face_event_page", "org_id_idx", {}),
        ("face_event_page_of_camera", "camera_id_idx", {"camera": new_id()}),
        ("face_event_page_of_person", "person_id_idx", {"person": new_id()}),
    ):
        values = {"org": ORG, "before": None, "limit": 10, **given}
        plan = "\n".join(await explained(database, statement, values))
        assert index in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan


async def explained(database: Database, statement: str, values: dict[str, object]) -> list[str]:
    known = database._statements[statement]
    rows = await database._pool.fetch(f"EXPLAIN {known.sql}", *known.arguments(values))
    return [row[0] for row in rows]


async def test_months_are_made_on_demand_by_many_at_once(camera, database, events, sql) -> None:
    records = [a_record(camera.id, NOON + timedelta(days=31 * n)) for n in range(6)]
    await asyncio.gather(*(events.add([record]) for record in records * 3))

    parts = await sql.fetch(
        "SELECT inhrelid::regclass::text AS part FROM pg_inherits"
        " WHERE inhparent = 'face_event'::regclass ORDER BY 1"
    )
    assert [row["part"] for row in parts] == [
        f"face_event_{month}"
        for month in ("202611", "202612", "202701", "202702", "202703", "202704")
    ]
    assert await sql.fetchval("SELECT count(*) FROM face_event") == 6


async def test_an_event_at_the_very_edge_of_a_month(camera, events, sql) -> None:
    midnight = NOON.replace(day=1, hour=0)
    last, first = (
        a_record(camera.id, midnight - timedelta(milliseconds=1)),
        a_record(camera.id, midnight),
    )
    await events.add([last, first])

    parts = await sql.fetch("SELECT id, tableoid::regclass::text AS part FROM face_event")
    assert {row["id"]: row["part"] for row in parts} == {
        last.id: "face_event_202610",
        first.id: "face_event_202611",
    }


async def test_the_change_log_has_no_gaps_though_writers_race_and_fail(
    camera, events, database, sql
) -> None:
    async def fails() -> None:
        async with database.transaction() as work:
            await work.fetch("log_changes", org=ORG, kind="event", subjects=[new_id()])
            raise ValueError

    writers = [events.add([a_record(camera.id) for _ in range(3)]) for _ in range(8)]
    failing = [fails() for _ in range(8)]
    mixed = [one for pair in zip(writers, failing, strict=True) for one in pair]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ValueError] * 8

    rows = await sql.fetch("SELECT cursor FROM change_log ORDER BY cursor")
    assert [row["cursor"] for row in rows] == list(range(1, 25))


async def test_a_change_rings(camera, database, events) -> None:
    rung = database.listen("change")
    async with asyncio.timeout(10):
        assert await anext(rung) == ""
        await events.add([a_record(camera.id)])
        assert await anext(rung) == str(ORG)
    await rung.aclose()


async def test_templates_of_two_models_stand_side_by_side(camera, events, sql) -> None:
    small = a_record(camera.id)
    large = a_record(camera.id, template=a_template(1, 512), model="arcface")
    await events.add([small, large])

    rows = await sql.fetch(
        "SELECT m.name, vector_dims(t.embedding) AS dims, t.embedding::real[] AS embedding"
        "  FROM template t JOIN model m ON m.id = t.model ORDER BY dims"
    )
    assert [(row["name"], row["dims"]) for row in rows] == [("sface", 128), ("arcface", 512)]
    assert np.array_equal(np.array(rows[0]["embedding"], np.float32), small.template)
    narrow = await sql.fetch("SELECT vector_dims(embedding) AS dims FROM visit_template ORDER BY 1")
    assert [row["dims"] for row in narrow] == [128, 512]


async def test_the_places_of_a_camera_are_kept_with_the_event(cameras, events, sql) -> None:
    floor, room = LocationId(new_id()), LocationId(new_id())
    for id, parent, name in ((floor, LOCATION, "floor"), (room, floor, "room")):
        await sql.execute(
            "INSERT INTO location (id, org, parent, name) VALUES ($1, $2, $3, $4)",
            id, ORG, parent, name,
        )  # fmt: skip
    camera = a_camera(place=(floor, room))
    await cameras.add(camera)
    record = a_record(camera.id)
    await events.add([record])

    assert (await cameras.by_name(ORG, "door")).place == (floor, room)
    assert (await events.get(ORG, record.id)).place == (floor, room)


async def test_the_pixels_of_what_was_replaced_are_swept(
    camera: Camera, events: PostgresFaceEvents, database: Database, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "objects")
    first = a_record(camera.id)
    second = better(first)
    for record in (first, second):
        keys = (record.frame_key, record.thumbnail_key, *record.look_keys)
        await blobs.put_all([(key, b"pixels", "image/jpeg") for key in keys])
        await events.add([record])

    assert await sweep(database, blobs) == 0  # too young
    assert await sweep(database, blobs, timedelta()) == 3
    assert await sweep(database, blobs, timedelta()) == 0
    assert await blobs.get(second.frame_key) == b"pixels"
    with pytest.raises(NotFound):
        await blobs.get(first.frame_key)
