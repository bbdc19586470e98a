"""Every face in every picture, in Postgres."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from facewatch.domain.geometry import Box
from facewatch.domain.ids import AssetId, FaceId, OrgId, PersonId, to_prefixed
from facewatch.domain.library import FaceFilter, Fit, LibraryFace, Nearby
from facewatch.errors import NotFound
from facewatch.store import corrections
from facewatch.store.centroids import PostgresCentroids
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import CHANGES, LAST, PostgresFaceEvents
from facewatch.store.people import lock, tell
from facewatch.store.revision import next_revision

_FIRST = UUID(int=0)
_CANDIDATES = 10


class PostgresFaces:
    """`ports.library.Faces` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._events = events
        self._centroids = PostgresCentroids(database)

    async def get(self, org: OrgId, face: FaceId) -> LibraryFace:
        """
        Raises:
            NotFound: *org* has no such face.
        """
        for found in await self.shown(org, [face]):
            return found
        raise _absent(face)

    async def page(
        self, org: OrgId, wanted: FaceFilter, limit: int, before: FaceId | None = None
    ) -> list[LibraryFace]:
        """As `ports.library.Faces.page` says; by ids, which are dated when the face was seen."""
        await self._refuse_absent(org, wanted)
        statement, values = await self._leading(org, wanted)
        values |= {"org": org, "before": before or LAST}
        found: list[LibraryFace] = []
        while missing := limit - len(found):
            rows = await self._database.fetch(statement, **values, limit=missing)
            # One that is deleted between the two statements leaves a gap, which is filled.
            found += await self.shown(org, [row["id"] for row in rows])
            if len(rows) < missing:
                break
            values["before"] = rows[-1]["id"]
        return found

    async def shown(self, org: OrgId, faces: Sequence[UUID]) -> list[LibraryFace]:
        """Those of *faces* that are there, in this order."""
        rows = await self._database.fetch("faces_shown", org=org, ids=faces)
        return [_face(row) for row in rows]

    async def fits(self, org: OrgId, faces: Sequence[FaceId], model: str) -> dict[FaceId, Fit]:
        """As `ports.library.Faces.fits` says."""
        await self._centroids.refresh(org)
        asked = {"org": org, "faces": faces, "model": model}
        rows = await self._database.fetch("face_distances", **asked)
        distances = {row["face"]: float(row["distance"]) for row in rows}
        others: defaultdict[UUID, list[Nearby]] = defaultdict(list)
        for row in await self._database.fetch("face_candidates", **asked, limit=_CANDIDATES):
            others[row["face"]].append(
                Nearby(PersonId(row["person"]), row["name"], float(row["distance"]))
            )
        return {it: Fit(distances.get(it), tuple(others.get(it, ()))) for it in faces}

    async def give(self, org: OrgId, face: FaceId, person: PersonId | None) -> None:
        """As `ports.library.Faces.give` says."""

        async def write(work: Work) -> None:
            await _give(work, org, await _known(work, org, face), person)
            await work.fetch("ring", channel=CHANGES, payload=str(org))

        await self._events.write({org}, write)

    async def remove(self, org: OrgId, face: FaceId) -> list[str]:
        """As `ports.library.Faces.remove` says."""
        keys: list[str] = []

        async def write(work: Work) -> None:
            known = await _known(work, org, face)
            keys[:] = await _remove(work, org, known)
            await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
            await work.fetch("ring", channel=CHANGES, payload=str(org))

        await self._events.write({org}, write)
        return keys

    async def _refuse_absent(self, org: OrgId, wanted: FaceFilter) -> None:
        if wanted.asset is not None:
            await known_asset(self._database, org, wanted.asset)

    async def _leading(self, org: OrgId, wanted: FaceFilter) -> tuple[str, dict[str, Any]]:
        """The statement that leads to what is *wanted*, and its values."""
        person = None
        if wanted.person is not None:
            meant = await self._database.row("register_meant", org=org, person=wanted.person)
            if meant is None:
                raise NotFound(f"there is no person {to_prefixed('person', wanted.person)}")
            person = meant["id"]
        if wanted.ids is not None:
            ids = sorted(wanted.ids)
            return "face_page_of_ids", {"ids": ids, "asset": wanted.asset, "person": person}
        if wanted.asset is not None:
            return "face_page_of_asset", {"asset": wanted.asset, "person": person}
        if person is not None:
            return "face_page_of_person", {"person": person, "first": _FIRST}
        return "face_page", {"first": _FIRST}


async def known_asset(database: Database, org: OrgId, asset: AssetId) -> None:
    """
    Raises:
        NotFound: *org* has no such asset.
    """
    if await database.row("asset_known", org=org, asset=asset) is None:
        raise NotFound(f"there is no asset {to_prefixed('asset', asset)}", "check the id")


async def rest(work: Work, org: OrgId, face: FaceId) -> None:
    """An enrolled face is compared with nobody any more, in any process."""
    revision = await next_revision(work, org)
    await work.fetch("matchmaker_rest", face=face, revision=revision)


async def _known(work: Work, org: OrgId, face: FaceId) -> Row:
    row = await work.row("face_known", org=org, face=face)
    if row is None:
        raise _absent(face)
    return row


async def _give(work: Work, org: OrgId, face: Row, person: PersonId | None) -> None:
    """Persons are locked before events, and these before the gallery, as everywhere."""
    person = person and await lock(work, org, person)
    if face["enrolled"] is not None:
        return await _give_enrolled(work, org, face, person)
    event = face["event"]
    visit = event and await work.row("face_event_lock", org=org, event=event)
    if visit is None:
        await work.fetch("face_give", face=face["id"], person=person, assigned_by="operator")
        return await _tell(work, org, face["person"], person)
    was = await work.row("face_known", org=org, face=face["id"])  # behind the lock of the visit
    owner = was and was["person"]
    await corrections.give(work, org, [event], person, unnamed=True)
    if owner is not None and owner != person:
        await work.fetch("thumbnail_face_free", person=owner, faces=[face["id"]], events=[event])
    await work.fetch("log_changes", org=org, kind="event", subjects=[event])
    return None


async def _give_enrolled(work: Work, org: OrgId, face: Row, person: PersonId | None) -> None:
    if person == face["person"]:
        return
    how = "operator" if person is None else "enrolment"
    await work.fetch("face_give", face=face["id"], person=person, assigned_by=how)
    if person is None:
        await rest(work, org, face["id"])
    else:
        revision = await next_revision(work, org)
        await work.fetch("matchmaker_again", face=face["id"], person=person, revision=revision)
    if face["person"] is not None:
        await work.fetch(
            "thumbnail_face_free", person=face["person"], faces=[face["id"]], events=[]
        )
    await _tell(work, org, face["person"], person)


async def _remove(work: Work, org: OrgId, face: Row) -> list[str]:
    if face["enrolled"] is not None:
        return await erase_enrolled(work, org, face["id"])
    if face["event"] is not None:
        await work.fetch("face_event_lock", org=org, event=face["event"])
        await work.fetch("face_event_without", event=face["event"], face=face["id"])
    gone = await work.row("face_remove", org=org, face=face["id"])
    if gone is None:
        raise _absent(face["id"])
    event = face["event"] and await work.row("face_event_lock", org=org, event=face["event"])
    kept = {event["thumbnail_key"], *event["look_keys"]} if event else set()
    if event:
        await work.fetch("log_changes", org=org, kind="event", subjects=[face["event"]])
    return [key for key in (gone["thumbnail_key"], gone["crop_key"]) if key and key not in kept]


async def erase_enrolled(work: Work, org: OrgId, face: FaceId) -> list[str]:
    """An enrolled face with its photo; the keys of the pixels.

    Raises:
        NotFound: it went meanwhile.
    """
    rows = await work.fetch("matchmaker_face_erase", face=face)
    if not rows:
        raise _absent(face)
    await work.fetch("uploads_of_removed", face=face)
    assets = await work.fetch("matchmaker_asset_erase", assets=[row["asset"] for row in rows])
    revision = await next_revision(work, org)
    await work.fetch("matchmaker_remove", face=face, revision=revision)
    keys = [key for row in rows for key in (row["thumbnail_key"], row["crop_key"])]
    return [key for key in (*keys, *(asset["key"] for asset in assets)) if key]


async def _tell(work: Work, org: OrgId, *people: PersonId | None) -> None:
    if concerned := sorted({it for it in people if it is not None}):
        await tell(work, org, concerned)


def _absent(face: UUID) -> NotFound:
    return NotFound(f"there is no face {to_prefixed('face', face)}", "check the id")


def _face(row: Row) -> LibraryFace:
    sides = (row["box_left"], row["box_top"], row["box_right"], row["box_bottom"])
    return LibraryFace(
        id=FaceId(row["id"]),
        asset=AssetId(row["asset"]),
        box=Box(*sides).clipped(Box(0, 0, row["width"], row["height"])),
        score=row["score"],
        person=row["person"] and PersonId(row["person"]),
        timestamp_ms=row["timestamp_ms"],
        updated_at=row["updated_at"],
        thumbnail_key=row["thumbnail_key"],
        asset_key=row["asset_key"],
    )
