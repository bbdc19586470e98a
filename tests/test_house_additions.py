"""Sightings that would make good matchmakers: offered with their reason, never learned."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    NOON,
    ORG,
    QUALITY,
    a_decision,
    a_record,
    a_template,
    an_enrolment,
    photo_keys,
    turned,
)
from house_api import House, known, open_house

from facewatch.domain.faces import Quality, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import EventId, FaceId, first_id, from_ruuid, new_id, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.vision.pictures import JpegPngEncoder

FRONT = np.array([[30, 40], [70, 40], [50, 62], [34, 84], [66, 84]], np.float32)
ASIDE = FRONT + np.array([[0, 0], [0, 0], [12, 0], [0, 0], [0, 0]], np.float32)
ANN = a_template(1)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


async def enrolled(house: House, person: str, template: Template, **given: Any) -> FaceId:
    detection = replace(an_enrolment().detection, landmarks=FRONT)
    digest = template.tobytes()[:32]
    return await house.enrolled(
        person, template=template, detection=detection, digest=digest, **given
    )


async def seen(
    house: House,
    person: str,
    template: Template,
    *,
    said: bool = True,
    similarity: float = 0.62,
    margin: float | None = 0.3,
    landmarks: Any = FRONT,
    quality: Quality = QUALITY,
    **given: Any,
) -> str:
    """A visit that the machine gave to *person*, and an operator too where it is *said*."""
    best = Candidate(known(person), FaceId(new_id()), similarity, 0.95)
    decision = a_decision(best.person, candidates=(best,), margin=margin)
    given = {"closed": True} | given
    decision = replace(decision, grey=given.pop("grey", False))
    record = a_record(house.camera.id, decision=decision, template=template, **given)
    (face,) = record.snapshot.faces
    face = replace(
        face, landmarks=np.asarray(landmarks, np.float32), quality=quality, box=Box(0, 0, 100, 120)
    )
    record = replace(record, snapshot=replace(record.snapshot, faces=(face,)))
    await house.events.add([record])
    if said:
        await house.events.assign(ORG, record.id, known(person))
    return to_ruuid(record.id)


async def offered(house: House, query: str = "") -> list[dict[str, Any]]:
    answer = await house.done("GET", f"suggestions/matchmakers{query}")
    items: list[dict[str, Any]] = answer["items"]
    return items


async def kinds(house: House) -> dict[str, str]:
    return {it["id"]: it["kind"] for it in await offered(house)}


def lit_from(side: str) -> bytes:
    """An aligned face, twice as much light on one side."""
    crop = np.full((112, 112, 3), 100, np.uint8)
    crop[:, np.s_[:56] if side == "left" else np.s_[56:]] = 137
    return JpegPngEncoder().png(crop)


async def test_each_reason_is_told_and_what_tells_nothing_new_is_not_offered(house: House) -> None:
    ann = await house.person("Ann")
    await enrolled(house, ann, ANN)
    far = await seen(house, ann, turned(ANN, 0.2, 1))
    angle = await seen(house, ann, turned(ANN, 0.7, 2), landmarks=ASIDE)
    await seen(house, ann, turned(ANN, 0.7, 3))
    await seen(house, ann, turned(ANN, 0.9, 4), landmarks=ASIDE)
    answer = await house.done("GET", "suggestions/matchmakers")

    items = {it["id"]: it for it in answer["items"]}
    assert {it: items[it]["kind"] for it in items} == {far: "far", angle: "angle"}
    assert answer["sightings_compared"] == 4
    assert items[far] == {
        "id": far,
        "at": NOON.isoformat().replace("+00:00", "Z"),
        "camera": to_ruuid(house.camera.id),
        "thumbnail_s3_key": (await house.event(far))["thumbnailS3Key"],
        "person": ann,
        "name": "Ann",
        "kind": "far",
        "reason": items[far]["reason"],
        "similarity": pytest.approx(0.2, abs=1e-3),
        "quality": pytest.approx(QUALITY.overall, abs=1e-3),
        "confirmed": True,
    }
    assert "0.20" in items[far]["reason"]
    # nothing was learned by asking
    assert await house.sql.fetchval("SELECT count(*) FROM matchmaker") == 1


async def test_light_that_falls_from_elsewhere_is_new_light(house: House, tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    ann = await house.person("Ann")
    photo = await enrolled(house, ann, ANN)
    await seen(house, ann, turned(ANN, 0.7, 1), look_keys=("left.png",))
    right = await seen(house, ann, turned(ANN, 0.7, 2), look_keys=("right.png",))
    await seen(house, ann, turned(ANN, 0.7, 3), look_keys=("gone.png",))
    await seen(house, ann, turned(ANN, 0.7, 4), look_keys=("broken.png",))
    for key, png in {
        photo_keys(str(photo)).crop: lit_from("left"),
        "left.png": lit_from("left"),
        "right.png": lit_from("right"),
        "broken.png": b"\x89PNG",
    }.items():
        await blobs.put(key, png, "image/png")

    (item,) = await offered(house)
    assert (item["id"], item["kind"]) == (right, "light")
    assert "2.0 stops" in item["reason"]

    await blobs.delete([photo_keys(str(photo)).crop])
    assert await kinds(house) == {}, "what the photo looks like nobody knows any more"


async def test_a_sighting_without_colour_is_new_light_until_one_is_enrolled(house: House) -> None:
    ann = await house.person("Ann")
    await enrolled(house, ann, ANN)
    first = await seen(house, ann, turned(ANN, 0.7, 1), grey=True)
    await seen(house, ann, turned(ANN, 0.7, 2), grey=True)
    found = await kinds(house)
    assert list(found.values()) == ["grey"]
    sighting = await house.people.sighting(ORG, EventId(from_ruuid(first)), "sface")
    await enrolled(house, ann, turned(ANN, 0.7, 3), origin=sighting)
    assert await kinds(house) == {}


async def test_only_sure_sightings_of_good_quality_are_offered(house: House) -> None:
    ann = await house.person("Ann")
    await enrolled(house, ann, ANN)
    beyond = a_decision().threshold_similarity + 0.12
    sure = await seen(
        house, ann, turned(ANN, 0.6, 1), said=False, similarity=beyond, landmarks=ASIDE
    )
    unfit: list[dict[str, Any]] = [
        {"said": False, "similarity": beyond - 0.05},
        {"said": False, "similarity": beyond, "margin": 0.1},
        {"quality": replace(QUALITY, sharpness=0.1)},
        {"quality": replace(QUALITY, telling=0.2)},
        {"closed": False},
        {"id": EventId(new_id(NOON - timedelta(days=31)))},
    ]
    for number, given in enumerate(unfit):
        await seen(house, ann, turned(ANN, 0.3, 10 + number), **given)

    (item,) = await offered(house)

    assert (item["id"], item["confirmed"]) == (sure, False)
    assert len(await offered(house, "?since=2026-10-01T00:00:00Z")) == 2


async def test_what_would_attract_somebody_else_is_not_offered(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    await enrolled(house, ann, ANN)
    await enrolled(house, bob, a_template(2))
    await seen(house, ann, turned(a_template(2), 0.7, 1))
    assert await offered(house) == []


async def test_at_most_three_a_person_and_none_like_another(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    for person, seed in ((ann, 1), (bob, 50)):
        await enrolled(house, person, a_template(seed))
        for number in range(5):
            new = turned(a_template(seed), 0.1, seed + number)
            await seen(house, person, new)
            await seen(house, person, turned(new, 0.95))
    whose = [it["person"] for it in await offered(house)]
    assert sorted(whose) == sorted([ann] * 3 + [bob] * 3)
    assert len(await offered(house, "?limit=2")) == 2


async def test_who_has_enough_matchmakers_is_left_alone_and_who_has_none_is_not(
    house: House,
) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    for number in range(10):
        await enrolled(house, ann, a_template(100 + number))
    await seen(house, ann, ANN)
    visit = await seen(house, bob, a_template(2))
    (item,) = await offered(house)
    assert (item["id"], item["kind"], item["similarity"]) == (visit, "first", None)


async def test_an_operators_no_is_remembered_and_follows_a_merge(house: House) -> None:
    ann, anna = await house.person("Ann"), await house.person("Anna")
    await enrolled(house, ann, ANN)
    visit = await seen(house, ann, turned(ANN, 0.2, 1))
    sent = {"event": visit, "person": ann}
    for _ in range(2):
        await house.done("POST", "suggestions/matchmakers/dismiss", json=sent)
    assert await offered(house) == []
    await house.done("POST", f"people/{anna}/merge", json={"others": [ann]})
    assert await offered(house) == []
    # it is theirs all the same: no negative example
    assert await house.people.refusals(ORG, "sface") == []
    for wrong, status in (({"event": visit}, 400), ({"event": ann, "person": ann}, 404)):
        answer = await house.refused("POST", "suggestions/matchmakers/dismiss", json=wrong)
        assert answer[0] == status
    await house.done("DELETE", f"people/{anna}")
    assert await house.sql.fetchval("SELECT count(*) FROM dismissed") == 0
    assert (await house.refused("GET", "suggestions/matchmakers?limit=0"))[0] == 400


async def test_what_is_offered_can_be_added_and_is_not_offered_again(
    house: House, tmp_path: Path
) -> None:
    ann = await house.person("Ann")
    await enrolled(house, ann, ANN)
    visit = await seen(house, ann, turned(ANN, 0.2, 1))
    sighting = await house.people.sighting(ORG, EventId(from_ruuid(visit)), "sface")
    blobs, grey = LocalBlobs(tmp_path / "blobs"), np.full((200, 200, 3), 127, np.uint8)
    await blobs.put(sighting.thumbnail_key, JpegPngEncoder().jpeg(grey, 85), "image/jpeg")
    assert sighting.crop_key
    await blobs.put(sighting.crop_key, JpegPngEncoder().png(grey[:112, :112]), "image/png")
    (item,) = await offered(house)

    answer = await house.rhombus(
        "matchmaker/createFaceMatchmakerFromSighting",
        faceEventUuid=item["id"],
        personUuid=item["person"],
    )

    assert answer["faceMatchmaker"]
    assert await offered(house) == []


async def test_an_empty_house_has_nothing_to_offer(house: House) -> None:
    answer = await house.done("GET", "suggestions/matchmakers")
    assert answer == {"items": [], "sightings_compared": 0}


async def test_a_look_for_sightings_walks_the_index_of_known_visits(house: House) -> None:
    ann, sql = await house.person("Ann"), house.sql
    await enrolled(house, ann, ANN)
    await seen(house, ann, turned(ANN, 0.2, 1))
    await sql.execute(
        "INSERT INTO face_event SELECT (jsonb_populate_record(e, jsonb_build_object("
        "    'id', first_id($1::timestamptz + n * interval '1 ms'),"
        "    'person', CASE WHEN n % 10 = 0 THEN e.person END))).*"
        "  FROM face_event e, generate_series(1, 20000) AS n",
        NOON,
    )
    await sql.execute("ANALYZE face_event")
    values = {"org": ORG, "model": "sface", "since": first_id(NOON), "visits": 100, "limit": 10}
    sure = {"quality": 0.5, "telling": 0.5, "beyond": 0.1, "margin": 0.15}
    statement = house.database._statements["sightings_to_add"]
    rows = await sql.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(values | sure))
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan on face_event" not in plan, plan
    assert "_known" in plan or "org_id_idx" in plan, plan
