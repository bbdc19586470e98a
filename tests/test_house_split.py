"""What was wrongly put together comes apart, over a socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from factories import ORG, a_decision
from house_api import House, a_visit, known, open_house

from facewatch.domain.ids import EventId, from_ruuid, new_id, to_prefixed, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.store.database import Database


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


async def test_visits_and_faces_go_to_somebody_new(house: House) -> None:
    ann = await house.person("Ann")
    right, wrong = await house.enrolled(ann, 1), await house.enrolled(ann, 2)
    stays, goes = await house.seen(ann, right), await house.seen(ann, wrong)
    revision, _ = await house.people.gallery(ORG, "sface")

    bob = await house.done(
        "POST",
        f"people/{ann}/split",
        json={"events": [goes], "faces": [to_prefixed("face", wrong)], "name": "Bob"},
    )

    assert (bob["name"], bob["matchmakers"], bob["events"]) == ("Bob", 1, 1)
    assert await house.found(bob["id"]) == [goes]
    assert await house.found(ann) == [stays]
    moved = await house.event(goes)
    assert (moved["faceName"], moved["personUuid"]) == ("Bob", bob["id"])
    # the match stands: the face that made it is Bob's
    assert moved["selectedPersonMatch"] == {
        "uuid": bob["id"],
        "name": "Bob",
        "faceId": to_prefixed("face", wrong),
        "confidence": pytest.approx(0.93),
    }
    now, gallery = await house.people.gallery(ORG, "sface")
    assert now > revision
    assert {it.face: it.person for it in gallery} == {right: known(ann), wrong: known(bob["id"])}
    listed = await house.rhombus("matchmaker/findFaceMatchmakersByPerson", personUuid=bob["id"])
    assert [it["id"] for it in listed["faceMatchmakers"]] == [to_prefixed("face", wrong)]
    # forgetting the one spares the other
    await house.done("DELETE", f"people/{ann}")
    assert (await house.done("GET", f"people/{bob['id']}"))["matchmakers"] == 1
    assert (await house.event(goes))["thumbnailS3Key"]


async def test_the_machine_does_not_take_back_what_was_split(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    face = await house.enrolled(ann)
    first = a_visit(house.camera.id, ann, face)
    await house.events.add([first])
    event = to_ruuid(first.id)

    await house.done("POST", f"people/{ann}/split", json={"events": [event], "to": bob})
    await house.events.add([replace(first, version=2, looks=99)])

    shown = await house.event(event)
    assert shown["personUuid"] == bob
    assert "selectedPersonMatch" not in shown
    owners = await house.sql.fetch(
        "SELECT person, assigned_by FROM face WHERE event = $1", first.id
    )
    assert {(row["person"], row["assigned_by"]) for row in owners} == {(known(bob), "operator")}
    assert await house.sql.fetchval("SELECT looks FROM face_event") == 99


async def test_what_a_face_was_taken_for_goes_with_it_where_that_is_asked(house: House) -> None:
    ann = await house.person("Ann")
    right, wrong = await house.enrolled(ann, 1), await house.enrolled(ann, 2)
    stays, goes, said = [await house.seen(ann, face) for face in (right, wrong, wrong)]
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=said, personUuid=ann)

    unnamed = await house.done(
        "POST",
        f"people/{ann}/split",
        json={"faces": [to_prefixed("face", wrong)], "matched_events": True},
    )

    assert unnamed["name"] is None
    assert set(await house.found(ann)) == {said, stays}
    (owner,) = await house.sql.fetch(
        "SELECT person, assigned_by FROM face_event WHERE id = $1", from_ruuid(goes)
    )
    assert tuple(owner) == (known(unnamed["id"]), "operator")
    # only named persons appear in the other contract
    assert not (await house.event(goes)).get("faceName")
    await house.done("PATCH", f"people/{unnamed['id']}", json={"name": "Bob"})
    assert (await house.event(goes))["faceName"] == "Bob"


async def test_all_of_a_split_or_nothing(house: House) -> None:
    ann, bob, eve = [await house.person(name) for name in ("Ann", "Bob", "Eve")]
    face = await house.enrolled(ann)
    event, other = await house.seen(ann, face), await house.seen(bob)
    path = f"people/{ann}/split"
    for sent, expected in (
        ({"events": [event, other], "to": eve}, 404),
        ({"events": [event, to_ruuid(new_id())], "to": eve}, 404),
        ({"events": [event], "faces": [to_prefixed("face", new_id())], "to": eve}, 404),
        ({"events": [event], "to": to_ruuid(new_id())}, 404),
        ({"events": [event], "to": ann}, 422),
        ({"events": [event], "name": "Bob"}, 409),
        ({"events": [event], "name": "Zoe", "to": eve}, 400),
        ({"events": [event], "matched_events": "yes"}, 400),
    ):
        status, why = await house.refused("POST", path, json=sent)
        assert (status, bool(why)) == (expected, True), sent
    assert await house.found(ann) == [event]
    assert {it["name"] for it in (await house.done("GET", "people"))["items"]} == {
        "Ann",
        "Bob",
        "Eve",
    }


async def test_splitting_to_somebody_again_changes_nothing(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    face = await house.enrolled(ann)
    event = await house.seen(ann, face)
    sent = {"events": [event], "faces": [to_prefixed("face", face)], "to": bob}

    once = await house.done("POST", f"people/{ann}/split", json=sent)
    revision, _ = await house.people.gallery(ORG, "sface")
    again = await house.done("POST", f"people/{ann}/split", json=sent)

    assert {**again, "updated_at": None} == {**once, "updated_at": None}
    assert (await house.people.gallery(ORG, "sface"))[0] == revision


async def test_what_was_merged_by_mistake_comes_apart_again(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    faces = [await house.enrolled(ann, 1), await house.enrolled(bob, 2)]
    both = tuple(
        Candidate(known(it), face, 0.6 - n / 10, 0.9 - n / 10)
        for n, (it, face) in enumerate(zip((ann, bob), faces, strict=True))
    )
    record = a_visit(house.camera.id, decision=a_decision(known(bob), candidates=both))
    await house.events.add([record])
    event = to_ruuid(record.id)
    await house.done("POST", f"people/{ann}/merge", json={"others": [bob]})
    (alone,) = (await house.event(event))["topPersonMatches"]
    assert (alone["uuid"], alone["faceId"]) == (ann, to_prefixed("face", faces[0]))

    split = {"events": [event], "faces": [to_prefixed("face", faces[1])], "name": "Bob"}
    new = await house.done("POST", f"people/{bob}/split", json=split)

    shown = await house.event(event)
    assert (shown["personUuid"], shown["faceName"]) == (new["id"], "Bob")
    assert shown["selectedPersonMatch"]["faceId"] == to_prefixed("face", faces[1])
    assert (await house.done("GET", f"people/{bob}"))["id"] == ann


async def test_of_many_who_split_the_same_at_once_one_gets_it(house: House) -> None:
    ann = await house.person("Ann")
    event = await house.seen(ann)

    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            *(house.ask("POST", f"people/{ann}/split", json={"events": [event]}) for _ in range(6)),
            house.events.assign(ORG, EventId(from_ruuid(event)), None),
            return_exceptions=True,
        )

    statuses = [answer[0] for answer in answers[:-1] if isinstance(answer, tuple)]
    assert sorted(statuses) in ([200] + [404] * 5, [404] * 6)
    assert len((await house.done("GET", "people?named=false"))["items"]) == statuses.count(200)
