"""Visits by how they look, in a real Postgres."""

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from factories import NOON, ORG, QUALITY, a_camera, a_decision, a_record, a_template, turned

from facewatch.domain.events import EventFilter, EventRecord, Likeness
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import CameraId, OrgId, new_id
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected
from facewatch.store.events import PostgresFaceEvents, quality_parts
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault
from facewatch.store.similar import PostgresSimilarEvents

ANY = EventFilter()


@pytest.fixture
def events(database: Database) -> PostgresFaceEvents:
    return PostgresFaceEvents(database)


@pytest.fixture
def similar(database: Database, events: PostgresFaceEvents) -> PostgresSimilarEvents:
    return PostgresSimilarEvents(database, events)


@pytest.fixture
async def camera(database: Database, tmp_path: Path) -> CameraId:
    await PostgresCameras(database, Vault(tmp_path)).add(camera := a_camera())
    return camera.id


def like(template: Template, **given: object) -> Likeness:
    return Likeness(**({"template": template, "model": "sface", "least": 0.4} | given))  # type: ignore[arg-type]


def visits(camera: CameraId, *templates: Template | None) -> list[EventRecord]:
    """One of each, a minute apart, the newest first."""
    return [
        a_record(camera, NOON - timedelta(minutes=n), template=template, decision=None)
        for n, template in enumerate(templates)
    ]


async def test_every_visit_above_the_threshold_is_found_newest_first(
    camera: CameraId, events: PostgresFaceEvents, similar: PostgresSimilarEvents
) -> None:
    probe = a_template(1)
    cosines = (0.95, 0.1, 0.5, 0.399, 0.401, 0.7)
    records = visits(camera, *(turned(probe, c, n) for n, c in enumerate(cosines)), None)
    await events.add(records)

    found = await similar.find(ORG, like(probe), ANY, 10)

    assert [it.event.id for it in found] == [records[n].id for n in (0, 2, 4, 5)]
    assert [it.similarity for it in found] == pytest.approx([0.95, 0.5, 0.401, 0.7], abs=1e-5)


async def test_pages_hold_what_one_list_holds(
    camera: CameraId, events: PostgresFaceEvents, database: Database
) -> None:
    similar = PostgresSimilarEvents(database, events, most_near=4)  # a page takes several scans
    probe = a_template(1)
    records = visits(camera, *(turned(probe, 0.8 if n % 3 else 0.1, n) for n in range(30)))
    await events.add(records)
    alike = [record.id for n, record in enumerate(records) if n % 3]

    paged, before = [], None
    while page := await similar.find(ORG, like(probe), ANY, 7, before):
        assert len(page) == 7 or len(paged) + len(page) == len(alike)
        paged += [it.event.id for it in page]
        before = page[-1].event.id

    assert paged == alike


async def test_it_is_filtered_as_every_list_is(
    camera: CameraId,
    events: PostgresFaceEvents,
    similar: PostgresSimilarEvents,
    database: Database,
) -> None:
    probe = a_template(1)
    ann = await PostgresPeople(database).create(ORG, "Ann")
    named, unknown, poor = visits(camera, *[turned(probe, 0.8)] * 3)
    named = a_record(camera, NOON, template=probe, decision=a_decision(ann.id))
    await events.add([named, unknown, poor])

    async def found(wanted: EventFilter = ANY, **given: object) -> list[object]:
        return [it.event.id for it in await similar.find(ORG, like(probe, **given), wanted, 9)]

    assert await found(EventFilter(names=frozenset({"Ann"}))) == [named.id]
    assert await found(EventFilter(has_name=False)) == [unknown.id, poor.id]
    assert await found(EventFilter(cameras=frozenset({CameraId(new_id())}))) == []
    assert await found(EventFilter(until=NOON - timedelta(seconds=90))) == [poor.id]
    assert await found(EventFilter(since=NOON - timedelta(seconds=90))) == [named.id, unknown.id]
    assert await found(but=named.id) == [unknown.id, poor.id]


@pytest.mark.parametrize(
    "quality",
    [
        QUALITY,
        Quality(0.1, 0.9, 0.8, 0.7, 0.9),
        Quality(0, 1, 1, 1, 1),
        Quality(1, 0.9, 0.8, 0.7, 0.9, telling=0.2),
    ],
)
async def test_postgres_judges_quality_as_we_do(dsn: str, quality: Quality) -> None:
    async with connected(dsn) as sql:
        overall = await sql.fetchval("SELECT overall_quality($1)", quality_parts(quality))
    assert overall == pytest.approx(quality.overall, abs=1e-6)


async def test_a_poor_look_is_left_out_on_demand(
    camera: CameraId, events: PostgresFaceEvents, similar: PostgresSimilarEvents
) -> None:
    await events.add(visits(camera, probe := a_template(1)))

    assert len(await similar.find(ORG, like(probe, least_quality=0.7), ANY, 9)) == 1
    assert await similar.find(ORG, like(probe, least_quality=0.8), ANY, 9) == []


async def test_who_was_forgotten_is_not_found_and_leaves_no_template(
    camera: CameraId,
    events: PostgresFaceEvents,
    similar: PostgresSimilarEvents,
    database: Database,
    dsn: str,
) -> None:
    people = PostgresPeople(database)
    ann = await people.create(ORG, "Ann")
    probe = a_template(1)
    record = a_record(camera, NOON, template=probe, decision=a_decision(ann.id))
    await events.add([record])
    assert len(await similar.find(ORG, like(probe), ANY, 9)) == 1

    await people.forget(ORG, ann.id)

    assert await similar.find(ORG, like(probe), ANY, 9) == []
    assert await similar.template_of(ORG, record.id, "sface") is None
    async with connected(dsn) as sql:
        assert await sql.fetchval("SELECT count(*) FROM visit_template") == 0


async def test_a_deleted_visit_and_a_better_shot_leave_nothing_behind(
    camera: CameraId, events: PostgresFaceEvents, similar: PostgresSimilarEvents, dsn: str
) -> None:
    old, new = a_template(1), a_template(2)
    first, gone = visits(camera, old, old)
    await events.add([first, gone])
    better = a_record(camera, NOON, id=first.id, version=2, template=new, decision=None)
    await events.add([better])
    await events.remove(ORG, gone.id)

    assert await similar.find(ORG, like(old), ANY, 9) == []
    assert [it.event.id for it in await similar.find(ORG, like(new), ANY, 9)] == [first.id]
    async with connected(dsn) as sql:
        assert await sql.fetchval("SELECT count(*) FROM visit_template") == 1


async def test_another_org_and_another_model_find_nothing(
    camera: CameraId, events: PostgresFaceEvents, similar: PostgresSimilarEvents
) -> None:
    await events.add(visits(camera, probe := a_template(1)))

    assert await similar.find(OrgId(new_id()), like(probe), ANY, 9) == []
    assert await similar.find(ORG, like(probe, model="arcface"), ANY, 9) == []


async def test_templates_that_were_there_before_are_searched(
    dsn: str, camera: CameraId, events: PostgresFaceEvents, similar: PostgresSimilarEvents
) -> None:
    """The migration, on a database of before."""
    await events.add(visits(camera, probe := a_template(1)))
    migration = Path("facewatch/store/sql/migrations/0005_similar.sql")
    async with connected(dsn) as sql:
        await _before(sql)
        await sql.execute((Path(__file__).parent.parent / migration).read_text())

    assert len(await similar.find(ORG, like(probe), ANY, 9)) == 1


async def _before(sql: asyncpg.Connection) -> None:
    await sql.execute(
        "DROP TABLE visit_template; DROP FUNCTION overall_quality(real[]);"
        " CREATE INDEX template_1_near ON template_1 USING hnsw"
        " ((embedding::halfvec(128)) halfvec_cosine_ops)"
    )
