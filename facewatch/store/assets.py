"""Whole pictures in Postgres."""

from datetime import datetime
from typing import Any
from uuid import UUID

from facewatch.domain.ids import AssetId, CameraId, OrgId, PersonId, to_prefixed
from facewatch.domain.library import Asset, AssetFilter, LibraryFace, Portrait
from facewatch.errors import NotFound
from facewatch.store.database import Database, Row
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.faces import PostgresFaces
from facewatch.store.portraits import PostgresPortraits


class PostgresAssets:
    """`ports.library.Assets` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._faces = PostgresFaces(database, events)
        self._portraits = PostgresPortraits(database, events)

    async def get(self, org: OrgId, asset: AssetId) -> Asset:
        """
        Raises:
            NotFound: *org* has no such asset.
        """
        for found in await self._shown(org, [asset]):
            return found
        raise NotFound(f"there is no asset {to_prefixed('asset', asset)}", "check the id")

    async def find(self, org: OrgId, wanted: AssetFilter, limit: int, offset: int) -> list[Asset]:
        """As `ports.library.Assets.find` says."""
        values: dict[str, Any] = {"org": org, "limit": limit, "offset": offset}
        values |= _moment("after", wanted.after) | _moment("before", wanted.before)
        if wanted.people is None:
            rows = await self._database.fetch("assets_found", **values)
        else:
            people = await self._meant(org, wanted.people)
            rows = await self._database.fetch("assets_found_of_people", **values, people=people)
        return await self._shown(org, [row["id"] for row in rows])

    async def _meant(self, org: OrgId, people: frozenset[PersonId]) -> list[UUID]:
        rows = await self._database.fetch("people_standing", org=org, persons=list(people))
        known = {row["asked"] for row in rows}
        for person in people:
            if person not in known:
                raise NotFound(f"there is no person {to_prefixed('person', person)}")
        return sorted({row["id"] for row in rows})

    async def _shown(self, org: OrgId, assets: list[UUID] | list[AssetId]) -> list[Asset]:
        rows = await self._database.fetch("assets_shown", org=org, ids=assets)
        ids = [face for row in rows for face in row["faces"]]
        faces = {face.id: face for face in await self._faces.shown(org, ids)}
        people = sorted({face.person for face in faces.values() if face.person is not None})
        portraits = {it.id: it for it in await self._portraits.shown(org, people)}
        return [
            _asset(row, [face for id in row["faces"] if (face := faces.get(id))], portraits)
            for row in rows
        ]


def _moment(name: str, moment: datetime | None) -> dict[str, datetime | None]:
    """Of the world where it has an offset, else of a clock on a wall."""
    is_wall = moment is not None and moment.tzinfo is None
    return {name: None if is_wall else moment, f"{name}_wall": moment if is_wall else None}


def _asset(row: Row, faces: list[LibraryFace], portraits: dict[PersonId, Portrait]) -> Asset:
    people = dict.fromkeys(face.person for face in faces if face.person is not None)
    return Asset(
        id=AssetId(row["id"]),
        camera=row["camera"] and CameraId(row["camera"]),
        captured_at=row["captured_at"],
        time_zone=row["time_zone"],
        width=row["width"],
        height=row["height"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        mime=row["mime"],
        file_name=row["file_name"],
        key=row["key"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        faces=tuple(faces),
        people=tuple(portraits[person] for person in people if person in portraits),
    )
