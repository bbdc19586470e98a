"""Why a visit has its name: the record, who said what later, and what is left of the forgotten."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import ORG, QUALITY, a_decision
from house_api import House, a_visit, known, open_house

from facewatch.app.explain import drawn
from facewatch.domain.ids import EventId, FaceId, from_ruuid, new_id, to_prefixed, to_ruuid
from facewatch.domain.people import Candidate, Decision, SettledBy
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.decisions import PostgresDecisions
from facewatch.vision.pictures import JpegPngEncoder, decode


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


def decided(ann: str, bob: str, face: FaceId, **given: object) -> Decision:
    best = Candidate(known(ann), face, 0.62, 0.93, best=0.65, matchmakers=2)
    second = Candidate(known(bob), FaceId(new_id()), 0.3, 0.1, best=0.3, matchmakers=1)
    made = a_decision(known(ann), candidates=(best, second))
    return replace(made, settled_by=SettledBy.CAMERA, grey=False, quality=QUALITY)


async def test_everything_that_an_answer_rested_on_is_told(house: House) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    face = await house.enrolled(ann, 1)
    visit = a_visit(house.camera.id, decision=decided(ann, bob, face))
    await house.events.add([visit])

    said = await house.done("GET", f"events/{to_ruuid(visit.id)}/decision")

    assert (said["person"], said["name"], said["assigned_by"]) == (ann, "Ann", "matcher")
    assert said["best_shot"]["telling"] == pytest.approx(QUALITY.telling)
    record = said["decision"]
    first, second = record.pop("candidates")
    assert record.pop("denied") == []
    assert first == {
        "person": ann,
        "name": "Ann",
        "now": ann,
        "face": to_prefixed("face", face),
        "similarity": 0.62,
        "best": 0.65,
        "matchmakers": 2,
        "confidence": 0.93,
        "erased_at": None,
        "face_removed_at": None,
    }
    assert (second["person"], second["similarity"]) == (bob, 0.3)
    assert record.pop("quality")["overall"] == pytest.approx(QUALITY.overall)
    assert record == {
        "person": ann,
        "reason": "",
        "confidence": 0.93,
        "margin": 0.2,
        "threshold": 0.7,
        "threshold_similarity": 0.45,
        "settled_by": "camera",
        "model": "ab" * 32,
        "calibration": "sface-1",
        "gallery_revision": 1,
        "gallery_people": 3,
        "grey": False,
    }


async def test_whom_a_refusal_struck_out_is_told_behind_the_candidates(
    house: House, dsn: str, tmp_path: Path
) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    face = await house.enrolled(ann, 1)
    best, second = decided(ann, bob, face).candidates
    decision = a_decision(None, candidates=(second,), reason="too little", denied=(best,))
    visit = a_visit(house.camera.id, decision=decision)
    await house.events.add([visit])

    said = (await house.done("GET", f"events/{to_ruuid(visit.id)}/decision"))["decision"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch", "explain", to_ruuid(visit.id)),
        *("--picture", str(tmp_path / "faces.png")),
        env=os.environ | {"FACEWATCH_HOME": str(tmp_path), "FACEWATCH_DATABASE_URL": dsn},
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = (it.decode() for it in await process.communicate())

    assert [it["name"] for it in said["candidates"]] == ["Bob"]
    (denied,) = said["denied"]
    assert (denied["person"], denied["name"], denied["best"]) == (ann, "Ann", 0.65)
    assert process.returncode == 0, err
    (line,) = [it for it in out.splitlines() if it.startswith("denied")]
    assert "Ann" in line
    assert "0.620" in line
    assert "not theirs" in err


async def test_what_an_operator_said_later_stands_beside_what_the_machine_said(
    house: House,
) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    visit = a_visit(house.camera.id, decision=decided(ann, bob, FaceId(new_id())))
    await house.events.add([visit])
    await house.events.assign(ORG, visit.id, known(bob))

    said = await house.done("GET", f"events/{to_ruuid(visit.id)}/decision")

    assert (said["name"], said["assigned_by"]) == ("Bob", "operator")
    assert said["assigned_at"]
    assert said["decision"]["person"] == ann


async def test_of_the_erased_ids_and_scores_stay_and_when_they_were_erased(house: House) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    face = await house.enrolled(ann, 1)
    visit = a_visit(house.camera.id, decision=decided(ann, bob, face))
    await house.events.add([visit])
    await house.people.forget(ORG, known(ann))

    said = await house.done("GET", f"events/{to_ruuid(visit.id)}/decision")

    assert (said["person"], said["name"]) == (None, None)
    assert said["erased_at"]
    first, second = said["decision"]["candidates"]
    assert (first["person"], first["name"], first["similarity"]) == (ann, None, 0.62)
    assert first["erased_at"]
    assert first["face_removed_at"]
    assert (second["name"], second["erased_at"]) == ("Bob", None)
    assert "Ann" not in str(said)


async def test_who_was_merged_is_shown_with_whom_they_are_today(house: House) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    visit = a_visit(house.camera.id, decision=decided(ann, bob, FaceId(new_id())))
    await house.events.add([visit])
    await house.done("POST", f"people/{bob}/merge", json={"others": [ann]})

    said = await house.done("GET", f"events/{to_ruuid(visit.id)}/decision")

    first = said["decision"]["candidates"][0]
    assert (first["person"], first["now"], first["name"]) == (ann, bob, "Bob")


async def test_records_of_before_tell_what_they_know(house: House) -> None:
    ann = await house.person("Ann")
    visit = a_visit(house.camera.id, ann)
    await house.events.add([visit])
    await house.sql.execute(
        "UPDATE face_event SET decision = (decision #- '{candidates,0,best}'"
        " #- '{candidates,0,matchmakers}') - ARRAY['settled_by', 'grey', 'quality']"
    )

    said = (await house.done("GET", f"events/{to_ruuid(visit.id)}/decision"))["decision"]

    assert (said["person"], said["confidence"], said["calibration"]) == (ann, 0.93, "sface-1")
    assert [said[it] for it in ("settled_by", "grey", "quality")] == [None] * 3
    assert said["candidates"][0]["best"] is None


async def test_a_visit_that_was_never_compared_and_one_that_is_not_there(house: House) -> None:
    visit = a_visit(house.camera.id, decision=None, template=None)
    await house.events.add([visit])

    assert (await house.done("GET", f"events/{to_ruuid(visit.id)}/decision"))["decision"] is None
    status, said = await house.refused("GET", f"events/{to_ruuid(new_id())}/decision")
    assert (status, "no face event" in said) == (404, True)
    assert (await house.refused("GET", "events/nonsense/decision"))[0] == 400


async def test_the_faces_are_drawn_beside_each_other_and_gaps_are_said(
    house: House, tmp_path: Path
) -> None:
    ann, bob = [await house.person(name) for name in ("Ann", "Bob")]
    face = await house.enrolled(ann, 1)
    visit = a_visit(house.camera.id, decision=decided(ann, bob, face))
    await house.events.add([visit])
    blobs, red = LocalBlobs(tmp_path / "pixels"), np.zeros((112, 112, 3), np.uint8)
    red[:, :, 2] = 255
    await blobs.put(visit.look_keys[0], JpegPngEncoder().png(red), "image/png")
    decisions = PostgresDecisions(house.database, house.events)
    explained = await decisions.explain(ORG, EventId(from_ruuid(to_ruuid(visit.id))))

    sheet = decode(await drawn(explained, blobs)).full()

    assert sheet.shape[1] == 3 * 224 + 4 * 8  # the visitor and two candidates
    assert sheet[100, 100].tolist() == [0, 0, 255]
    assert sheet[20:200, 240:460].max() > 200  # "no picture": nothing was stored for Ann
    assert sheet[20:80, 240:460].max() == 32
