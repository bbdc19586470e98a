"""Persons as a library of pictures shows them, in Postgres."""

from collections.abc import Sequence
from typing import Any

from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id, to_prefixed
from facewatch.domain.library import Cohesion, LibraryFace, Portrait, PortraitFilter, Sorting
from facewatch.errors import NotFound
from facewatch.ports.library import PortraitChanges
from facewatch.store.centroids import PostgresCentroids
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import LAST, PostgresFaceEvents
from facewatch.store.faces import PostgresFaces, erase_enrolled, known_asset
from facewatch.store.people import lock, take_name, tell

_BATCH = 2000
_PAGES: dict[Sorting, tuple[str, dict[str, Any]]] = {
    Sorting.NEWEST: ("portrait_page", {}),
    Sorting.OLDEST: ("portrait_page_oldest", {}),
    Sorting.NAME: ("portrait_page_by_name", {"descending": False}),
    Sorting.NAME_BACKWARDS: ("portrait_page_by_name", {"descending": True}),
    Sorting.FEWEST_ASSETS: ("portrait_page_by_assets", {"descending": False}),
    Sorting.MOST_ASSETS: ("portrait_page_by_assets", {"descending": True}),
}


class PostgresPortraits:
    """`ports.library.Portraits` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._faces = PostgresFaces(database, events)
        self._centroids = PostgresCentroids(database)

    async def get(self, org: OrgId, person: PersonId) -> Portrait:
        """Whom *person* means.

        Raises:
            NotFound: *org* has nobody with this id.
        """
        meant = await self._database.fetch("register_meant", org=org, person=person)
        for portrait in await self._portraits(org, meant):
            return portrait
        raise NotFound(f"there is no person {to_prefixed('person', person)}", "check the id")

    async def page(
        self,
        org: OrgId,
        wanted: PortraitFilter,
        limit: int,
        after: PersonId | None,
        sorting: Sorting,
    ) -> list[Portrait]:
        """As `ports.library.Portraits.page` says."""
        if wanted.asset is not None:
            await known_asset(self._database, org, wanted.asset)
        if after is not None and sorting not in (Sorting.NEWEST, Sorting.OLDEST):
            await self._refuse_gone(org, after)
        statement, values = _PAGES[sorting]
        values = {
            **values,
            "org": org,
            "named": wanted.named,
            "hidden": wanted.hidden,
            "part": wanted.name_part,
            "ids": None if wanted.ids is None else sorted(wanted.ids),
            "asset": wanted.asset,
            "limit": limit,
        }
        if sorting is Sorting.NEWEST:
            values["before"] = after or LAST
        else:
            values["after"] = after
        return await self._portraits(org, await self._database.fetch(statement, **values))

    async def _refuse_gone(self, org: OrgId, after: PersonId) -> None:
        meant = await self._database.row("register_meant", org=org, person=after)
        if meant is None or meant["id"] != after:
            raise NotFound(
                f"there is no person {to_prefixed('person', after)} to go on behind",
                "begin the list again",
            )

    async def cohesions(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, Cohesion]:
        """Of those who have a template of *model*."""
        await self._centroids.refresh(org)
        rows = await self._database.fetch("cohesions", org=org, people=people, model=model)
        return {
            PersonId(row["person"]): Cohesion(
                row["pairwise_mean"], row["pairwise_p90"], row["faces"]
            )
            for row in rows
        }

    async def create(self, org: OrgId, changes: PortraitChanges) -> PersonId:
        """As `ports.library.Portraits.create` says."""
        person = PersonId(new_id())
        async with self._database.transaction() as work:
            if name := changes.get("name"):
                await take_name(work, org, name)
            await _face_known(work, org, changes.get("face"))
            await work.fetch(
                "portrait_add",
                id=person,
                org=org,
                name=changes.get("name"),
                birth_date=changes.get("birth_date"),
                hidden=changes.get("hidden", False),
                favourite=changes.get("favourite", False),
                thumbnail_face=changes.get("face"),
            )
            await tell(work, org, [person])
        return person

    async def change(self, org: OrgId, person: PersonId, changes: PortraitChanges) -> None:
        """As `ports.library.Portraits.change` says."""
        async with self._database.transaction() as work:
            person = await lock(work, org, person)
            if name := changes.get("name"):
                await take_name(work, org, name, person)
            await _face_known(work, org, changes.get("face"))
            await work.fetch(
                "portrait_change",
                person=person,
                set_name="name" in changes,
                name=changes.get("name"),
                set_birth_date="birth_date" in changes,
                birth_date=changes.get("birth_date"),
                hidden=changes.get("hidden"),
                favourite=changes.get("favourite"),
                set_thumbnail_face="face" in changes,
                thumbnail_face=changes.get("face"),
            )
            await tell(work, org, [person])

    async def dissolve(self, org: OrgId, person: PersonId) -> list[str]:
        """As `ports.library.Portraits.dissolve` says; recorders get a turn between batches."""
        more = True
        while more:
            async with self._database.transaction() as work:
                await work.fetch("people_gate", org=org)
                more = await _free_some(work, org, await lock(work, org, person))
        async with self._database.transaction() as work:
            await work.fetch("people_gate", org=org)
            return await _dissolve(work, org, await lock(work, org, person))

    async def _portraits(self, org: OrgId, found: Sequence[Row]) -> list[Portrait]:
        return await self.shown(org, [PersonId(row["id"]) for row in found])

    async def shown(self, org: OrgId, people: Sequence[PersonId]) -> list[Portrait]:
        """Those of *people* that are there, in this order."""
        rows = await self._database.fetch("portraits", org=org, people=people)
        faces = [row["thumbnail_face"] for row in rows if row["thumbnail_face"]]
        shown = {face.id: face for face in await self._faces.shown(org, faces)}
        return [_portrait(row, shown.get(row["thumbnail_face"])) for row in rows]


async def _face_known(work: Work, org: OrgId, face: FaceId | None) -> None:
    if face is not None and await work.row("face_known", org=org, face=face) is None:
        raise NotFound(f"there is no face {to_prefixed('face', face)}", "check the id")


async def _free_some(work: Work, org: OrgId, person: PersonId) -> bool:
    """Whether there may be more."""
    rows = await work.fetch("dissolve_events", org=org, person=person, limit=_BATCH)
    events = sorted(row["id"] for row in rows)
    await work.fetch("log_changes", org=org, kind="event", subjects=events)
    return len(rows) == _BATCH


async def _dissolve(work: Work, org: OrgId, person: PersonId) -> list[str]:
    await _free_some(work, org, person)
    enrolled = await work.fetch("matchmakers_of_dissolved", person=person)
    keys: list[str] = []
    for row in enrolled:
        if await work.row("face_known", org=org, face=row["face"]) is not None:
            keys += await erase_enrolled(work, org, row["face"])
    uploads = await work.fetch("uploads_forget", org=org, person=person)
    keys += [upload["key"] for upload in uploads if upload["key"]]
    await work.fetch("dissolve_faces", person=person)
    await work.fetch("person_labels_erase", person=person)
    await work.fetch("dismissals_erase", person=person)
    await work.fetch("person_erase", person=person)
    await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
    await work.fetch("log_changes", org=org, kind="person_erased", subjects=[person])
    await tell(work, org, [])
    return keys


def _portrait(row: Row, face: LibraryFace | None) -> Portrait:
    return Portrait(
        id=PersonId(row["id"]),
        name=row["name"],
        birth_date=row["birth_date"],
        hidden=row["hidden"],
        favourite=row["favourite"],
        assets=row["assets"],
        face=face,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
