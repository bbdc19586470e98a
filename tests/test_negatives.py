"""What an operator says a visit does not show is remembered, and beats an equal likeness."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from factories import NOON, ORG, a_camera, a_template, turned
from house_api import House, a_visit, known, open_house

from facewatch.domain.clusters import Sureness
from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, FaceId, PersonId, new_id, to_ruuid
from facewatch.domain.people import Decision, Matchmaker, Refusal
from facewatch.gallery.exact import ExactGallery
from facewatch.gallery.live import LiveGallery
from facewatch.people.decide import Decider, Rule
from facewatch.people.gallery import Galleries, org_of_ring
from facewatch.store.cameras import PostgresCameras
from facewatch.store.clusters import PostgresClusters
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.people import GALLERY
from facewatch.store.secrets import Vault
from facewatch.vision.registry import card

CALIBRATION = card("sface").calibration


class Worker:
    """A process that decides, with the gallery as it was told."""

    def __init__(self, house: House) -> None:
        self._gallery, self._database = LiveGallery(128, "sface"), house.database
        self._decider = Decider(self._gallery, CALIBRATION, "digest", Rule())
        self._galleries = Galleries(
            self._gallery, {}, house.people, PostgresOrgs(house.database), "sface"
        )
        self._loaded = asyncio.Event()

    async def follow(self) -> None:
        async for ring in self._database.listen(GALLERY):
            await self._galleries.catch_up(org_of_ring(ring))
            self._loaded.set()

    def decide(self, face: Template, camera: CameraId | None = None) -> Decision:
        return self._decider.decide(ORG, face, 0.9, camera=camera)

    async def says(
        self, face: Template, person: str | None, camera: CameraId | None = None
    ) -> Decision:
        """Within a second."""
        expected = known(person) if person else None
        async with asyncio.timeout(1):
            while (decision := self.decide(face, camera)).person != expected:
                self._loaded.clear()
                await self._loaded.wait()
        return decision


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def worker(house: House) -> AsyncIterator[Worker]:
    worker = Worker(house)
    following = asyncio.create_task(worker.follow())
    yield worker
    following.cancel()


def gallery_of(*people: PersonId, refusals: list[Refusal]) -> Decider:
    gallery = ExactGallery(128)
    faces = [
        Matchmaker(FaceId(new_id()), person, ORG, turned(a_template(1), 0.8 - n / 10, n))
        for n, person in enumerate(people)
    ]
    gallery.replace(ORG, 1, faces, refusals)
    return Decider(gallery, CALIBRATION, "digest", Rule())


def test_a_negative_example_beats_an_equal_one_and_no_weaker_one() -> None:
    ann, bob = PersonId(new_id()), PersonId(new_id())
    face = a_template(1)

    def said(cosine: float) -> Decision:
        return gallery_of(ann, refusals=[Refusal(ann, None, turned(face, cosine))]).decide(
            ORG, face, 0.9
        )

    assert said(0.79).person == ann
    same = gallery_of(ann, refusals=[Refusal(ann, None, turned(face, 0.8, 0))])
    assert same.decide(ORG, face, 0.9).person is None
    denied = said(0.81)
    assert denied.person is None
    assert [it.person for it in denied.denied] == [ann]
    assert denied.candidates == ()
    assert "not theirs" in denied.reason
    # whoever else it is like is found behind them, without a rival
    both = gallery_of(ann, bob, refusals=[Refusal(ann, None, turned(face, 0.9))])
    assert both.decide(ORG, face, 0.9).person == bob


def test_what_is_no_face_counts_at_its_camera() -> None:
    ann, here, there = PersonId(new_id()), CameraId(new_id()), CameraId(new_id())
    face = a_template(1)
    decider = gallery_of(ann, refusals=[Refusal(None, here, turned(face, 0.9))])
    assert decider.decide(ORG, face, 0.9, camera=there).person == ann
    refused = decider.decide(ORG, face, 0.9, camera=here)
    assert refused.person is None
    assert "no face" in refused.reason


async def test_not_this_person_is_in_force_within_a_second(house: House, worker: Worker) -> None:
    ann, face = await house.person("Ann"), a_template(1)
    own = await house.enrolled(ann, template=turned(face, 0.8))
    await worker.says(face, ann)
    event = await house.seen(ann, own, template=turned(face, 0.95, 3))

    for _ in range(2):
        await house.done("POST", f"events/{event}/not-person", json={"person": ann})

    decision = await worker.says(face, None)
    assert "not theirs" in decision.reason
    assert (await house.event(event))["faceName"] is None
    # Ann herself is known as before, and the operator may change their mind
    assert worker.decide(turned(face, 0.8)).person == known(ann)
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=event, personUuid=ann)
    await worker.says(face, ann)


async def test_whoever_is_corrected_is_denied(house: House, worker: Worker) -> None:
    ann, bob, face = await house.person("Ann"), await house.person("Bob"), a_template(1)
    own = await house.enrolled(ann, template=turned(face, 0.8))
    one, other = [await house.seen(ann, own, template=face, at=NOON) for _ in range(2)]

    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=one, personName="Bob")
    assert (await house.event(one))["personUuid"] == bob
    await worker.says(face, None)
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=one, personUuid=ann)
    await worker.says(face, ann)
    await house.done("POST", f"people/{ann}/split", json={"events": [other]})
    await worker.says(face, None)


async def test_of_two_who_become_one_what_was_said_between_them_is_void(
    house: House, worker: Worker
) -> None:
    ann, anna, face = await house.person("Ann"), await house.person("Anna"), a_template(1)
    own = await house.enrolled(ann, template=turned(face, 0.8))
    event = await house.seen(ann, own, template=face)
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=event, personName="Anna")
    await worker.says(face, None)

    await house.done("POST", f"people/{ann}/merge", json={"others": [anna]})

    await worker.says(face, ann)


async def test_a_blurred_visit_is_no_example(house: House, worker: Worker) -> None:
    ann, face = await house.person("Ann"), a_template(1)
    await house.enrolled(ann, template=turned(face, 0.8))
    record = a_visit(house.camera.id, ann, template=face)
    (seen,) = record.snapshot.faces
    blurred = replace(seen, quality=replace(seen.quality, sharpness=0.05))
    await house.events.add([replace(record, snapshot=replace(record.snapshot, faces=(blurred,)))])
    await worker.says(face, ann)
    revision, _ = await house.people.gallery(ORG, "sface")

    await house.done("POST", f"events/{to_ruuid(record.id)}/not-person", json={})

    assert (await house.people.gallery(ORG, "sface"))[0] > revision
    assert await house.people.refusals(ORG, "sface") == []


async def test_not_a_face_goes_and_nothing_like_it_is_named_there(
    house: House, worker: Worker, tmp_path: Path
) -> None:
    ann, face = await house.person("Ann"), a_template(1)
    await house.enrolled(ann, template=turned(face, 0.8))
    other = a_camera(name="elsewhere")
    await PostgresCameras(house.database, Vault(tmp_path)).add(other)
    event = await house.seen(None, template=face)

    for _ in range(2):
        await house.done("POST", f"events/{event}/not-a-face")

    assert (await house.rhombus("faceEvent/getFaceEvent", eventUuid=event))["error"]
    await worker.says(face, None, house.camera.id)
    await worker.says(face, ann, other.id)
    # nor does it become somebody who comes back
    clusters = PostgresClusters(house.database, Sureness(CALIBRATION), "sface")
    await house.events.add(
        [a_visit(house.camera.id, at=NOON + timedelta(hours=n), template=face) for n in range(2)]
    )
    while await clusters.step():
        pass
    assert (await house.done("GET", "people?named=false"))["items"] == []

    await house.done("DELETE", f"events/{event}/not-a-face")
    await worker.says(face, ann, house.camera.id)
    assert (await house.refused("DELETE", f"events/{event}/not-a-face"))[0] == 404


async def test_an_unnamed_person_is_not_joined_by_whom_an_operator_took_away(house: House) -> None:
    face = a_template(1)
    clusters = PostgresClusters(house.database, Sureness(CALIBRATION), "sface")

    async def seen(template: Template, hours: int) -> str:
        record = a_visit(house.camera.id, at=NOON + timedelta(hours=hours), template=template)
        await house.events.add([record])
        while await clusters.step():
            pass
        return to_ruuid(record.id)

    twin = turned(face, 0.75)
    for hours in range(2):
        await seen(face, hours)
    event = await seen(twin, 2)
    (person,) = (await house.done("GET", "people?named=false"))["items"]
    assert person["events"] == 3

    await house.done("POST", f"events/{event}/not-person", json={})
    again, her = await seen(twin, 3), await seen(face, 4)

    owners = dict(await house.sql.fetch("SELECT id, person FROM face_event"))
    owners = {to_ruuid(event): owner for event, owner in owners.items()}
    assert owners[again] is None
    assert owners[her] == known(person["id"])


async def test_refused_denials(house: House) -> None:
    ann, nobody = await house.person("Ann"), to_ruuid(new_id())
    event = await house.seen(None)
    for path, body, status in (
        (f"events/{event}/not-person", {}, 422),
        (f"events/{event}/not-person", {"person": nobody}, 404),
        (f"events/{nobody}/not-person", {"person": ann}, 404),
        ("events/xyz/not-person", {"person": ann}, 400),
        (f"events/{event}/not-person", {"name": "Ann"}, 400),
        (f"events/{nobody}/not-a-face", {}, 404),
    ):
        assert (await house.refused("POST", path, json=body))[0] == status, path
    assert await house.sql.fetchval("SELECT count(*) FROM dismissed") == 0
    _, secret = await _viewer(house)
    assert (await house.ask("POST", f"events/{event}/not-a-face", key=secret))[0] == 403


async def _viewer(house: House) -> tuple[object, str]:
    return await PostgresKeys(house.database).create(ORG, "viewer", "viewer")


async def test_forgetting_takes_the_examples_along(house: House) -> None:
    ann, bob, face = await house.person("Ann"), await house.person("Bob"), a_template(1)
    event = await house.seen(ann, template=face)
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=event, personName="Bob")
    (refusal,) = await house.people.refusals(ORG, "sface")
    assert (refusal.person, refusal.camera) == (known(ann), None)
    assert np.array_equal(refusal.template, face)

    await house.done("DELETE", f"people/{bob}")

    assert await house.people.refusals(ORG, "sface") == []
