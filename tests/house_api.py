"""A running API with the stores behind it, asked in both contracts about people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from factories import (
    ORG,
    a_camera,
    a_decision,
    a_record,
    an_enrolment,
    photo_keys,
    some_deps,
)

from facewatch.api.server import application, serving
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId, FaceId, PersonId, from_ruuid, new_id, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault


@dataclass
class House:
    """A running API with the stores behind it."""

    client: aiohttp.ClientSession
    database: Database
    people: PostgresPeople
    events: PostgresFaceEvents
    camera: Camera

    @property
    def sql(self) -> asyncpg.Pool:
        return self.database._pool

    async def ask(
        self, method: str, path: str, key: str | None = None, **given: Any
    ) -> tuple[int, dict[str, Any]]:
        headers = {"x-auth-apikey": key} if key else None
        async with self.client.request(
            method, f"/api/v1/{path}", headers=headers, **given
        ) as answer:
            body = await answer.json(content_type=None) if answer.content_length else {}
            return answer.status, body

    async def done(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        status, body = await self.ask(method, path, **given)
        assert status < 300, body
        return body

    async def refused(self, method: str, path: str, **given: Any) -> tuple[int, str]:
        status, problem = await self.ask(method, path, **given)
        assert status == problem["status"]
        return status, problem["detail"]

    async def rhombus(self, operation: str, **message: Any) -> dict[str, Any]:
        async with self.client.post(f"/api/faceRecognition/{operation}", json=message) as answer:
            assert answer.status == 200
            body: dict[str, Any] = await answer.json()
            return body

    async def person(self, name: str, **given: Any) -> str:
        uuid: str = (await self.done("POST", "people", json={"name": name, **given}))["id"]
        return uuid

    async def enrolled(self, person: str, seed: int = 0, **given: Any) -> FaceId:
        enrolment = an_enrolment(seed, **given)
        await self.people.enrol(ORG, known(person), enrolment, photo_keys(str(enrolment.face)))
        return enrolment.face

    async def seen(self, person: str | None, face: FaceId | None = None, **given: Any) -> str:
        """A visit that the machine gave to *person* because of *face*."""
        record = a_visit(self.camera.id, person, face, **given)
        await self.events.add([record])
        return to_ruuid(record.id)

    async def event(self, uuid: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.rhombus("faceEvent/getFaceEvent", eventUuid=uuid)
        event: dict[str, Any] = answer["faceEvent"]
        return event

    async def found(self, person: str) -> list[str]:
        """The visits that Rhombus' clients find with the id."""
        window = {"rangeStart": 0}
        answer = await self.rhombus(
            "faceEvent/findFaceEventsByOrg",
            searchFilter={"personUuids": [person], "timestampFilter": window},
        )
        return [event["uuid"] for event in answer["faceEvents"]]


def known(person: str) -> PersonId:
    return PersonId(from_ruuid(person))


def a_visit(
    camera: CameraId, person: str | None = None, face: FaceId | None = None, **given: Any
) -> EventRecord:
    decision = a_decision()
    if person:
        best = Candidate(known(person), face or FaceId(new_id()), 0.62, 0.93)
        decision = a_decision(best.person, candidates=(best,))
    return a_record(camera, closed=True, **{"decision": decision, **given})


@asynccontextmanager
async def open_house(database: Database, place: Path, **given: Any) -> AsyncIterator[House]:
    """With an operator's key; *given* are parts other than usual."""
    camera = a_camera()
    await PostgresCameras(database, Vault(place)).add(camera)
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(some_deps(database, place, **given)), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield House(
            client, database, PostgresPeople(database), PostgresFaceEvents(database), camera
        )
