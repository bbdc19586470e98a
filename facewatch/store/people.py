"""Persons and their matchmakers in Postgres."""

import numpy as np

from facewatch.domain.faces import Template
from facewatch.domain.ids import AssetId, FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import Matchmaker, Person
from facewatch.errors import InvalidRequest, NotFound
from facewatch.ports import Enrolment, PhotoKeys
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import CHANGES, quality_parts, spelled

GALLERY = "gallery"
"""NOTIFY channel that rings with an org's id when its gallery changed."""


class PostgresPeople:
    """`ports.People` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, org: OrgId) -> list[Person]:
        """Named persons, by name."""
        rows = await self._database.fetch("people_named", org=org, name=None)
        return [_person(row) for row in rows]

    async def named(self, org: OrgId, name: str) -> Person:
        """The person of this name; of several the first who was made.

        Raises:
            NotFound: *org* has nobody of this name.
        """
        row = await self._database.row("people_named", org=org, name=name)
        if row is None:
            raise NotFound(f"there is nobody named {name!r}", "facewatch person list shows them")
        return _person(row)

    async def create(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            InvalidRequest: *name* is blank.
        """
        if not name.strip() or "\0" in name:
            raise InvalidRequest("a person's name must not be blank")
        row = await self._database.row("person_create", id=new_id(), org=org, name=name.strip())
        assert row is not None
        return _person(row)

    async def has_photo(self, org: OrgId, person: PersonId, digest: bytes) -> bool:
        """Whether this very photo is one of the person's matchmakers already."""
        row = await self._database.row("person_has_photo", org=org, person=person, digest=digest)
        return row is not None

    async def enrol(
        self, org: OrgId, person: PersonId, enrolment: Enrolment, keys: PhotoKeys
    ) -> Matchmaker:
        """Add a matchmaker: asset, face, template, and a new gallery revision, at once.

        Raises:
            NotFound: *org* has no such person.
        """
        model = await self._database.row(
            "register_model", name=enrolment.model, dimensions=len(enrolment.template)
        )
        assert model is not None
        face = enrolment.face
        async with self._database.transaction() as work:
            await _lock(work, org, person)
            await _put_photo(work, org, person, enrolment, keys)
            await work.fetch(
                "template_add",
                face=face,
                model=model["model"],
                org=org,
                embedding=spelled(enrolment.template),
            )
            revision = await _next_revision(work, org)
            await work.fetch("matchmaker_add", face=face, org=org, person=person, revision=revision)
        return Matchmaker(face, person, org, enrolment.template)

    async def forget(self, org: OrgId, person: PersonId) -> list[str]:
        """Erase the person, matchmakers and templates of their past; events become unnamed.

        docs/deletion.md says what goes and what stays.

        Returns:
            Object keys whose pixels must go. They are garbage already, so that they go even if
            the caller does not come to it.

        Raises:
            NotFound: *org* has no such person.
        """
        async with self._database.transaction() as work:
            await _lock(work, org, person)
            events = await work.fetch("person_events_lock", org=org, person=person)
            keys = await _erase_pictures(work, org, person, events)
            await work.fetch("events_erase", events=[event["id"] for event in events])
            revision = await _next_revision(work, org)
            await work.fetch("matchmakers_remove", person=person, revision=revision)
            await work.fetch("person_labels_erase", person=person)
            await work.fetch("person_erase", person=person)
            await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
            await work.fetch("log_changes", org=org, kind="person_erased", subjects=[person])
            await work.fetch("ring", channel=CHANGES, payload=str(org))
        return keys

    async def gallery(self, org: OrgId, model: str) -> tuple[int, list[Matchmaker]]:
        """The revision in force and every matchmaker with a template of *model*."""
        # In this order: rows that are newer than the revision only mean one more reading.
        revision = await self._database.row("gallery_revision", org=org)
        if revision is None:
            raise NotFound(f"there is no org {org}")
        rows = await self._database.fetch("gallery", org=org, model=model)
        return revision["revision"], [
            Matchmaker(
                FaceId(row["face"]), PersonId(row["person"]), org, _template(row["embedding"])
            )
            for row in rows
        ]


async def _lock(work: Work, org: OrgId, person: PersonId) -> None:
    if await work.row("person_lock", org=org, person=person) is None:
        raise NotFound(f"there is no person {person}")


async def _next_revision(work: Work, org: OrgId) -> int:
    row = await work.row("gallery_revision_next", org=org)
    assert row is not None
    await work.fetch("ring", channel=GALLERY, payload=str(org))
    revision: int = row["revision"]
    return revision


async def _put_photo(
    work: Work, org: OrgId, person: PersonId, enrolment: Enrolment, keys: PhotoKeys
) -> None:
    asset = AssetId(new_id())
    await work.fetch(
        "photo_add",
        id=asset,
        org=org,
        width=enrolment.width,
        height=enrolment.height,
        size_bytes=len(enrolment.photo),
        sha256=enrolment.digest,
        mime=enrolment.content_type,
        file_name=enrolment.file_name,
        key=keys.photo,
    )
    left, top, right, bottom = enrolment.detection.box.rounded()
    await work.fetch(
        "enrolled_face_add",
        id=enrolment.face,
        org=org,
        asset=asset,
        box_left=left,
        box_top=top,
        box_right=right,
        box_bottom=bottom,
        landmarks=np.asarray(enrolment.detection.landmarks, np.float64).ravel().tolist(),
        quality=quality_parts(enrolment.quality),
        person=person,
        thumbnail_key=keys.thumbnail,
        crop_key=keys.crop,
    )


async def _erase_pictures(work: Work, org: OrgId, person: PersonId, events: list[Row]) -> list[str]:
    """Rows of every picture that shows the person; the keys of the pixels."""
    ids = [event["id"] for event in events]
    assets = await work.fetch("person_assets", org=org, person=person, events=ids)
    shared = [asset["id"] for asset in assets if asset["shared"]]
    own = [asset["id"] for asset in assets if not asset["shared"]]
    faces = await work.fetch("person_faces_erase", person=person, events=ids)
    frames = await work.fetch("frames_blank", assets=shared, events=ids)
    await work.fetch("assets_blank", assets=shared)
    await work.fetch("assets_erase", assets=own)
    keys = {event["frame_key"] for event in events} | {e["thumbnail_key"] for e in events}
    keys |= {key for event in events for key in event["look_keys"]}
    keys |= {asset["key"] for asset in assets} | {frame["key"] for frame in frames}
    keys |= {face["thumbnail_key"] for face in faces} | {face["crop_key"] for face in faces}
    return sorted(key for key in keys if key)


def _person(row: Row) -> Person:
    return Person(
        PersonId(row["id"]), OrgId(row["org"]), row["name"], row["created_at"], row["matchmakers"]
    )


def _template(sent: bytes) -> Template:
    """From pgvector's binary form: two int16, then big-endian floats."""
    return np.frombuffer(sent, ">f4", offset=4).astype(np.float32)
