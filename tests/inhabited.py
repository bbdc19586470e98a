"""Orgs with one of everything, and messages to the service that speak of it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import numpy as np
from asking import Operation, asked, needed
from factories import NOON, a_camera, a_decision, a_record, a_template, an_enrolment
from yarl import URL

from facewatch.api.deps import Deps
from facewatch.api.rhombus.embedding import Embedding
from facewatch.domain.audit import AuditFilter
from facewatch.domain.cameras import Location, SuppressedRegion
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    EventId,
    LocationId,
    OrgId,
    RegionId,
    new_id,
    to_prefixed,
    to_ruuid,
)
from facewatch.domain.keys import event_prefix
from facewatch.people.inbox import Sent
from facewatch.ports.people import PhotoKeys
from facewatch.vision.pictures import JpegPngEncoder

KINDS = {
    **dict.fromkeys(("eventUuid", "faceEventUuid", "event", "events", "subject"), "event"),
    **dict.fromkeys(("personUuid", "personUuids", "person", "uuid", "others", "to"), "person"),
    **dict.fromkeys(("people",), "person"),
    **dict.fromkeys(("faceId", "faces"), "face"),
    **dict.fromkeys(("deviceUuids",), "device"),
    **dict.fromkeys(("locationUuids", "location"), "location"),
    **dict.fromkeys(("sub_location", "parent"), "sub_location"),
    **dict.fromkeys(("org", "orgUuid"), "org"),
    **dict.fromkeys(("transaction", "transactionId"), "transaction"),
    **dict.fromkeys(("face_id", "thumbnail_face_id", "gumnut_list_faces.ids"), "shown_face"),
    **dict.fromkeys(("person_id", "person_ids", "source_person_ids"), "shown_person"),
    "gumnut_list_people.ids": "shown_person",
    "gumnut_list_assets.ids": "asset",
    "gumnut_list_assets.starting_after_id": "asset",
    "gumnut_list_faces.starting_after_id": "shown_face",
    "gumnut_list_people.starting_after_id": "shown_person",
    "asset_id": "asset",
    "album_id": "album",
    "library_id": "library",
    "camera": "camera",
    "region": "region",
    "key": "key",
    "s3ObjectKey": "picture",
    "lastEvaluatedKey": "page",
    "v1_list_orgs.cursor": "org",
    "v1_list_cameras.cursor": "camera",
    "v1_list_locations.cursor": "location",
    "v1_list_keys.cursor": "key",
    "v1_list_people.cursor": "person",
    "v1_suggest_names.cursor": "event",
    "v1_find_audit_entries.cursor": "entry",
}
"""What a field that holds an id is about, by its name; a cursor's is told by its operation."""

_BESIDE = {
    "updateFaceEvent": ("body.eventUuid", "body.personUuid"),
    "createFaceMatchmakerFromSighting": ("body.faceEventUuid", "body.personUuid"),
    "addPersonLabel": ("body.personUuid", "body.label"),
    "removePersonLabel": ("body.personUuid", "body.label"),
    "updatePerson": ("body.personSelectiveUpdate.uuid", "body.personSelectiveUpdate.name"),
    "findSimilarFaceEvents": ("body.faceEventUuid",),
    "findSimilarFaceEventsByFaceMatchmaker": ("body.faceId",),
    "v1_split_person": ("body.events[]",),
}
"""What makes a message whole, beyond what its description says is needed."""

NOBODY = "rtsp://127.0.0.1:9/nobody"
PHOTO = JpegPngEncoder().jpeg(np.full((120, 100, 3), 127, np.uint8), 85)
_numbers = count()


@dataclass(frozen=True)
class Inhabited:
    """An org, an admin's secret, and by its kind the id of one of everything in it."""

    id: OrgId
    secret: str
    ids: dict[str, str]

    def message(self, operation: Operation) -> dict[str, Any]:
        """One that *operation* does what it is for with, by its places."""
        whole = {
            place: self.value(operation, place)
            for place in (*needed(operation), *_BESIDE.get(operation.id, ()))
        }
        if operation.id == "updatePerson":
            whole["body.personSelectiveUpdate.updatedSetMethodMap"] = {"setName": True}
        if operation.id == "findSimilarFaceEventsByEmbedding":
            face = Embedding.of(a_template(), "sface", 0.9)
            whole["body.embedding"] = face.model_dump(by_alias=True)
        return whole

    def value(self, operation: Operation, place: str) -> object:
        if kind := kind_of(operation, place):
            own = self.ids[kind]
            if place == "body.source_person_ids[]":
                return self.ids["shown_other"]
            return [self.ids["other"], own] if place == "body.people[]" else own
        return NOBODY if place.endswith(".url") else f"somebody {next(_numbers)}"


def kind_of(operation: Operation, place: str) -> str | None:
    """What an id at *place* is about; None where no id stands there."""
    name = place.rpartition(".")[2].removesuffix("[]")
    return KINDS.get(f"{operation.id}.{name}") or KINDS.get(name)


async def an_org(deps: Deps, name: str) -> Inhabited:
    """A new one, in which everything is there that an id can be of."""
    org, key, secret = await deps.orgs.create(name)
    location = await deps.locations.first(org.id)
    part = Location(LocationId(new_id()), org.id, f"{name} cellar", "UTC", location, location)
    await deps.locations.add(part)
    camera = a_camera(org=org.id, location=location, name=f"{name} door", url=NOBODY)
    await deps.cameras.add(camera)
    region = SuppressedRegion(RegionId(new_id()), Box(0, 0, 9, 9), NOON)
    await deps.regions.keep(camera.id, [region])
    ann = await deps.people.create(org.id, f"{name} Ann")
    bob = await deps.people.create(org.id, f"{name} Bob")
    await deps.people.add_label(org.id, ann.id, f"{name} label")
    keys = PhotoKeys(*(f"{to_ruuid(org.id)}/{it}" for it in ("photo", "face", "crop")))
    enrolled = await deps.people.enrol(org.id, ann.id, an_enrolment(), keys)
    visits = []
    for n in range(2):
        at = NOON - timedelta(minutes=n + 1)
        prefix = event_prefix(org.id, EventId(event := new_id(at)), at)
        plain = a_record(
            camera.id, at, id=event, org=org.id, location=location, decision=a_decision(ann.id)
        )
        pictures = {"frame_key": f"{prefix}/1.jpg", "thumbnail_key": f"{prefix}/2.jpg"}
        visits.append(replace(plain, **pictures, look_keys=(), closed=True))
    await deps.events.add(visits)
    await deps.blobs.put_all([(visits[0].thumbnail_key, PHOTO, "image/jpeg")])
    transaction = f"{name}-{new_id()}"
    await deps.inbox.keep(org.id, transaction, [Sent(f"{name} Eve.jpg", PHOTO)], create=True)
    return Inhabited(
        org.id,
        secret,
        {
            "org": to_ruuid(org.id),
            "location": to_ruuid(location),
            "sub_location": to_ruuid(part.id),
            "camera": to_ruuid(camera.id),
            "device": to_ruuid(camera.id) + ".v0",
            "region": to_ruuid(region.id),
            "person": to_ruuid(ann.id),
            "other": to_ruuid(bob.id),
            "face": to_prefixed("face", enrolled.face),
            "shown_face": to_prefixed("face", visits[0].face),
            "shown_person": to_prefixed("person", ann.id),
            "shown_other": to_prefixed("person", bob.id),
            "asset": to_prefixed("asset", visits[0].snapshot.id),
            "album": to_prefixed("album", new_id()),
            "library": to_prefixed("lib", org.id),
            "event": to_ruuid(visits[0].id),
            "key": to_ruuid(key.id),
            "picture": visits[0].thumbnail_key,
            "transaction": transaction,
        },
    )


async def with_traces(client: aiohttp.ClientSession, deps: Deps, whose: Inhabited) -> Inhabited:
    """*whose*, with what asking leaves: a page's key, and an entry of the audit log."""
    async with client.post(
        "/api/faceRecognition/faceEvent/findFaceEventsByOrg",
        json={"pageRequest": {"maxPageSize": 1}},
        headers={"x-auth-apikey": whose.secret},
    ) as answer:
        page = (await answer.json())["lastEvaluatedKey"]
    (entry,) = await deps.audit.page(whose.id, AuditFilter(), 1)
    return replace(whose, ids={**whose.ids, "page": page, "entry": to_ruuid(entry.id)})


@dataclass(frozen=True)
class Told:
    """An answer: *headers* without those that are every answer's own."""

    status: int
    headers: dict[str, str]
    body: bytes


async def tell(
    client: aiohttp.ClientSession, operation: Operation, message: dict[str, Any], secret: str
) -> tuple[Told, aiohttp.ClientResponse]:
    """Ask *operation* for *message*, whose values stand at its places."""
    in_path, query, body = asked(message)
    path = operation.path
    for name, value in in_path.items():
        path = path.replace(f"{{{name}}}", _quoted(value))
    if query:
        path += "?" + urlencode(query, doseq=True, errors="surrogatepass")
    how: dict[str, Any] = {}
    if operation.takes_files and operation.id != "gumnut_create_asset":
        how["data"] = aiohttp.FormData()
        how["data"].add_field("file", PHOTO, filename="Ann.jpg", content_type="image/jpeg")
    elif operation.id == "gumnut_create_asset":
        how["data"] = aiohttp.FormData(
            dict.fromkeys(("file_created_at", "file_modified_at"), NOON.isoformat())
            | dict.fromkeys(("device_asset_id", "device_id"), "a phone")
        )
        how["data"].add_field("asset_data", PHOTO, filename="a.jpg", content_type="image/jpeg")
    elif "requestBody" in operation.said:
        how["json"] = body
    async with client.request(
        operation.method,
        URL(path, encoded=True),
        headers={"x-auth-apikey": secret},
        **how,
    ) as answer:
        told = await answer.read()
    own = {"date", "x-request-id"}
    headers = {name: it for name, it in answer.headers.items() if name.lower() not in own}
    return Told(answer.status, headers, told), answer


def _quoted(value: object) -> str:
    return quote(str(value), safe="", errors="surrogatepass")
