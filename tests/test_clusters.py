"""Unknown visitors who come back are one person without a name; two humans never are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, ORG, QUALITY, a_decision, a_template, turned
from homes import a_home
from house_api import House, a_visit, known, open_house

from facewatch.app.clusters import cluster_unknown
from facewatch.app.recognition import open_recognition
from facewatch.app.stores import Stores, camera_named, open_stores
from facewatch.domain.clusters import Bar, Group, Sureness, Visitor
from facewatch.domain.events import EventRecord
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import EventId, PersonId, new_id, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.errors import DatabaseUnavailable
from facewatch.settings import Settings
from facewatch.store.clusters import PostgresClusters
from facewatch.store.database import Database, open_database
from facewatch.vision.registry import card

SURENESS = Sureness(card("sface").calibration)
GOOD = replace(QUALITY, score=0.95)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


def visit(house: House, template: Template, minutes: int = 0, **given: object) -> EventRecord:
    return a_visit(
        house.camera.id, at=NOON + timedelta(minutes=minutes), **{"template": template, **given}
    )


def judged(record: EventRecord, quality: Quality) -> EventRecord:
    (face,) = record.snapshot.faces
    snapshot = replace(record.snapshot, faces=(replace(face, quality=quality),))
    return replace(record, snapshot=snapshot)


async def compared(house: House, *records: EventRecord) -> None:
    for record in records:
        await house.events.add([record])
        await drained(house)


async def drained(house: House) -> None:
    clusters = PostgresClusters(house.database, SURENESS, "sface")
    while await clusters.step():
        pass
    assert await house.sql.fetchval("SELECT count(*) FROM unclustered") == 0


async def whose(house: House, record: EventRecord) -> str | None:
    person: PersonId | None = (await house.events.get(ORG, record.id)).person
    return to_ruuid(person) if person else None


async def unnamed(house: House) -> dict[str, int]:
    page = await house.done("GET", "people?named=false")
    return {it["id"]: it["events"] for it in page["items"]}


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What *ask* answers, once that is something."""
    async with asyncio.timeout(10):
        while True:
            if answer := await ask():
                return answer
            await asyncio.sleep(0.01)


async def _visits_of_the_unnamed(stores: Stores, count: int) -> bool:
    return [it.events for it in await stores.register.unnamed(stores.org, 10)] == [count]


async def test_who_comes_back_is_one_person_and_a_single_visit_is_nobody(house: House) -> None:
    ann = a_template(1)
    first, other = visit(house, ann), visit(house, a_template(2), 1)
    again, third = visit(house, turned(ann, 0.7, 1), 2), visit(house, turned(ann, 0.7, 2), 3)

    await compared(house, first, other)
    assert await unnamed(house) == {}
    await compared(house, again, third)

    (person,) = await unnamed(house)
    assert [await whose(house, it) for it in (first, again, third)] == [person] * 3
    assert await whose(house, other) is None
    assert await unnamed(house) == {person: 3}
    event = await house.events.get(ORG, first.id)
    assert event.assigned_by == "cluster"
    face = await house.sql.fetchrow("SELECT * FROM face WHERE id = $1", first.face)
    assert (to_ruuid(face["person"]), face["assigned_by"]) == (person, "cluster")


async def test_to_rhombus_clients_they_stay_unknown(house: House) -> None:
    records = [visit(house, a_template(1)), visit(house, a_template(1), 1)]
    await compared(house, *records)
    person = await whose(house, records[0])
    assert person is not None

    event = await house.event(to_ruuid(records[0].id))
    assert (event["faceName"], event["personUuid"]) == (None, None)
    assert "selectedPersonMatch" not in event
    assert await house.found(person) == []
    window = {"timestampFilter": {"rangeStart": 0}}
    for has_name, count in ((True, 0), (False, 2)):
        asked = {"searchFilter": {**window, "hasName": has_name}}
        found = await house.rhombus("faceEvent/findFaceEventsByOrg", **asked)
        assert len(found["faceEvents"]) == count
    similar = await house.rhombus(
        "faceEvent/findSimilarFaceEvents", faceEventUuid=to_ruuid(records[0].id)
    )
    assert [it["personUuid"] for it in similar["faceEvents"]] == [None]
    people = await house.rhombus("person/findPeopleByOrg")
    assert people["people"] == []
    assert (await house.rhombus("person/getPerson", personUuid=person))["error"]
    tried = await house.rhombus(
        "faceEvent/updateFaceEvent", eventUuid=to_ruuid(records[0].id), personUuid=person
    )
    assert tried["error"]


async def test_naming_one_names_the_past(house: House) -> None:
    records = [visit(house, a_template(seed), n) for n, seed in enumerate((1, 1, 2, 2, 3, 3))]
    await compared(house, *records)
    by_house, by_event = await whose(house, records[0]), to_ruuid(records[2].id)

    await house.done("PATCH", f"people/{by_house}", json={"name": "Ann"})
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=by_event, personName="Bob")
    # of somebody who is known already only this visit is said
    ann = {"eventUuid": to_ruuid(records[4].id), "personName": "Ann"}
    await house.rhombus("faceEvent/updateFaceEvent", **ann)

    names = [(await house.event(to_ruuid(it.id)))["faceName"] for it in records]
    assert names == ["Ann", "Ann", "Bob", "Bob", "Ann", None]
    # and who has a name is not given more by likeness alone
    later = visit(house, a_template(1), 9)
    await compared(house, later)
    assert await whose(house, later) is None


async def test_merged_and_split_by_the_operator(house: House) -> None:
    records = [visit(house, a_template(seed), n) for n, seed in enumerate((1, 1, 1, 2, 2))]
    await compared(house, *records)
    one, other = await whose(house, records[0]), await whose(house, records[3])

    await house.done("POST", f"people/{one}/merge", json={"others": [other]})
    assert await unnamed(house) == {one: 5}
    event = to_ruuid(records[2].id)
    apart = (await house.done("POST", f"people/{one}/split", json={"events": [event]}))["id"]

    assert await unnamed(house) == {one: 4, apart: 1}
    late = replace(records[2], version=2)
    await compared(house, late)
    assert await whose(house, late) == apart


async def test_a_later_version_that_the_matcher_names_wins_and_an_operator_stays(
    house: House,
) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)
    records = [visit(house, a_template(1), n) for n in range(4)]
    await compared(house, *records[:2])
    nobody = {"eventUuid": to_ruuid(records[2].id)}
    await house.events.add([records[2]])
    await house.rhombus("faceEvent/updateFaceEvent", **nobody)
    await compared(house, records[3])

    best = Candidate(known(ann), face, 0.62, 0.93)
    later = replace(records[0], version=2, decision=a_decision(best.person, candidates=(best,)))
    await compared(house, later)

    assert await whose(house, later) == ann
    assert await whose(house, records[2]) is None
    assert await whose(house, records[1]) == await whose(house, records[3]) != ann


async def test_who_is_not_surely_the_same_or_not_seen_well_is_left_alone(house: House) -> None:
    seen = visit(house, a_template(1))
    blurred = judged(visit(house, a_template(1), 1), replace(GOOD, sharpness=0.1))
    silent = judged(visit(house, a_template(1), 2), replace(GOOD, telling=0.6))
    alike = visit(house, turned(a_template(1), 0.44), 3)
    still_there = replace(visit(house, a_template(1), 4), closed=False)
    blind = replace(visit(house, a_template(1), 5), template=None)
    foreign = visit(house, a_template(1), 6, model="another")

    await compared(house, seen, blurred, silent, alike, still_there, blind, foreign)

    assert await unnamed(house) == {}


async def test_somebody_between_two_does_not_make_them_one(house: House) -> None:
    """Each of a chain is alike to the next, the ends are not: two of three have to agree."""
    ann = a_template(1)
    between = turned(ann, 0.6, 5)
    far = turned(between, 0.6, 7)
    assert ann @ far < 0.4
    records = [visit(house, it, n) for n, it in enumerate((ann, ann, between, far, far))]

    await compared(house, *records)

    one, other = await whose(house, records[0]), await whose(house, records[4])
    assert one is not None
    assert other is not None
    assert one != other


async def test_several_processes_compare_each_visit_once(
    house: House, dsn: str, database: Database
) -> None:
    records = [visit(house, a_template(n % 5), n) for n in range(40)]
    await house.events.add(records)

    async def work(database: Database) -> None:
        clusters = PostgresClusters(database, SURENESS, "sface")
        async with asyncio.timeout(20):
            while await house.sql.fetchval("SELECT count(*) FROM unclustered"):
                if not await clusters.step():
                    await asyncio.sleep(0.01)

    async with open_database(dsn) as second, open_database(dsn) as third:
        await asyncio.gather(work(database), work(second), work(third))

    assert sorted((await unnamed(house)).values()) == [8] * 5
    logged = await house.sql.fetch("SELECT cursor FROM change_log ORDER BY cursor")
    assert [row["cursor"] for row in logged] == list(range(1, len(logged) + 1))


async def test_what_was_in_hand_when_a_process_died_is_compared_by_the_next(
    house: House, dsn: str
) -> None:
    records = [visit(house, a_template(1), n) for n in range(2)]
    await house.events.add(records)
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with (
        open_database(dsn, connections=2) as doomed,
        house.sql.acquire() as blocker,
        blocker.transaction(),
    ):
        await blocker.execute("SELECT FROM face_event FOR UPDATE")
        step = asyncio.create_task(PostgresClusters(doomed, SURENESS, "sface").step())
        pid = await until(lambda: house.sql.fetchval(waiting))
        await house.sql.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(DatabaseUnavailable):
            await step

    await drained(house)

    assert list((await unnamed(house)).values()) == [2]


async def test_a_running_service_compares_what_waits_and_what_comes(models: Path) -> None:
    with a_home() as home:
        settings = Settings.model_validate(
            {"home": str(home), "models": {"directory": str(models)}}
        )
        async with (
            open_stores(settings) as stores,
            open_recognition(settings, stores) as recognition,
        ):
            camera = await camera_named(stores, "door")
            records = [a_visit(camera.id, at=NOON + timedelta(minutes=n)) for n in range(3)]
            await stores.events.add(records[:2])
            worker = asyncio.create_task(cluster_unknown(stores, recognition))
            counted = partial(_visits_of_the_unnamed, stores)
            await until(lambda: counted(2))
            await stores.events.add(records[2:])
            await until(lambda: counted(3))
            worker.cancel()


async def test_a_name_may_still_be_suggested_and_forgetting_takes_all(house: House) -> None:
    ann = await house.person("Ann")
    near = Candidate(known(ann), await house.enrolled(ann, 7), 0.4, 0.6)
    nearly = a_decision(candidates=(near,), confidence=0.6)
    records = [visit(house, a_template(1), n, decision=nearly) for n in range(2)]
    await compared(house, *records)
    person = await whose(house, records[0])

    page = await house.done("GET", "suggestions/names")
    assert {it["id"] for it in page["items"]} == {to_ruuid(it.id) for it in records}
    await house.done("PATCH", f"people/{person}", json={"name": "Bob"})
    assert (await house.done("GET", "suggestions/names"))["items"] == []

    await house.done("DELETE", f"people/{person}")
    assert await whose(house, records[0]) is None
    assert await house.sql.fetchval("SELECT count(*) FROM visit_template") == 0


def test_of_two_that_fit_the_nearer_is_joined_and_a_denied_face_beats_an_equal_one() -> None:
    bar, face = Bar(0.5, 0.4), a_template(1)
    near, far = PersonId(new_id()), PersonId(new_id())
    groups = {near: Group([turned(face, 0.8)]), far: Group([turned(face, 0.7)])}
    company = bar.company(face, [], groups)
    assert company is not None
    assert company.person == near

    groups[near] = Group([turned(face, 0.8)], denied=[turned(face, 0.8)])
    company = bar.company(face, [], groups)
    assert company is not None
    assert company.person == far

    alone = Visitor(EventId(new_id()), turned(face, 0.6))
    company = bar.company(face, [alone], {})
    assert company is not None
    assert (company.person, company.events) == (None, (alone.event,))
    assert bar.company(face, [replace(alone, template=turned(face, 0.45))], {}) is None


def test_the_bar_rises_with_the_crowd() -> None:
    few, many = SURENESS.bar(10), SURENESS.bar(100_000)
    assert few.sure > few.agree
    assert few.sure == pytest.approx(SURENESS.calibration.similarity(0.836, 100))
    assert many.sure > few.sure + 0.1
