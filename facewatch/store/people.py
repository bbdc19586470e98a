"""Persons and their matchmakers in Postgres."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from facewatch.domain.faces import Quality, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import EventId, FaceId, OrgId, PersonId, new_id, to_ruuid
from facewatch.domain.people import (
    Called,
    Confirmed,
    EnrolledFace,
    FaceNote,
    GalleryChange,
    Matchmaker,
    Person,
    Refusal,
    Sighting,
)
from facewatch.errors import AlreadyExists, InvalidRequest, NotFound, UnusablePhoto
from facewatch.ports.people import Enrolment, PersonChanges, PhotoKeys
from facewatch.store.database import Database, Row, Work
from facewatch.store.enrolments import model_id, put_matchmakers
from facewatch.store.events import CHANGES, all_received, received
from facewatch.store.revision import GALLERY as GALLERY
from facewatch.store.revision import next_revision

_PAGE = 16_384
"""Matchmakers read at once: 10 MB of rows, a third of a second."""


class PostgresPeople:
    """`ports.people.People` in Postgres."""

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

    async def get(self, org: OrgId, person: PersonId) -> Person:
        """A person who has a name.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        row = await self._database.row("person_get", org=org, person=person)
        if row is None:
            raise NotFound(f"there is no person {person}")
        return _person(row)

    async def create(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            InvalidRequest: *name* is blank.
            AlreadyExists: *org* has somebody of this name.
        """
        name = name.strip()
        if not name or "\0" in name:
            raise InvalidRequest("a person's name must not be blank")
        async with self._database.transaction() as work:
            await take_name(work, org, name)
            row = await work.row("person_create", id=new_id(), org=org, name=name)
            assert row is not None
            await tell(work, org, [row["id"]])
        return _person(row)

    async def change(self, org: OrgId, person: PersonId, changes: PersonChanges) -> Person:
        """Somebody who has a name, as they are then; without changes they only count as updated.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
            AlreadyExists: somebody else has the new name.
        """
        async with self._database.transaction() as work:
            person = await _lock_named(work, org, person)
            if name := changes.get("name"):
                await take_name(work, org, name, person)
            row = await work.row(
                "person_change",
                person=person,
                set_name="name" in changes,
                name=changes.get("name"),
                set_email="email" in changes,
                email=changes.get("email"),
            )
            assert row is not None
            await tell(work, org, [person])
        return _person(row)

    async def add_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """Adding it again changes nothing.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        async with self._database.transaction() as work:
            person = await _lock_named(work, org, person)
            await work.fetch("person_label_add", org=org, person=person, label=label)

    async def remove_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """A label that the person has not is no error.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        async with self._database.transaction() as work:
            person = await _lock_named(work, org, person)
            await work.fetch("person_label_remove", person=person, label=label)

    async def labels(self, org: OrgId) -> dict[PersonId, list[str]]:
        """Of named persons who have any, in alphabetical order."""
        rows = await self._database.fetch("person_labels", org=org)
        return {PersonId(row["person"]): row["labels"] for row in rows}

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
            AlreadyExists: the person has a matchmaker of this very sighting.
            UnusablePhoto: the sighting was erased meanwhile.
        """
        model = await model_id(self._database, enrolment.model, len(enrolment.template))
        async with self._database.transaction() as work:
            person = await lock(work, org, person)
            if enrolment.origin is not None:
                await _copyable(work, org, person, enrolment.origin, enrolment.digest)
            await put_matchmakers(work, model, [(org, person, enrolment, keys)])
        return Matchmaker(enrolment.face, person, org, enrolment.template)

    async def photo_owners(self, org: OrgId, digests: Sequence[bytes]) -> dict[bytes, list[Called]]:
        """By sha256, whose matchmakers these very photos are."""
        rows = await self._database.fetch("photo_owners", org=org, digests=digests)
        owners: dict[bytes, list[Called]] = {}
        for row in rows:
            owners.setdefault(row["sha256"], []).append(
                Called(PersonId(row["person"]), row["name"])
            )
        return owners

    async def templates(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, list[Template]]:
        """What *model* made of their matchmakers; nobody is there who has none."""
        rows = await self._database.fetch(
            "templates_of_people", org=org, persons=people, model=model
        )
        found: dict[PersonId, list[Template]] = {}
        for row in rows:
            found.setdefault(PersonId(row["person"]), []).append(received(row["embedding"]))
        return found

    async def holding(self, org: OrgId, faces: Sequence[FaceId]) -> dict[FaceId, PersonId]:
        """Whose matchmakers these are today; one that was deleted is not there."""
        rows = await self._database.fetch("matchmakers_held", org=org, faces=faces)
        return {FaceId(row["face"]): PersonId(row["person"]) for row in rows}

    async def of_names(self, org: OrgId, names: Sequence[str]) -> dict[str, PersonId]:
        """Who is called so; a name that nobody has is not there."""
        rows = await self._database.fetch("people_of_names", org=org, names=names)
        return {row["name"]: PersonId(row["id"]) for row in rows}

    async def standing(self, org: OrgId, people: Sequence[PersonId]) -> dict[PersonId, Called]:
        """Who *people* are now, merged or not; whoever is gone is not there."""
        rows = await self._database.fetch("people_standing", org=org, persons=people)
        return {
            PersonId(row["asked"]): Called(PersonId(row["id"]), row["name"] or "") for row in rows
        }

    async def sighting(self, org: OrgId, event: EventId, model: str) -> Sighting:
        """The best shot of a visit, with its template of *model*.

        Raises:
            NotFound: *org* has no such event.
        """
        row = await self._database.row("sighting", org=org, event=event, model=model)
        if row is None:
            raise NotFound(f"there is no face event {event}")
        return _sighting(row)

    async def matchmaker(self, org: OrgId, face: FaceId) -> EnrolledFace:
        """
        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        row = await self._database.row("matchmaker_get", org=org, face=face)
        if row is None:
            raise NotFound(f"there is no matchmaker {face}")
        return _enrolled(row)

    async def matchmakers(self, org: OrgId, person: PersonId | None = None) -> list[EnrolledFace]:
        """Those of one person, or of everybody who has a name; newest first."""
        if person is None:
            rows = await self._database.fetch("matchmakers", org=org)
        else:
            rows = await self._database.fetch("matchmakers_of_person", org=org, person=person)
        return [_enrolled(row) for row in rows]

    async def remove_matchmaker(self, org: OrgId, face: FaceId) -> list[str]:
        """Erase one matchmaker; its person and past events stay as they are.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        person = (await self.matchmaker(org, face)).person
        async with self._database.transaction() as work:
            person = await _lock_named(work, org, person)
            if await work.row("matchmaker_get", org=org, face=face) is None:
                raise NotFound(f"there is no matchmaker {face}")
            faces = await work.fetch("matchmaker_face_erase", face=face)
            await work.fetch("uploads_of_removed", face=face)
            assets = await work.fetch("matchmaker_asset_erase", assets=[f["asset"] for f in faces])
            revision = await next_revision(work, org)
            await work.fetch("matchmaker_remove", face=face, revision=revision)
            keys = [key for f in faces for key in (f["thumbnail_key"], f["crop_key"]) if key]
            keys += [asset["key"] for asset in assets if asset["key"]]
            await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
        return keys

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
            await work.fetch("people_gate", org=org)
            person = await lock(work, org, person)
            events = await work.fetch("person_events_lock", org=org, person=person)
            keys = await _erase_pictures(work, org, person, events)
            uploads = await work.fetch("uploads_forget", org=org, person=person)
            keys = sorted({*keys, *(upload["key"] for upload in uploads if upload["key"])})
            await work.fetch("events_erase", events=[event["id"] for event in events])
            revision = await next_revision(work, org)
            await work.fetch("matchmakers_remove", person=person, revision=revision)
            await work.fetch("person_labels_erase", person=person)
            await work.fetch("dismissals_erase", person=person)
            await work.fetch("person_erase", person=person)
            await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
            await work.fetch("log_changes", org=org, kind="person_erased", subjects=[person])
            await work.fetch("ring", channel=CHANGES, payload=str(org))
        return keys

    async def gallery(self, org: OrgId, model: str) -> tuple[int, list[Matchmaker]]:
        """The revision in force and every matchmaker with a template of *model*."""
        # In this order: rows that are newer than the revision only mean one more reading.
        revision = await self.gallery_revision(org)
        rows = await self._database.fetch("gallery", org=org, model=model)
        return revision, [
            Matchmaker(
                FaceId(row["face"]), PersonId(row["person"]), org, received(row["embedding"])
            )
            for row in rows
        ]

    async def gallery_lineage(self, org: OrgId) -> UUID:
        """As `ports.people.People` says."""
        lineage: UUID = (await self._gallery_state(org))["lineage"]
        return lineage

    async def gallery_revision(self, org: OrgId) -> int:
        """As `ports.people.People` says."""
        revision: int = (await self._gallery_state(org))["revision"]
        return revision

    async def gallery_count(self, org: OrgId, model: str) -> tuple[int, int]:
        """As `ports.people.People` says."""
        row = await self._database.row("gallery_count", org=org, model=await self._model(model))
        if row is None:
            raise NotFound(f"there is no org {org}")
        return row["revision"], row["count"]

    async def gallery_changes(
        self, org: OrgId, model: str, since: int
    ) -> AsyncIterator[GalleryChange]:
        """As `ports.people.People` says."""
        asked: dict[str, Any] = {"org": org, "model": await self._model(model), "limit": _PAGE}
        statement = "gallery_page"
        if since:
            statement, asked["since"] = "gallery_since", since
        after = UUID(int=0)
        while rows := await self._database.fetch(statement, **asked, after=after):
            yield _change(rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["face"]

    async def gallery_gone(self, org: OrgId, since: int) -> list[FaceId]:
        """As `ports.people.People` says."""
        rows = await self._database.fetch("gallery_gone", org=org, since=since)
        return [FaceId(row["face"]) for row in rows]

    async def _gallery_state(self, org: OrgId) -> Row:
        row = await self._database.row("gallery_state", org=org)
        if row is None:
            raise NotFound(f"there is no org {org}")
        return row

    async def _model(self, name: str) -> int | None:
        row = await self._database.row("model_id", name=name)
        return row["id"] if row else None

    async def notes(self, org: OrgId) -> dict[FaceId, FaceNote]:
        """What is known of each matchmaker."""
        rows = await self._database.fetch("matchmaker_notes", org=org)
        return {
            FaceId(row["face"]): FaceNote(Quality(*row["quality"]), row["corrected"])
            for row in rows
        }

    async def refusals(self, org: OrgId, model: str) -> list[Refusal]:
        """What operators said is not somebody's, or no face: the newest, ten thousand of each."""
        rows = await self._database.fetch("refusals", org=org, model=model, limit=10_000)
        return [Refusal(row["person"], row["camera"], received(row["embedding"])) for row in rows]

    async def confirmed(self, org: OrgId, model: str, limit: int) -> list[Confirmed]:
        """The newest visits that an operator gave to somebody, with a template of *model*."""
        rows = await self._database.fetch(
            "face_events_confirmed", org=org, model=model, limit=limit
        )
        return [
            Confirmed(PersonId(row["person"]), received(row["embedding"]), row["grey"])
            for row in rows
        ]


async def lock(work: Work, org: OrgId, person: PersonId) -> PersonId:
    """Whom *person* means: themselves, or the one that they were merged into."""
    return await _locked(work, "person_lock", org, person)


async def _lock_named(work: Work, org: OrgId, person: PersonId) -> PersonId:
    return await _locked(work, "person_named_lock", org, person)


async def _locked(work: Work, statement: str, org: OrgId, person: PersonId) -> PersonId:
    for _ in range(2):  # whoever was merged while we waited is found by the second look
        if row := await work.row(statement, org=org, person=person):
            return PersonId(row["id"])
    raise NotFound(f"there is no person {to_ruuid(person)}", "check the id")


async def take_name(work: Work, org: OrgId, name: str, *but: PersonId) -> None:
    """Nobody *but* these has *name*, and nobody takes it before *work* is done."""
    await work.fetch("person_name_lock", org=org, name=name)
    owners = await work.fetch("person_name_owners", org=org, name=name)
    if any(row["id"] not in but for row in owners):
        raise AlreadyExists(
            "there is a person of this name already", "use that person, or choose another name"
        )


async def tell(work: Work, org: OrgId, people: Sequence[PersonId]) -> None:
    """Whoever follows the change log; the last thing in a transaction."""
    await work.fetch("log_changes", org=org, kind="person", subjects=people)
    await work.fetch("ring", channel=CHANGES, payload=str(org))


async def _copyable(
    work: Work, org: OrgId, person: PersonId, origin: Sighting, digest: bytes
) -> None:
    if await work.row("sighting_lock", org=org, event=origin.event) is None:
        raise UnusablePhoto("the pictures of this event were erased", "choose another event")
    if await work.row("person_has_photo", org=org, person=person, digest=digest) is not None:
        raise AlreadyExists(
            "this person has a matchmaker of this very sighting", "choose another event"
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
    keys |= {asset["still_key"] for asset in assets}
    keys |= {asset["key"] for asset in assets} | {frame["key"] for frame in frames}
    keys |= {face["thumbnail_key"] for face in faces} | {face["crop_key"] for face in faces}
    return sorted(key for key in keys if key)


def _person(row: Row) -> Person:
    return Person(
        id=PersonId(row["id"]),
        org=OrgId(row["org"]),
        name=row["name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        matchmakers=row["matchmakers"],
    )


def _enrolled(row: Row) -> EnrolledFace:
    return EnrolledFace(
        face=FaceId(row["face"]),
        person=PersonId(row["person"]),
        org=OrgId(row["org"]),
        created_at=row["created_at"],
        uploaded=row["uploaded"],
    )


def _change(rows: Sequence[Row]) -> GalleryChange:
    came = [row for row in rows if row["embedding"] is not None]
    return GalleryChange(
        faces=np.array([row["face"].bytes for row in came], "S16"),
        persons=np.array([row["person"].bytes for row in came], "S16"),
        templates=all_received([row["embedding"] for row in came]),
        went=np.array([row["face"].bytes for row in rows if row["embedding"] is None], "S16"),
    )


def _sighting(row: Row) -> Sighting:
    """A face whose row is gone has no template either, and its box says nothing."""
    box = (row["box_left"], row["box_top"], row["box_right"], row["box_bottom"])
    landmarks = np.array(row["landmarks"] or [0.0] * 10, np.float32)
    return Sighting(
        event=EventId(row["id"]),
        face=FaceId(row["face"]),
        at=row["best_at"],
        box=Box(*(side or 0 for side in box)),
        landmarks=landmarks.reshape(5, 2),
        quality=Quality(*row["quality"]),
        thumbnail_key=row["thumbnail_key"],
        crop_key=row["crop_key"],
        template=None if row["embedding"] is None else received(row["embedding"]),
    )
