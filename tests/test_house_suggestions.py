"""What is suggested, and what an operator's "no" is worth."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
from factories import NOON, ORG, a_decision, a_template, some_deps
from house_api import House, a_visit, known, open_house

from facewatch.api.server import application, serving
from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id, to_prefixed, to_ruuid
from facewatch.domain.people import Candidate, Matchmaker
from facewatch.people.crops import Crops
from facewatch.people.suggest import Suggester
from facewatch.ports.library import Register
from facewatch.ports.people import People
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.register import PostgresRegister
from facewatch.vision.registry import card

NO_CROPS = cast(Crops, None)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


def like(template: Template, cosine: float, seed: int) -> Template:
    """A template of this cosine to *template*."""
    other = a_template(seed)
    other -= template * (other @ template)
    other /= np.linalg.norm(other)
    return (cosine * template + np.sqrt(1 - cosine**2) * other).astype(np.float32)


async def merges(house: House, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await house.done("GET", f"suggestions/merges{query}"))["items"]
    return items


async def names(house: House, query: str = "") -> list[str]:
    page = await house.done("GET", f"suggestions/names{query}")
    return [it["id"] for it in page["items"]]


async def test_two_who_look_alike_are_suggested_with_the_faces_that_say_so(house: House) -> None:
    ann, anna, bob = [await house.person(name) for name in ("Ann", "Anna", "Bob")]
    first = await house.enrolled(ann, 1)
    await house.enrolled(ann, 2)
    await house.enrolled(anna, 3)
    alike = await house.enrolled(anna, 4, template=like(a_template(1), 0.7, 4))
    await house.enrolled(bob, 5)

    answer = await house.done("GET", "suggestions/merges")

    (pair,) = answer["items"]
    assert {it["person"]: (it["name"], it["face"]) for it in pair["people"]} == {
        ann: ("Ann", to_prefixed("face", first)),
        anna: ("Anna", to_prefixed("face", alike)),
    }
    assert pair["similarity"] == pytest.approx(0.7, abs=1e-3)
    assert pair["confidence"] == pytest.approx(
        card("sface").calibration.confidence(0.7, 3), abs=1e-3
    )
    assert answer["faces_compared"] == 5
    # nothing was changed by asking
    assert len((await house.done("GET", "people"))["items"]) == 3
    # of one human there is nothing to suggest
    await house.done("POST", f"people/{ann}/merge", json={"others": [anna]})
    assert await merges(house) == []


async def test_who_is_not_alike_enough_is_suggested_where_that_is_asked(house: House) -> None:
    ann, bob, eve = [await house.person(name) for name in ("Ann", "Bob", "Eve")]
    await house.enrolled(ann, 1)
    await house.enrolled(bob, 2, template=like(a_template(1), 0.47, 2))
    await house.enrolled(eve, 3, template=like(a_template(1), 0.6, 3))

    assert len(await merges(house)) == 1
    wide = await merges(house, "?min_confidence=0.5")
    assert [{it["person"] for it in pair["people"]} for pair in wide[:2]] == [
        {ann, eve},
        {ann, bob},
    ]
    assert len(await merges(house, "?min_confidence=0.5&limit=1")) == 1
    # the org's own threshold is the default
    await house.sql.execute("UPDATE org SET match_threshold = 0.99999")
    assert await merges(house) == []


async def test_two_whom_an_operator_told_apart_are_not_suggested_again(house: House) -> None:
    ann, anna, amy = [await house.person(name) for name in ("Ann", "Anna", "Amy")]
    await house.enrolled(ann, 1)
    await house.enrolled(anna, 2, template=like(a_template(1), 0.7, 2))
    two = {"people": [anna, ann]}
    for _ in range(2):
        await house.done("POST", "suggestions/merges/dismiss", json=two)
    assert await merges(house) == []
    # nor is whoever they become
    await house.done("POST", f"people/{amy}/merge", json={"others": [anna]})
    assert await merges(house) == []
    for people, status in (([ann], 400), ([ann, ann], 422), ([ann, to_ruuid(ORG)], 404)):
        answer = await house.refused("POST", "suggestions/merges/dismiss", json={"people": people})
        assert answer[0] == status
    # a no to a question does not forbid an answer
    await house.done("POST", f"people/{ann}/merge", json={"others": [anna]})
    assert await merges(house) == []


async def test_nobody_enrolled_and_one_alone_are_no_pair(house: House) -> None:
    assert await merges(house) == []
    ann = await house.person("Ann")
    await house.enrolled(ann, 1)
    await house.enrolled(ann, 1)
    assert await merges(house) == []


async def test_pairs_among_many_are_those_of_a_plain_search() -> None:
    """Several blocks of persons, best first, against every pair compared by itself."""
    draw = np.random.default_rng(3)
    owners = [PersonId(new_id()) for _ in range(300)]
    enrolled = [
        Matchmaker(FaceId(new_id()), owners[owner], ORG, like(a_template(n % 40), 0.6, 1000 + n))
        for n, owner in enumerate(draw.integers(0, 300, 1500))
    ]
    best: dict[frozenset[PersonId], float] = {}
    templates = np.stack([it.template for it in enrolled])
    for one, row in zip(enrolled, templates @ templates.T, strict=True):
        for other, cosine in zip(enrolled, row, strict=True):
            if one.person != other.person:
                pair = frozenset((one.person, other.person))
                best[pair] = max(best.get(pair, -1.0), float(cosine))
    ranked = sorted(best, key=lambda pair: best[pair], reverse=True)
    told_apart, expected = {*ranked[:50:2]}, [*ranked[1:50:2], *ranked[50:75]]

    class Enrolled:
        async def gallery(self, _org: OrgId, _model: str) -> tuple[int, list[Matchmaker]]:
            return 1, enrolled

    class Known:
        async def different(self, _org: OrgId) -> set[frozenset[PersonId]]:
            return told_apart

        async def names(self, _org: OrgId, people: set[PersonId]) -> dict[PersonId, str | None]:
            return dict.fromkeys(people)

    suggester = Suggester(
        *(cast(People, Enrolled()), cast(Register, Known())),
        *("sface", card("sface").calibration, NO_CROPS),
    )
    found, compared = await suggester.same_people(ORG, 0.4, 50)

    assert compared == 1500
    similarities = [it.similarity for it in found]
    assert similarities == pytest.approx([best[pair] for pair in expected], abs=1e-5)
    by_face = {it.face: it for it in enrolled}
    for it in found:
        assert frozenset(it.people) not in told_apart
        one, other = (by_face[face] for face in it.faces)
        assert (one.person, other.person) == it.people
        assert float(one.template @ other.template) == pytest.approx(it.similarity, abs=1e-5)


# --- names ------------------------------------------------------------------------------------


async def nearly(house: House, person: str, face: FaceId, confidence: float) -> str:
    """A visit that nobody was named for, with *person* as its best candidate."""
    decision = a_decision(
        None,
        candidates=(Candidate(known(person), face, 0.4, confidence),),
        confidence=confidence,
        reason=f"confidence {confidence} is below 0.7",
    )
    record = a_visit(house.camera.id, decision=decision)
    await house.events.add([record])
    return to_ruuid(record.id)


async def test_a_visit_that_nearly_was_somebody_s_is_suggested_with_score_and_reason(
    house: House,
) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)
    event = await nearly(house, ann, face, 0.65)
    await nearly(house, ann, face, 0.45)
    await house.seen(ann, face)

    (item,) = (await house.done("GET", "suggestions/names"))["items"]

    assert item == {
        "id": event,
        "at": NOON.isoformat().replace("+00:00", "Z"),
        "camera": to_ruuid(house.camera.id),
        "thumbnail_s3_key": (await house.event(event))["thumbnailS3Key"],
        "person": ann,
        "name": "Ann",
        "face": to_prefixed("face", face),
        "confidence": 0.65,
        "similarity": 0.4,
        "reason": "confidence 0.65 is below 0.7",
    }
    assert len(await names(house, "?min_confidence=0.4")) == 2
    assert await names(house, "?since=2026-11-21T12:00:01Z") == []
    # an operator's word ends it, whatever it is
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=event)
    assert await names(house) == []


async def test_a_name_that_an_operator_refused_is_not_suggested_again(house: House) -> None:
    ann, anna = await house.person("Ann"), await house.person("Anna")
    face = await house.enrolled(ann)
    event, other = [await nearly(house, ann, face, 0.65) for _ in range(2)]
    for _ in range(2):
        await house.done("POST", "suggestions/names/dismiss", json={"event": event, "person": ann})
    assert await names(house) == [other]
    await house.done("POST", f"people/{anna}/merge", json={"others": [ann]})
    assert await names(house) == [other]
    # the face is somebody else's now: that is another question
    bob = await house.done(
        "POST",
        f"people/{anna}/split",
        json={"faces": [to_prefixed("face", face)], "name": "Bob"},
    )
    items = (await house.done("GET", "suggestions/names"))["items"]
    assert {(it["id"], it["person"]) for it in items} == {
        (event, bob["id"]),
        (other, bob["id"]),
    }
    await house.done("DELETE", f"people/{bob['id']}")
    assert await names(house) == []
    assert await house.sql.fetchval("SELECT count(*) FROM dismissed") == 1
    for sent in ({"event": event, "person": bob["id"]}, {"event": anna, "person": anna}):
        assert (await house.refused("POST", "suggestions/names/dismiss", json=sent))[0] == 404


async def test_pages_of_suggested_names(house: House) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)
    events = [await nearly(house, ann, face, 0.6) for _ in range(5)]
    page = await house.done("GET", "suggestions/names?limit=3")
    rest = await house.done("GET", f"suggestions/names?limit=3&cursor={page['cursor']}")
    found = [it["id"] for it in page["items"] + rest["items"]]
    assert sorted(found) == sorted(events)
    assert rest["cursor"] is None


async def test_whoever_finds_too_many_waiting_is_told_to_come_again(
    database: Database, tmp_path: Path
) -> None:
    going_on, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(PostgresPeople):
        """Reads the gallery when it is told to."""

        async def gallery(self, org: OrgId, model: str) -> tuple[int, list[Matchmaker]]:
            going_on.set()
            await goes_on.wait()
            return await super().gallery(org, model)

    suggester = Suggester(
        *(Slow(database), PostgresRegister(database), "sface"),
        *(card("sface").calibration, NO_CROPS),
    )
    _, secret = await PostgresKeys(database).create(ORG, "tests", "viewer")
    deps = some_deps(database, tmp_path, suggester=suggester)
    async with (
        asyncio.timeout(20),
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-apikey": secret}) as client,
    ):

        async def status() -> int:
            async with client.get("/api/v1/suggestions/merges") as answer:
                return answer.status

        waiting = [asyncio.create_task(status()) for _ in range(8)]
        await going_on.wait()
        refused, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        while len(refused) < 4:
            refused, _ = await asyncio.wait(waiting, timeout=0.1, return_when=asyncio.ALL_COMPLETED)
        goes_on.set()
        assert sorted([await it for it in waiting]) == [200] * 4 + [503] * 4
