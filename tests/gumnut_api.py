"""A caller of the Gumnut contract, beside the two others, over a real socket."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from factories import NOON, a_face, a_record, a_template
from house_api import House, a_visit

from facewatch.domain.events import EventRecord
from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, PersonId, to_prefixed


async def ask(house: House, method: str, path: str, **given: Any) -> tuple[int, Any]:
    async with house.client.request(method, f"/api/{path}", **given) as answer:
        return answer.status, await answer.json(content_type=None)


async def done(house: House, method: str, path: str, **given: Any) -> Any:
    status, body = await ask(house, method, path, **given)
    assert status < 300, body
    return body


async def refused(house: House, method: str, path: str, **given: Any) -> tuple[int, Any]:
    """Status and *detail*."""
    status, body = await ask(house, method, path, **given)
    assert status >= 400, body
    return status, body["detail"]


def face_of(record: EventRecord) -> str:
    return to_prefixed("face", record.face)


def person_id(person: PersonId) -> str:
    return to_prefixed("person", person)


async def visit(house: House, person: str | None = None, **given: Any) -> EventRecord:
    """A visit at the house's camera that was recorded, of whoever the machine thinks."""
    record = a_visit(house.camera.id, person, **given)
    await house.events.add([record])
    return record


async def visits(house: House, count: int, start: int = 0) -> list[EventRecord]:
    """Of nobody, a second apart, with a bystander in each snapshot; the oldest first."""
    records = []
    for number in range(start, start + count):
        at = NOON + timedelta(seconds=number)
        record = a_record(house.camera.id, at, closed=True)
        own = record.snapshot.faces[0]
        records.append(with_faces(record, own, a_face(None)))
    await house.events.add(records)
    return records


def with_faces(record: EventRecord, *faces: Any) -> EventRecord:
    return replace(record, snapshot=replace(record.snapshot, faces=faces))


def far(template: Template, other: Template) -> float:
    return 1.0 - float(template @ other)


def middle(*templates: Template) -> Template:
    summed = sum(templates, start=a_template() * 0)
    return summed / float((summed @ summed) ** 0.5)


def face_id(face: FaceId) -> str:
    return to_prefixed("face", face)
