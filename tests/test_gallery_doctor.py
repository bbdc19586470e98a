"""A gallery's weak faces are found and named, with what to do; nothing is changed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from factories import QUALITY, a_decision, a_template, turned
from house_api import House, known, open_house

from facewatch.domain.ids import to_prefixed, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.store.database import Database


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


async def test_each_kind_of_weak_face_is_found_with_its_reason(house: House) -> None:
    ann, bob, eve = [await house.person(name) for name in ("Ann", "Bob", "Eve")]
    good = await house.enrolled(ann, 1)
    twice = await house.enrolled(ann, 2, template=turned(a_template(1), 0.99))
    wrong = await house.enrolled(ann, 3, template=turned(a_template(7), 0.8))
    bobs = await house.enrolled(bob, 7)
    await house.enrolled(bob, 8, template=turned(a_template(7), 0.85, 4))
    blurred = replace(QUALITY, sharpness=0.05)
    poor = await house.enrolled(eve, 9, quality=blurred)
    best = Candidate(known(ann), good, 0.62, 0.93)
    event = await house.seen(ann, good, decision=a_decision(best.person, candidates=(best,)))
    await house.done("POST", f"events/{event}/not-person", json={})

    answer = await house.done("GET", "gallery/doctor")

    found = {(it["kind"], it["face"]) for it in answer["findings"]}
    assert found == {
        ("attracts", to_prefixed("face", wrong)),
        ("corrected", to_prefixed("face", good)),
        ("duplicate", to_prefixed("face", twice)),
        ("poor", to_prefixed("face", poor)),
        ("alone", to_prefixed("face", poor)),
    }
    assert answer["findings"][0]["other"] == to_ruuid(known(bob))
    assert all(it["reason"] and it["remedy"] for it in answer["findings"])
    assert answer["faces_examined"] == 6
    assert to_prefixed("face", bobs) not in {face for _, face in found}


async def test_an_empty_gallery_is_sound(house: House) -> None:
    assert await house.done("GET", "gallery/doctor") == {"findings": [], "faces_examined": 0}
    assert (await house.refused("GET", "gallery/doctor?limit=0"))[0] == 400
